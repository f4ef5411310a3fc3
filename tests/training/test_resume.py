"""A training that was ended anywhere goes on to the same bits."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

import pytest
import torch

from models.toys import BF16
from training.made import (
    bfloat16_anywhere,
    corpus_run,
    labels_run,
    made_up_run,
    pairs_run,
    ragged_run,
)
from unroll.errors import DataError, TrainingError
from unroll.training.checkpoint import Checkpoint, Snapshot
from unroll.training.interruption import Interrupted, Interruption
from unroll.training.loop import Epoch, Resumed, train

KEY = "k" * 16


class Run:
    """A run that can be begun again and again, each time in an objective of its own."""

    def __init__(self, make: Callable, path, every: int | None = None) -> None:
        self.make, self.checkpoint = make, Checkpoint(path, 0, KEY, every)
        self.messages: list = []

    def __call__(self, interruption: Interruption | None = None) -> tuple[list, dict]:
        objective, options = self.make()
        history = train(objective, options, self.messages.append, self.checkpoint, interruption)
        return history, objective.model.state_dict()


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
RAGGED = {**CHANGES, "decoder": "attention", "reverse_source": True, "teacher_forcing": 0.5}
RUNS = {
    "pairs, adam": partial(pairs_run, optimizer="adam", batch_size=6, **CHANGES),
    "pairs, sgd, one cycle": partial(pairs_run, schedule="one_cycle", batch_size=6, **CHANGES),
    "pairs, drawn again, rmsprop": partial(
        ragged_run,
        optimizer="rmsprop",
        with_replacement=True,
        embedding="one_hot",
        decoder="input_feeding",
        loss="sequence",
        label_smoothing=0.1,
        batch_size=6,
        **CHANGES,
    ),
    "pairs, ragged, forced by step": partial(ragged_run, optimizer="adam", **RAGGED),
    "pairs, ragged, forced by sequence": partial(
        ragged_run, teacher_forcing_by="sequence", **RAGGED
    ),
    "pairs, combined, read twice": partial(
        made_up_run,
        "pairs",
        curriculum="combined",
        double_source=True,
        padding="masked",
        optimizer="adam",
        **CHANGES,
    ),
    "replies": partial(made_up_run, "replies", padding="masked", optimizer="adam", **CHANGES),
    "captions": partial(
        made_up_run,
        "captions",
        decoder="attention",
        padding="masked",
        optimizer="adamw",
        **CHANGES,
    ),
    "labels, ragged": partial(
        labels_run, padding="masked", pooling="attention", optimizer="adamw", **CHANGES
    ),
    "corpus, adamw, one cycle": partial(
        corpus_run, optimizer="adamw", schedule="one_cycle", variational_dropout=True, **CHANGES
    ),
    "corpus, gru": partial(corpus_run, cell="gru", **CHANGES),
    "corpus, awd": partial(
        corpus_run,
        weight_drop=0.3,
        embedding_dropout=0.1,
        slowness_penalty=1.0,
        random_time_steps=True,
        keep="average",
        averaged_epochs=2,
        **CHANGES,
    ),
    "corpus, mogrified": partial(corpus_run, mogrifier_rounds=3, keep="best", **CHANGES),
    "corpus, muon": partial(
        corpus_run, optimizer="muon", schedule="on_plateau", softmaxes=2, **CHANGES
    ),
    "corpus, bf16": partial(corpus_run, machine=BF16, optimizer="adam", **CHANGES),
}


@pytest.fixture(autouse=True)
def bfloat16(request: pytest.FixtureRequest) -> Iterator[None]:
    with bfloat16_anywhere() if "bf16" in request.node.name else contextlib.nullcontext():
        yield


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
        objective, options = RUNS["corpus, gru"]()
        validate = objective.validate

        def interrupted():
            if asked.pop(0):
                signal.raise_signal(signal.SIGTERM)
                raise AssertionError("the validation was not left")
            return validate()

        objective.validate = interrupted
        return objective, options

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
    run = Run(partial(pairs_run, learning_rate=1e38, batch_size=5), tmp_path / "c", every=1)
    with pytest.raises(TrainingError, match=r"became (nan|inf) in epoch 1, by step \d; lower "):
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


def with_tensor(snapshot: Snapshot, name: str, tensor: torch.Tensor) -> Snapshot:
    return Snapshot({**snapshot.tensors, name: tensor}, snapshot.facts)


def with_fact(snapshot: Snapshot, name: str, value: object) -> Snapshot:
    return Snapshot(snapshot.tensors, {**snapshot.facts, name: value})


EPOCH = {"epoch": 1, "metrics": {}, "ended": 1.0, "train_seconds": 1.0, "valid_seconds": 1.0}
NUMBERS = ("ended", "train_seconds", "valid_seconds")
WRONG = {
    "step": [-1, 0, 10**9, None, "3", 1.5, True],
    "seconds": [-1.0, None, "1", float("nan"), float("inf")],
    "history": [
        None,
        3,
        [3],
        [{}],
        [{**EPOCH, "epoch": 2}],
        [EPOCH, EPOCH],
        [{**EPOCH, "metrics": 3}],
        [{**EPOCH, "metrics": {"train_loss": "3"}}],
        [{**EPOCH, "metrics": {"train_loss": float("nan")}}],
        [{**EPOCH, "more": 1}],
        *([{**EPOCH, name: float("inf")}] for name in NUMBERS),
        *([{n: v for n, v in EPOCH.items() if n != name}] for name in EPOCH),
        [{**EPOCH, "epoch": epoch} for epoch in range(1, 5)],  # of three
    ],
    "more": [1],
}
UNFIT = {
    "pairs": partial(pairs_run, dropout=0.5, epochs=3),
    "pairs, ragged, forced": partial(ragged_run, optimizer="adam", **RAGGED),
    "labels": partial(labels_run, optimizer="adam", epochs=3, dropout=0.5),
    "corpus": partial(corpus_run, optimizer="adam", epochs=3, time_steps=2),
}


def snapshot_within_an_epoch(run: Run) -> Snapshot:
    with pytest.raises(Interrupted):
        run(After(2))
    snapshot = run.checkpoint.read()
    assert snapshot.facts["step"] == 2
    return snapshot


def refused(run: Run, snapshot: Snapshot) -> str:
    """Return what is said of a snapshot that does not fit."""
    run.checkpoint.write(snapshot)
    with pytest.raises(DataError) as caught:
        run()
    message, path = str(caught.value), run.checkpoint.path
    assert message.startswith(f"the checkpoint {path} cannot be used (")
    assert message.endswith("); delete it, and the training begins anew")
    return message


@pytest.mark.parametrize("make", UNFIT.values(), ids=UNFIT.keys())
def test_a_checkpoint_without_something_or_with_another_shape_is_refused(tmp_path, make):
    run = Run(make, tmp_path / "c", every=1)
    whole = snapshot_within_an_epoch(run)
    for name in (*whole.tensors, *whole.facts):
        refused(run, without(whole, name))
    for name, tensor in whole.tensors.items():
        for wrong in (torch.stack([tensor] * 2), tensor[..., :0] if tensor.ndim else tensor[None]):
            refused(run, with_tensor(whole, name, wrong))
    groups = {name.partition(".")[0] for name in whole.tensors}
    assert {"model", "generator", "total"} <= groups
    run.checkpoint.write(whole)
    run()  # the whole one is fine


@pytest.mark.parametrize("make", UNFIT.values(), ids=UNFIT.keys())
def test_a_checkpoint_that_says_nonsense_of_where_it_stands_is_refused(tmp_path, make):
    run = Run(make, tmp_path / "c", every=1)
    whole = snapshot_within_an_epoch(run)
    for name, values in WRONG.items():
        for value in values:
            refused(run, with_fact(whole, name, value))
    assert "too many epochs" in refused(run, with_fact(whole, "history", WRONG["history"][-1]))


@pytest.mark.parametrize("name", ["dropout", "teacher_forcing"])
def test_a_state_that_is_none_of_a_generator_is_refused_with_its_name(tmp_path, name):
    run = Run(UNFIT["pairs, ragged, forced"], tmp_path / "c", every=1)
    whole = snapshot_within_an_epoch(run)
    state = whole.tensors[f"generator.{name}"]
    for wrong in (torch.full_like(state, 255), state.int(), state.double()):
        assert f"generator {name}" in refused(run, with_tensor(whole, f"generator.{name}", wrong))


def test_at_the_end_of_an_epoch_nothing_of_it_is_left_to_keep(tmp_path):
    run = Run(UNFIT["corpus"], tmp_path / "c")
    with pytest.raises(Interrupted):
        run(After(run.make()[0].steps + 3))  # the steps, two looks around a validation, a step
    within = run.checkpoint.read()
    assert (len(within.facts["history"]), within.facts["step"]) == (1, 1)
    for wrong in (with_fact(within, "step", 0), without(within, "total")):
        assert "is no step of the epoch" in refused(run, wrong)


def test_a_bug_within_is_no_reason_to_delete_a_checkpoint(tmp_path):
    def make():
        objective, options = UNFIT["corpus"]()
        objective.restore = lambda state: objective.no_such_thing
        return objective, options

    run = Run(UNFIT["corpus"], tmp_path / "c", every=1)
    snapshot_within_an_epoch(run)
    kept = run.checkpoint.path.read_bytes()
    with pytest.raises(AttributeError, match="no_such_thing"):
        Run(make, tmp_path / "c", every=1)()
    assert run.checkpoint.path.read_bytes() == kept


@pytest.mark.parametrize("error", [AttributeError, KeyError, TypeError, ValueError, RuntimeError])
def test_nor_is_one_in_the_optimiser(tmp_path, monkeypatch, error):
    def broken(*arguments):
        raise error("a bug")

    run = Run(UNFIT["corpus"], tmp_path / "c", every=1)
    snapshot_within_an_epoch(run)
    monkeypatch.setattr(torch.optim.Adam, "load_state_dict", broken)
    with pytest.raises(error, match="a bug"):
        run()
