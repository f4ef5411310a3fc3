"""Addition at the book's setting, beside NumPy with gradients by hand.

Questions of up to three digits; V 13, D 16, H 128, batches of 128, Adam, the gradient clipped at 5.
NumPy trains the same model as `baseline` (benchmarks/references/numpy_seq2seq.py; a test holds
its loss and its gradients equal to this project's). Answers are greedy: all questions of a split at
once, or one after another.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from measurements.pairs import answering, training_operations
from references.numpy_seq2seq import Seq2Seq
from results import Found
from trainings import epochs_of, precision, training
from turns import Turns
from unroll.data.batches import batches
from unroll.data.pairs import Pairs
from unroll.options import PairsOptions
from unroll.tasks.addition import Addition, AdditionOptions

UNIT = "questions a second"


def measure(turns: Turns, data: Any, options: Any, variants: Mapping[str, Any]) -> Iterator[Found]:
    """Yield training and answering of each variant; the first is the one that NumPy has too."""
    pairs = Addition(AdditionOptions.model_validate(data)).prepare()
    for name, own in variants.items():
        one = training("pairs", pairs, **{**options, **own})
        steps, size = epochs_of(one), one.objective.batch_size
        train = {f"unroll, {precision()}": lambda steps=steps, size=size: size * steps()}
        answer = answering(one, pairs)
        if name == next(iter(variants)):
            plain = of_size(pairs, one.objective.options)
            train["NumPy, float32"] = epochs_in_numpy(plain, pairs, one.objective.options)
            answer["NumPy, all at once"] = answers_in_numpy(plain, pairs)
        yield turns.compared(f"training {name}", UNIT, train, training_operations(one, pairs))
        yield turns.compared(f"answering with {name}", UNIT, answer)


def of_size(pairs: Pairs, options: PairsOptions) -> Seq2Seq:
    """Return the model in NumPy."""
    return Seq2Seq(len(pairs.form.source), options.embedding_size, options.hidden_size)


def epochs_in_numpy(model: Seq2Seq, pairs: Pairs, options: PairsOptions) -> Callable[[], int]:
    """Return what trains for an epoch in NumPy, and says how many questions that were."""
    source, target = (np.asarray(of["train"].ids) for of in (pairs.sources, pairs.targets))
    lengths = [np.zeros(len(source), int)]
    epoch = 0

    def take() -> int:
        nonlocal epoch
        epoch += 1
        order = batches(lengths, options.batch_size, 0, epoch)
        for rows in (of.numpy() for of in order):
            model.step(source[rows], target[rows], options.learning_rate, options.clip)
        return sum(map(len, order))

    return take


def answers_in_numpy(model: Seq2Seq, pairs: Pairs) -> Callable[[], int]:
    """Return what answers the validation split in NumPy, and says how many questions it has."""
    source, form = np.asarray(pairs.sources["valid"].ids), pairs.form

    def take() -> int:
        return len(model.answer(source, form.answers["start"], form.target_width - 1))

    return take
