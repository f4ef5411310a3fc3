"""Replies scored on validation and test: how likely the right ones are, and how varied the answers.

A model of dialogue that learns badly says one thing to everything ("I don't know": Li et al., 2016,
"A Diversity-Promoting Objective Function for Neural Conversation Models"), or repeats what it was
taught. Neither shows in the likelihood of right replies, so both are counted. And a reply may be
likely because it is a usual sentence, whatever was said: so each is given to another question, too.
"""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from unroll.data.pairs import Pairs
from unroll.evaluation import breakdown
from unroll.evaluation.accuracy import Accuracy, accuracy
from unroll.evaluation.evaluation import Evaluation
from unroll.evaluation.items import Item, influences
from unroll.evaluation.pairs import evaluate_answers, shown
from unroll.evaluation.texts import reference_losses
from unroll.models.seq2seq import Seq2Seq
from unroll.seeds import numpy_generator
from unroll.tasks.task import Task


def evaluate_replies(
    model: Seq2Seq, pairs: Pairs, padding: str, task: Task[Any], device: str
) -> Evaluation:
    """Score a model, in the precision of its weights, on the whole of each split."""
    found = {s: accuracy(model, pairs, s, padding, device) for s in ("valid", "test")}
    visible = shown(model, pairs, padding, device, found)
    scored = evaluate_answers(model, pairs, padding, task, device, found, visible)
    known = taught(pairs)
    items, scores = dict(scored.items), dict(scored.scores)
    for split, of in found.items():
        for name, item in together(model, pairs, split, padding, device, of, known).items():
            scores[f"{split}_{name}"] = (
                float(item.values.mean())
                if item.weights is None
                else float(np.exp(item.values.sum() / item.weights.sum()))
            )
            if split == "test":
                items[name] = item
    losses, counts = items["perplexity"].values, items["perplexity"].weights
    assert counts is not None
    properties = [*task.properties(pairs.questions("test")), *visible.properties]
    table = breakdown.of_texts(properties, losses, counts)
    return replace(scored, scores=scores, items=items, breakdown=table)


def taught(pairs: Pairs) -> set[str]:
    """Return the replies of train as a model can say them: a rare word is an unknown one to it."""
    return set(pairs.targets["train"].texts(pairs.form.answers))


def together(
    model: Seq2Seq,
    pairs: Pairs,
    split: str,
    padding: str,
    device: str,
    found: Accuracy,
    known: set[str],
) -> dict[str, Item]:
    """Return what answers are together: how many differ, and how many are `known` from train.

    And by how much likelier each reply is to its own question than to another one.
    """
    copied = np.array([text in known for text in found.texts])
    times = Counter(found.texts)
    once = sum(count == 1 for count in times.values())
    alone = np.array([[1, times[text] == 1] for text in found.texts], dtype=float)
    # Without an answer that was given once there is one different answer less.
    distinct = influences(alone, lambda of: float((len(times) - once + of[1]) / of[0]))
    own, lengths = reference_losses(model, pairs, split, padding, device)
    others, _ = reference_losses(model, shuffled(pairs, split), split, padding, device)
    return {
        "distinct_answers": Item(distinct),
        "copied_answers": Item(copied.astype(np.uint8)),
        "against_shuffled": Item(own - others, lengths.astype(np.int32)),
    }


def shuffled(pairs: Pairs, split: str) -> Pairs:
    """Return pairs in which each reply of a split stands behind the question of another one."""
    sources = pairs.sources[split]
    order = numpy_generator(0, "shuffled replies").permutation(len(sources))
    others = np.empty(len(order), dtype=int)
    others[order] = np.roll(order, 1)  # one round through all of them: none keeps its own
    return replace(pairs, sources={**pairs.sources, split: sources.part(others)})
