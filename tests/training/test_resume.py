"""A training that was ended anywhere goes on to the same bits."""

import signal
import time
from collections.abc import Callable
from itertools import count

import pytest
import torch

from models.toys import (
    BF16,
    CPU,
    corpus,
    corpus_options,
    language_model,
    pairs,
    pairs_options,
    seq2seq,
)
from training.test_loop import WORDS
from unroll.errors import DataError
from unroll.models.layers import set_generator
from unroll.seeds import torch_generator
from unroll.training.checkpoint import Checkpoint, Snapshot
from unroll.training.interruption import Interrupted, Interruption
from unroll.training.loop import Epoch, Resumed, train
from unroll.training.objectives import CorpusObjective, PairsObjective

KEY = "k" * 16


class Run:
    """A run that can be begun again and again, each time in an objective of its own."""

    def __init__(self, make: Callable, path, every: int | None = None) -> None:
        self.make, self.checkpoint = make, Checkpoint(path, 0, KEY, every)
        self.messages: list = []

    def __call__(self, interruption: Interruption | None = None) -> tuple[list, dict]:
        objective, options, dropout = self.make()
        generators = {"dropout": dropout}
        history = train(
            objective, options, self.messages.append, self.checkpoint, generators, interruption
        )
        return history, objective.model.state_dict()


def pairs_run(**changes) -> Callable:
    def make():
        model, options = seq2seq(**changes), pairs_options(**changes)
        dropout = torch_generator(0, "dropout")
        set_generator(model, dropout)
        return PairsObjective(model, pairs(20), options, 0, CPU), options, dropout

    return make


def corpus_run(machine=CPU, **changes) -> Callable:
    def make():
        model, options = language_model(**changes), corpus_options(**changes)
        dropout = torch_generator(0, "dropout")
        set_generator(model, dropout)
        data = corpus(WORDS, valid=WORDS[1:21])
        return CorpusObjective(model, data, options, machine), options, dropout

    return make


class After(Interruption):
    """A request that comes after so many looks at it: after a step, or in a validation."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = count(1)
        self.last = looks
        self.error: type[BaseException] = Interrupted

    def check(self) -> None:
        if next(self.looks) == self.last:
            raise self.error


class Killed(BaseException):
    """What leaves no time for a checkpoint."""


CHANGES = {"dropout": 0.3, "layers": 2, "epochs": 3, "clip": 1.0}
RUNS = {
    "pairs, adam": pairs_run(optimizer="adam", **CHANGES),
    "pairs, sgd, one cycle": pairs_run(schedule="one_cycle", **CHANGES),
    "corpus, adamw, one cycle": corpus_run(
        optimizer="adamw", schedule="one_cycle", variational_dropout=True, **CHANGES
    ),
    "corpus, gru": corpus_run(cell="gru", **CHANGES),
    "corpus, bf16": corpus_run(BF16, optimizer="adam", **CHANGES),
}


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("make", RUNS.values(), ids=RUNS.keys())
def test_a_training_interrupted_anywhere_ends_with_the_same_bits(tmp_path, make):
    """At every look, and once more soon after it has gone on."""
    history, weights = Run(make, tmp_path / "whole")()
    for looks in count(1):
        run = Run(make, tmp_path / f"{looks}")
        try:
            run(After(looks))
        except Interrupted:
            with pytest.raises(Interrupted):
                run(After(2))
            run.messages.clear()
            found, same = run()
            assert isinstance(run.messages[0], Resumed)
            assert found == history
            assert equal(same, weights)
        else:
            break
    assert looks > 10


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("make", RUNS.values(), ids=RUNS.keys())
def test_a_training_that_was_killed_goes_on_from_its_last_checkpoint(tmp_path, make, every):
    """Killed: it has no time to write anything; here after each step and around each validation."""
    history, weights = Run(make, tmp_path / "whole")()
    for looks in count(1):
        run = Run(make, tmp_path / f"{looks}", every)
        kill = After(looks)
        kill.error = Killed
        try:
            run(kill)
        except Killed:
            kept = run.checkpoint.path.exists()
            run.messages.clear()
            found, same = run()
            assert isinstance(run.messages[0], Resumed) == kept
            assert found == history
            assert equal(same, weights)
        else:
            break
    assert looks > 10


def test_an_interruption_within_a_validation_leaves_the_epoch_unfinished(tmp_path):
    def make():
        objective, options, dropout = RUNS["corpus, gru"]()
        validate = objective.validate

        def interrupted():
            if asked.pop(0):
                signal.raise_signal(signal.SIGTERM)
                raise AssertionError("the validation was not left")
            return validate()

        objective.validate = interrupted
        return objective, options, dropout

    history, weights = Run(RUNS["corpus, gru"], tmp_path / "whole")()
    asked, run, interruption = [False, True], Run(make, tmp_path / "c"), Interruption()
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        interruption.listen()
        with pytest.raises(Interrupted):
            run(interruption)
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    facts = run.checkpoint.read().facts
    assert (len(facts["history"]), facts["step"]) == (1, make()[0].steps)
    asked += [False] * len(history)
    found, same = run()
    assert found == history
    assert equal(same, weights)


def test_seconds_are_of_a_clock_that_cannot_be_set(tmp_path, monkeypatch):
    now = count(10**9, -3600)  # whoever looks at the other one sees it fall by an hour
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    run = Run(RUNS["corpus, gru"], tmp_path / "c", every=1)
    with pytest.raises(Interrupted):
        run(After(3))
    run()
    epochs = [m for m in run.messages if isinstance(m, Epoch)]
    assert all(0 < e.train_seconds < 60 and 0 < e.valid_seconds < 60 for e in epochs)


def test_a_resumed_training_tells_the_epochs_before(tmp_path):
    make = RUNS["pairs, adam"]
    steps = make()[0].steps
    run = Run(make, tmp_path / "c")
    with pytest.raises(Interrupted):
        run(After(steps + 4))  # the steps and the validation's two looks, and one step more
    before = [m for m in run.messages if isinstance(m, Epoch)]
    run.messages.clear()
    run()
    [resumed] = [m for m in run.messages if isinstance(m, Resumed)]
    assert resumed.epochs == tuple(before)
    assert (len(before), resumed.step) == (1, 2)
    assert [m.epoch for m in run.messages if isinstance(m, Epoch)] == [2, 3]


def test_a_finished_training_only_tells_its_epochs(tmp_path):
    run = Run(RUNS["corpus, gru"], tmp_path / "c")
    history, weights = run()
    run.messages.clear()
    again, same = run()
    assert again == history
    assert equal(same, weights)
    [resumed] = run.messages
    assert [epoch.metrics for epoch in resumed.epochs] == history


def test_weights_that_are_not_finite_leave_the_last_good_checkpoint(tmp_path):
    make = pairs_run(learning_rate=1e38, batch_size=5)
    run = Run(make, tmp_path / "c", every=1)
    with pytest.raises(DataError, match=r"became (nan|inf) in epoch 1, by step \d; lower "):
        run()
    snapshot = run.checkpoint.read()
    assert snapshot.facts["step"] >= 1
    assert all(t.isfinite().all() for t in snapshot.tensors.values() if t.is_floating_point())


def test_a_request_within_a_block_that_allows_it_ends_the_block():
    interruption = Interruption()
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        interruption.listen()
        signal.raise_signal(signal.SIGINT)  # the parent's matter
        assert not interruption.requested
        signal.raise_signal(signal.SIGTERM)
        assert interruption.requested
        with pytest.raises(Interrupted):
            interruption.check()
        interruption.requested = False
        reached = []
        with pytest.raises(Interrupted), interruption.anywhere():
            signal.raise_signal(signal.SIGTERM)
            reached.append(True)
        assert not reached
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


def without(snapshot: Snapshot, name: str) -> Snapshot:
    tensors = {n: t for n, t in snapshot.tensors.items() if n != name}
    return Snapshot(tensors, {n: f for n, f in snapshot.facts.items() if n != name})


def misshapen(snapshot: Snapshot, name: str) -> Snapshot:
    tensor = snapshot.tensors[name]
    return Snapshot(
        {**snapshot.tensors, name: tensor[None].repeat(2, *[1] * tensor.ndim)}, snapshot.facts
    )


EPOCH = {"epoch": 1, "metrics": {}, "ended": 1.0, "train_seconds": 1.0, "valid_seconds": 1.0}
WRONG = {
    "step": [-1, 0, 10**9, None, "3"],
    "seconds": [-1.0, None, "1"],
    "history": [None, 3, [3], [{}], [{**EPOCH, "epoch": 2}], [{**EPOCH, "metrics": 3}]],
    "optimiser": [None, {}, {"schedule": [], "rates": []}],
}


@pytest.mark.parametrize("make", [pairs_run(dropout=0.5), corpus_run(optimizer="adam")])
def test_a_checkpoint_that_lacks_something_or_does_not_fit_is_refused_by_name(tmp_path, make):
    run = Run(make, tmp_path / "c", every=1)
    with pytest.raises(Interrupted):
        run(After(3))
    whole = run.checkpoint.read()
    assert whole.facts["step"] == 3
    parts = [n for n in whole.tensors if n.startswith(("model.", "optimiser.", "objective.c"))]
    wrong = [without(whole, n) for n in (*whole.tensors, *whole.facts)]
    wrong += [misshapen(whole, n) for n in parts if whole.tensors[n].ndim]
    wrong += [
        Snapshot(whole.tensors, {**whole.facts, name: value})
        for name, values in WRONG.items()
        for value in values
    ]
    assert len(wrong) > 20
    for snapshot in wrong:
        run.checkpoint.write(snapshot)
        with pytest.raises(DataError, match=r"cannot be used \(.+\); delete it, and the training"):
            run()
