"""Imported models compute what the book's equations say, and others are refused in words."""

import numpy as np
import pytest
import torch

from models.booklike import better_rnnlm, language_logits, pairs_logits, pairs_model, rnnlm, saved
from models.toys import DIGITS, FORM, corpus_form, corpus_options, labels_options, pairs_options
from unroll.errors import DataError, UserError
from unroll.kinds import kind_of
from unroll.models import book
from unroll.storage.pickled import read_arrays_of_pickle

V, D, H = len(DIGITS), 3, 5
WORDS = 7
PAIRS = ("plain", "peeky", "attention")


@pytest.fixture
def random():
    return np.random.default_rng(0)


def model_of(options, form, arrays, order):
    """Return the model of arrays as it computes in float64."""
    found = book.sized(options, arrays)
    model = kind_of(options).build(found, form).double()
    book.fill(model, book.weights(found, len(order), arrays, order))
    return model.eval()


def wide(arrays):
    return [array.astype("f8") for array in arrays]


def assert_same(ours: torch.Tensor, theirs: np.ndarray) -> None:
    assert ours.dtype == torch.float64
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["f2", "f4"])
def test_rnnlm(random, tmp_path, dtype):
    arrays = read_arrays_of_pickle(saved(tmp_path / "a", rnnlm(random, WORDS, D, H), dtype))
    model = model_of(corpus_options(), corpus_form(WORDS), arrays, range(WORDS))
    tokens = random.integers(WORDS, size=(2, 6))
    assert_same(model(torch.as_tensor(tokens))[0], language_logits(wide(arrays), tokens))


@pytest.mark.parametrize("repeated", [True, False])
@pytest.mark.parametrize("dtype", ["f2", "f4"])
def test_better_rnnlm(random, tmp_path, dtype, repeated):
    written = saved(tmp_path / "a", better_rnnlm(random, WORDS, H, repeated), dtype)
    arrays = read_arrays_of_pickle(written)
    options = corpus_options(layers=2, tie_weights=True)
    model = model_of(options, corpus_form(WORDS), arrays, range(WORDS))
    assert model.embedding.weight is model.affine.weight
    tokens = random.integers(WORDS, size=(2, 6))
    assert_same(model(torch.as_tensor(tokens))[0], language_logits(wide(arrays), tokens))


@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("dtype", ["f2", "f4"])
@pytest.mark.parametrize("decoder", PAIRS)
def test_pairs_whose_characters_have_another_order(random, tmp_path, decoder, dtype, reverse):
    written = saved(tmp_path / "a", pairs_model(random, decoder, V, D, H), dtype)
    arrays, order = read_arrays_of_pickle(written), random.permutation(V)
    options = pairs_options(decoder=decoder, reverse_source=reverse)
    model = model_of(options, FORM, arrays, order)
    source, inputs = (random.integers(V, size=(3, T)) for T in (4, 3))
    ours = model(torch.as_tensor(source), torch.as_tensor(inputs))
    read = source[:, ::-1] if reverse else source
    theirs = pairs_logits(decoder, wide(arrays), order[read], order[inputs])
    assert_same(ours, theirs[:, :, order])


def test_sizes_are_those_of_the_file_and_there_is_one_bias(random):
    options = pairs_options(init="default", match_parameters="other")
    found = book.sized(options, pairs_model(random, "plain", V, D, H))
    assert (found.embedding_size, found.hidden_size) == (D, H)
    assert (found.init, found.match_parameters) == ("book", None)
    layer = model_of(
        options, FORM, pairs_model(random, "plain", V, D, H), range(V)
    ).decoder.recurrent.layers[0]
    assert not layer.bias_hh_l0.any() and not layer.bias_hh_l0.requires_grad


def refused(options, arrays, symbols=V) -> str:
    with pytest.raises(DataError) as error:
        book.weights(book.sized(options, arrays), symbols, arrays, range(symbols))
    return str(error.value)


@pytest.mark.parametrize("decoder", PAIRS)
@pytest.mark.parametrize("other", PAIRS)
def test_the_list_of_another_decoder_is_named(random, decoder, other):
    if decoder != other:
        said = refused(pairs_options(decoder=decoder), pairs_model(random, other, V, D, H))
        assert f"these are the arrays of {book.DECODERS[other]}" in said
        assert said.endswith(f"name a variant with decoder: {other}")


def test_lists_of_other_models_are_refused_in_words(random):
    lists = rnnlm(random, WORDS, D, H)
    said = refused(pairs_options(), lists)
    assert said.startswith("it has 6 arrays, where a model with encoder and decoder has 10; ")
    said = refused(corpus_options(layers=2), lists, WORDS)
    assert said.startswith("it has 6 arrays, where a model with layers: 2 and tie_weights: false")
    said = refused(corpus_options(), lists, WORDS + 1)
    assert said.startswith("it knows 7 symbols, and the data have 8")
    gru = [lists[0], lists[1][:, : 3 * H], lists[2][:, : 3 * H], lists[3][: 3 * H], *lists[4:]]
    assert "as of a GRU" in refused(corpus_options(), gru, WORDS)
    rnn = [lists[0], lists[1][:, :H], lists[2][:, :H], lists[3][:H], *lists[4:]]
    assert "as of a simple recurrent net" in refused(corpus_options(), rnn, WORDS)
    flat = [lists[0].ravel(), *lists[1:]]
    assert refused(corpus_options(), flat, WORDS).startswith("no list of a model of the book")
    odd = [*lists[:5], lists[5][:, None]]
    said = refused(corpus_options(), odd, WORDS)
    assert said == "array 6 (b of the affine layer) is of the shape (7, 1) instead of (7,)"


def test_a_matrix_that_is_not_shared_is_refused(random):
    options = corpus_options(layers=2, tie_weights=True)
    arrays = better_rnnlm(random, WORDS, H)
    arrays[-2] = arrays[-2] + 0.5
    assert "is not its embedding" in refused(options, arrays, WORDS)
    unlike = [*rnnlm(random, WORDS, D, H)]
    said = refused(corpus_options(tie_weights=True), unlike, WORDS)
    assert said == "tie_weights: true, but D = 3 and H = 5 differ"


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(random, number):
    arrays = rnnlm(random, WORDS, D, H)
    arrays[3][2] = number
    said = refused(corpus_options(), arrays, WORDS)
    assert said == "array 4 (b of LSTM 1) has a number that is not finite"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (pairs_options(bridge="state"), "bridge: state (the book's models have hidden)"),
        (pairs_options(cell="gru"), "cell: gru (the book's models have lstm)"),
        (pairs_options(padding="masked", layers=2), "layers: 2 (the book's models have 1)"),
        (pairs_options(double_source=True), "double_source: true (the book's models have false)"),
        (pairs_options(decoder="input_feeding"), "decoder: input_feeding (the book has plain,"),
        (
            corpus_options(skip_connections=True),
            "skip_connections: true (the book's models have false)",
        ),
        (labels_options(), "the book has language models and pairs, no labels"),
    ],
)
def test_a_variant_that_is_no_model_of_the_book_is_refused(options, said):
    with pytest.raises(UserError) as error:
        book.check_options(options, "params.yaml: v")
    assert said in str(error.value) and str(error.value).startswith("params.yaml: v")


def test_variants_that_are_models_of_the_book_are_taken():
    for options in (corpus_options(tie_weights=True), *(pairs_options(decoder=d) for d in PAIRS)):
        book.check_options(options, "here")
