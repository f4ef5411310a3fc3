import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.toys import DIGITS, corpus_options, few_examples, pairs_options
from unroll.models.budget import match, parameters, resize
from unroll.models.build import build, count_parameters

V = len(DIGITS)
D = 4
GATES = {"lstm": 4, "gru": 3, "rnn": 1}

designs = st.one_of(
    st.builds(
        pairs_options,
        cell=st.sampled_from(list(GATES)),
        layers=st.integers(1, 2),
        decoder=st.sampled_from(["plain", "peeky", "attention"]),
        bidirectional=st.booleans(),
        init=st.sampled_from(["book", "default"]),
    ),
    st.builds(
        corpus_options,
        cell=st.sampled_from(list(GATES)),
        layers=st.integers(1, 2),
        tie_weights=st.booleans(),
        init=st.sampled_from(["book", "default"]),
    ),
)


@few_examples
@given(options=designs, budget=st.integers(1, 6000))
def test_the_count_is_the_nearest_to_the_budget_of_all_sizes(options, budget):
    even = getattr(options, "bidirectional", False)
    counts = {H: parameters(resize(options, H), DIGITS) for H in range(1 + even, 61, 1 + even)}
    assert max(counts.values()) >= budget
    found = match(options, budget, DIGITS)
    nearest = min(abs(count - budget) for count in counts.values())
    assert abs(counts[found.hidden_size] - budget) == nearest


@few_examples
@given(options=designs, H=st.integers(1, 30))
def test_a_size_is_found_again_by_its_own_count(options, H):
    sized = resize(options, 2 * H)
    assert match(options, parameters(sized, DIGITS), DIGITS) == sized


@few_examples
@given(options=designs, one=st.integers(1, 6000), other=st.integers(1, 6000))
def test_a_larger_budget_never_gives_a_smaller_model(options, one, other):
    small, large = (match(options, budget, DIGITS).hidden_size for budget in sorted((one, other)))
    assert small <= large


@few_examples
@given(options=designs, H=st.integers(1, 20))
def test_a_larger_hidden_size_has_more_parameters(options, H):
    small, large = (parameters(resize(options, size), DIGITS) for size in (2 * H, 2 * H + 2))
    assert small < large


@pytest.mark.parametrize(("init", "biases"), [("book", 1), ("default", 2)])
@pytest.mark.parametrize("cell", list(GATES))
def test_what_is_trained_counts_and_the_second_bias_of_the_book_does_not(cell, init, biases):
    H = 6
    options = corpus_options(cell=cell, init=init, hidden_size=H)
    recurrent = GATES[cell] * H * (D + H + biases)
    assert parameters(options, DIGITS) == V * D + recurrent + V * (H + 1)
    assert count_parameters(build(options, DIGITS)) == V * D + GATES[cell] * H * (D + H + 2) + V * (
        H + 1
    )


def test_a_shared_matrix_counts_once():
    H = 6
    options = corpus_options(cell="rnn", tie_weights=True, embedding_size=H, hidden_size=H)
    assert parameters(options, DIGITS) == H * (H + H + 1) + V * (H + 1)


def test_a_tied_embedding_follows_the_hidden_size():
    found = match(corpus_options(tie_weights=True), 3000, DIGITS)
    assert found.hidden_size > 4
    assert found.embedding_size == found.hidden_size


@pytest.mark.parametrize("options", [pairs_options(), corpus_options()], ids=["pairs", "corpus"])
def test_nothing_but_the_hidden_size_changes(options):
    found = match(options, 3000, DIGITS)
    assert found.hidden_size > 4
    assert found == options.model_copy(update={"hidden_size": found.hidden_size})


@pytest.mark.parametrize("budget", [1, 500, 1500, 2500, 3500, 5000])
def test_two_directions_share_an_even_size(budget):
    found = match(pairs_options(bidirectional=True), budget, DIGITS)
    assert found.hidden_size % 2 == 0
    assert pairs_options(**found.model_dump()) == found


def test_no_budget_is_too_small_for_one_unit():
    assert match(pairs_options(), 1, DIGITS).hidden_size == 1
    assert match(pairs_options(bidirectional=True), 1, DIGITS).hidden_size == 2
