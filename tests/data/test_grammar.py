import math
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.data.grammar import (
    GRAMMAR,
    START,
    draw,
    entropy_rate,
    sentence_entropy,
    sentence_length,
)

LN2 = math.log(2)


def tokens(text):
    return len(text.split()) + text.count("\n")  # <eos> counts


# Each entropy (in nats) and length is worked out by hand.
BY_HAND = {
    "one sentence": ({"S": {("a", "b"): 1.0}}, 0.0, 2.0),
    "fair coin": ({"S": {("a",): 0.5, ("b", "c"): 0.5}}, LN2, 1.5),
    # two nouns, each of entropy 2 ln 2 - 0.75 ln 3
    "two nouns": (
        {"S": {("N", "and", "N"): 1.0}, "N": {("x",): 0.25, ("y",): 0.75}},
        2 * (2 * LN2 - 0.75 * math.log(3)),
        3.0,
    ),
    # h = ln 2 + h / 2, l = 1 + l / 2
    "right recursion": ({"S": {("a",): 0.5, ("a", "S"): 0.5}}, 2 * LN2, 2.0),
    # h = ln 2 + v + h / 2 with v = ln 2, l = 1 + (1 + l) / 2
    "mutual recursion": (
        {
            "S": {("V",): 0.5, ("V", "C"): 0.5},
            "C": {("that", "S"): 1.0},
            "V": {("x",): 0.5, ("y",): 0.5},
        },
        4 * LN2,
        3.0,
    ),
}


@pytest.mark.parametrize(("grammar", "entropy", "length"), BY_HAND.values(), ids=BY_HAND.keys())
def test_entropy_and_length_are_those_worked_out_by_hand(grammar, entropy, length):
    assert sentence_entropy(grammar) == pytest.approx(entropy, abs=1e-12)
    assert sentence_length(grammar) == pytest.approx(length, abs=1e-12)


def test_order_of_the_symbols_does_not_matter():
    grammar, entropy, length = BY_HAND["mutual recursion"]
    turned = dict(reversed(grammar.items()))
    assert sentence_entropy(turned) == pytest.approx(entropy)
    assert sentence_length(turned) == pytest.approx(length)


def test_entropy_rate_counts_the_end_of_the_sentence():
    assert entropy_rate() == pytest.approx(sentence_entropy() / (sentence_length() + 1))


def test_grammar_is_complete():
    for name, rules in GRAMMAR.items():
        assert sum(rules.values()) == pytest.approx(1.0)
        assert all(0 < p <= 1 for p in rules.values())
        for symbol in (symbol for rule in rules for symbol in rule):
            assert symbol in GRAMMAR or symbol.islower(), f"{symbol} below {name}"
    below = {symbol for rules in GRAMMAR.values() for rule in rules for symbol in rule}
    assert {START} | below >= GRAMMAR.keys()


def inside_probability(sentence):
    """Sum the probability of all derivations of a sentence."""

    @cache
    def symbol(name, start, end):
        if name not in GRAMMAR:
            return float(sentence[start:end] == (name,))
        return sum(p * sequence(rule, start, end) for rule, p in GRAMMAR[name].items())

    @cache
    def sequence(rule, start, end):
        if len(rule) == 1:
            return symbol(rule[0], start, end)
        middles = range(start + 1, end - len(rule) + 2)
        return sum(symbol(rule[0], start, m) * sequence(rule[1:], m, end) for m in middles)

    return symbol(START, 0, len(sentence))


def test_log_probability_is_that_of_all_derivations_together():
    # Were the grammar ambiguous, the sum over derivations would be more than the one drawn.
    text, log_probability = draw(100, seed=5, split="train")
    summed = sum(math.log(inside_probability(tuple(s.split()))) for s in text.splitlines())
    assert log_probability == pytest.approx(summed, rel=1e-12)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32))
def test_empirical_log_probability_per_token_is_near_the_entropy_rate(seed):
    text, log_probability = draw(1000, seed, "train")
    # The standard deviation over seeds is 0.4 percent.
    assert -log_probability / tokens(text) == pytest.approx(entropy_rate(), rel=0.03)


def test_the_more_sentences_the_nearer_the_entropy_rate():
    text, log_probability = draw(20_000, seed=0, split="train")
    assert -log_probability / tokens(text) == pytest.approx(entropy_rate(), rel=0.004)
    assert len(text.split()) / 20_000 == pytest.approx(sentence_length(), rel=0.01)


def test_text_has_a_sentence_a_line_and_only_words_of_the_grammar():
    text, _ = draw(200, seed=1, split="train")
    words = {s for rules in GRAMMAR.values() for rule in rules for s in rule if s not in GRAMMAR}
    assert text.count("\n") == 200
    assert text.endswith("\n")
    assert set(text.split()) <= words


def test_known_seed_gives_known_sentences():
    assert draw(3, seed=1984, split="train")[0] == (
        "today you walked near every tall teacher\n"
        "the tall river heard a teacher\n"
        "you ran near the king\n"
    )


def test_seed_and_split_give_texts_of_their_own():
    text = draw(20, seed=1, split="train")
    assert draw(20, seed=1, split="train") == text
    assert draw(20, seed=2, split="train") != text
    assert draw(20, seed=1, split="valid") != text


def test_more_sentences_begin_with_the_same_ones():
    few, many = draw(5, seed=1, split="train")[0], draw(9, seed=1, split="train")[0]
    assert many.startswith(few)
