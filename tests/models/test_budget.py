import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import (
    DIGITS,
    FORM,
    LABELS_FORM,
    corpus_form,
    corpus_options,
    few_examples,
    labels_options,
    pairs_options,
)
from unroll.kinds import kind_of
from unroll.models.budget import count_parameters, match, parameters

V = len(DIGITS)
D = 4
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
FORMS = {"pairs": FORM, "corpus": corpus_form(V), "labels": LABELS_FORM}

common = {
    "cell": st.sampled_from(list(GATES)),
    "layers": st.integers(1, 2),
    "init": st.sampled_from(["book", "default", "small"]),
}
designs = st.one_of(
    st.builds(
        pairs_options,
        decoder=st.sampled_from(["plain", "peeky", "attention"]),
        bidirectional=st.booleans(),
        **common,
    ),
    st.builds(
        labels_options,
        pooling=st.sampled_from(["last", "attention"]),
        bidirectional=st.booleans(),
        **common,
    ),
    st.builds(corpus_options, tie_weights=st.booleans(), **common),
)


def build(options):
    return kind_of(options).build(options, FORMS[options.kind])


@few_examples
@given(options=designs, budget=st.integers(1, 6000))
def test_the_count_is_the_nearest_to_the_budget_of_all_sizes(options, budget):
    step = options.size_step
    counts = {H: parameters(build, options.resized(H)) for H in range(step, 41, step)}
    budget = min(budget, max(counts.values()))
    found = match(build, options, budget)
    nearest = min(abs(count - budget) for count in counts.values())
    assert abs(counts[found.hidden_size] - budget) == nearest


@few_examples
@given(options=designs, H=st.integers(1, 30))
def test_a_size_is_found_again_by_its_own_count(options, H):
    sized = options.resized(2 * H)
    assert match(build, options, parameters(build, sized)) == sized


@few_examples
@given(options=designs, one=st.integers(1, 6000), other=st.integers(1, 6000))
def test_a_larger_budget_never_gives_a_smaller_model(options, one, other):
    small, large = (match(build, options, budget).hidden_size for budget in sorted((one, other)))
    assert small <= large


@few_examples
@given(options=designs, H=st.integers(1, 20))
def test_a_larger_hidden_size_has_more_parameters(options, H):
    small, large = (parameters(build, options.resized(size)) for size in (2 * H, 2 * H + 2))
    assert small < large


@pytest.mark.parametrize(("init", "biases"), [("book", 1), ("default", 2)])
@pytest.mark.parametrize("cell", list(GATES))
def test_what_is_trained_counts_and_the_second_bias_of_the_book_does_not(cell, init, biases):
    H = 6
    options = corpus_options(cell=cell, init=init, hidden_size=H)
    recurrent = GATES[cell] * H * (D + H + biases)
    expected = V * D + recurrent + V * (H + 1)
    assert parameters(build, options) == count_parameters(build(options)) == expected


def test_a_shared_matrix_counts_once():
    H = 6
    options = corpus_options(cell="rnn", tie_weights=True, embedding_size=H, hidden_size=H)
    assert parameters(build, options) == H * (H + H + 1) + V * (H + 1)


def test_a_tied_embedding_follows_the_hidden_size():
    found = match(build, corpus_options(tie_weights=True), 3000)
    assert found.hidden_size > 4
    assert found.embedding_size == found.hidden_size


@pytest.mark.parametrize(
    "options", [pairs_options(), corpus_options(), labels_options()], ids=lambda o: o.kind
)
def test_nothing_but_the_hidden_size_changes(options):
    found = match(build, options, 3000)
    assert found.hidden_size > 4
    assert found == options.model_copy(update={"hidden_size": found.hidden_size})


@pytest.mark.parametrize("budget", [1, 500, 1500, 2500, 3500, 5000])
def test_two_directions_share_an_even_size(budget):
    found = match(build, pairs_options(bidirectional=True), budget)
    assert found.hidden_size % 2 == 0
    assert pairs_options(**found.model_dump()) == found


def test_no_budget_is_too_small_for_one_unit():
    assert match(build, pairs_options(), 1).hidden_size == 1
    assert match(build, pairs_options(bidirectional=True), 1).hidden_size == 2


@pytest.mark.parametrize(
    "options", [pairs_options(), corpus_options(), labels_options()], ids=lambda o: o.kind
)
def test_counting_draws_nothing_and_takes_no_memory(options):
    built = []

    def noted(options):
        built.append(build(options))
        return built[-1]

    before = torch.get_rng_state()
    match(noted, options, 10**9)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(built) > 10
    assert all(p.is_meta for model in built for p in model.parameters())
    assert max(count_parameters(model) for model in built) > 10**8  # 400 MB, had they been drawn
