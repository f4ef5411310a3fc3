"""A built-in corpus: sentences drawn from a small probabilistic grammar.

The grammar is unambiguous, so the entropy of a sentence is that of its derivation, and
what the best possible language model can reach is known: the perplexity of a text under
the grammar itself, on average `exp(entropy_rate())`.
"""

from collections.abc import Mapping

import numpy as np

from unroll.seeds import numpy_generator

START = "S"


def _zipf(*words: str) -> dict[tuple[str, ...], float]:
    """Return each word as an expansion whose probability falls with its rank."""
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    return {(word,): w / sum(weights) for word, w in zip(words, weights, strict=True)}


# Upper-case names are expanded further; everything else is a word. Each sentence has
# one derivation only: determiners, adjectives, verbs and so on share no word, and a
# relative clause always begins with `that`.
GRAMMAR: dict[str, dict[tuple[str, ...], float]] = {
    "S": {("SUBJECT", "PREDICATE"): 0.75, ("TIME", "SUBJECT", "PREDICATE"): 0.25},
    "SUBJECT": {("NP",): 0.6, ("PRONOUN",): 0.4},
    "PREDICATE": {("VERB", "NP"): 0.6, ("MOVE", "PLACE"): 0.4},
    "NP": {("DET", "NOUN"): 0.5, ("DET", "ADJ", "NOUN"): 0.3, ("DET", "NOUN", "CLAUSE"): 0.2},
    "CLAUSE": {("that", "PRONOUN", "VERB"): 0.6, ("that", "VERB", "NP"): 0.4},
    "PLACE": {("PREP", "NP"): 1.0},
    "TIME": _zipf("today", "yesterday", "sometimes"),
    "PRONOUN": _zipf("you", "she", "he", "we", "they"),
    "DET": _zipf("the", "a", "every", "some"),
    "ADJ": _zipf("tall", "small", "quiet", "green", "clever", "strange"),
    "NOUN": _zipf("cat", "teacher", "river", "house", "bird", "child", "garden", "letter", "king"),
    "VERB": _zipf("saw", "liked", "heard", "found", "painted", "forgot"),
    "MOVE": _zipf("walked", "ran", "looked", "waited"),
    "PREP": _zipf("near", "behind", "into", "under"),
}


def sentence_entropy(grammar: Mapping[str, Mapping[tuple[str, ...], float]] = GRAMMAR) -> float:
    """Return the entropy of a sentence, in nats.

    The entropy below a symbol is that of its choice plus the expected entropy of what it
    expands to; recursion makes this a linear system, h = choice + A h.
    """
    choice = [-sum(p * np.log(p) for p in rules.values()) for rules in grammar.values()]
    return _solve(grammar, np.array(choice))


def sentence_length(grammar: Mapping[str, Mapping[tuple[str, ...], float]] = GRAMMAR) -> float:
    """Return the expected number of words of a sentence, `<eos>` not counted."""
    words = [
        sum(p * sum(symbol not in grammar for symbol in rule) for rule, p in rules.items())
        for rules in grammar.values()
    ]
    return _solve(grammar, np.array(words))


def entropy_rate() -> float:
    """Return the entropy per token, in nats; the `<eos>` of a sentence counts as a token."""
    return sentence_entropy() / (sentence_length() + 1)


def _solve(grammar: Mapping[str, Mapping[tuple[str, ...], float]], own: np.ndarray) -> float:
    names = list(grammar)
    expected = np.zeros((len(names), len(names)))
    for i, rules in enumerate(grammar.values()):
        for rule, p in rules.items():
            for symbol in rule:
                if symbol in grammar:
                    expected[i, names.index(symbol)] += p
    return float(np.linalg.solve(np.eye(len(names)) - expected, own)[names.index(START)])


def draw(sentences: int, seed: int, split: str) -> tuple[str, float]:
    """Return a text of so many sentences, one a line, and its log-probability in nats."""
    random = numpy_generator(seed, "grammar", split)
    lines, log_probability = [], 0.0
    for _ in range(sentences):
        words: list[str] = []
        log_probability += _expand(START, words, random)
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n", log_probability


def _expand(symbol: str, words: list[str], random: np.random.Generator) -> float:
    if symbol not in GRAMMAR:
        words.append(symbol)
        return 0.0
    rules = list(GRAMMAR[symbol].items())
    rule, p = rules[int(np.searchsorted(np.cumsum([p for _, p in rules])[:-1], random.random()))]
    return float(np.log(p)) + sum(_expand(part, words, random) for part in rule)
