"""A sweep in its database: the trials that there are, and one after another to train.

The trials are made before the first begins, all of them. A process takes one by its lock, which it
loses when it ends: a trial that is under way and whose lock can be had is one of a process that is
gone, and is begun anew under its number. So there are always as many as were asked for.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import optuna
from optuna import Trial, create_study
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from unroll.errors import DataError, UserError, first_line, without_secrets
from unroll.evaluation.scores import six_digits
from unroll.lifetime import undisturbed
from unroll.seeds import derive
from unroll.sweeps.locks import DatabaseLocks, FileLocks, Locks
from unroll.sweeps.space import Range, Space, is_real

STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
SAMPLER_SEEDS = 2**32  # so many there are
SQLITE = {"connect_args": {"timeout": 60}}  # seconds to wait for another process that writes
IDENTITY = "identity"  # of a sweep
OPTIONS, REASON = "options", "reason"  # of a trial, beside what Optuna keeps itself


class Pruned(Exception):  # noqa: N818 - as one says it of a trial
    """After this epoch a trial is worse than half of those before it."""


@dataclass(frozen=True)
class Outcome:
    """A trial that has ended; times are seconds since 1970."""

    number: int
    state: str  # complete, pruned, failed
    value: float | None
    params: Mapping[str, Any]  # the options that are searched
    options: Mapping[str, Any]  # all that are known of it
    reason: str  # why it has failed
    epochs: Mapping[int, float]  # the value after each
    started: float
    ended: float


class Search:
    """The trials of a sweep.

    What writes is undisturbed: a transaction that was left in its middle would hold up others.
    """

    def __init__(
        self, address: URL, name: str, key: str, space: Space, higher_is_better: bool
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.name, self.space = f"{name}.{key}", space
        self.locks = _locks(address)
        sqlite = address.get_backend_name() == "sqlite"
        with self.locks.held("create"):  # tables, and trials that two would make twice
            self.storage = RDBStorage(
                address.render_as_string(hide_password=False),
                SQLITE if sqlite else {"pool_pre_ping": True},
            )
            self.study = create_study(
                storage=self.storage,
                study_name=self.name,
                direction="maximize" if higher_is_better else "minimize",
                pruner=MedianPruner(n_warmup_steps=space.prune_after),
                load_if_exists=True,
            )
            for _ in range(len(self.study.trials), space.trials):
                self.study.add_trial(create_trial(state=TrialState.WAITING))
            if IDENTITY not in self.study.user_attrs:  # the same sweep in two databases is two
                self.study.set_user_attr(IDENTITY, uuid4().hex[:16])
        self.identity: str = self.study.user_attrs[IDENTITY]
        known = optuna.get_all_study_names(self.storage)
        self.others = sum(one.rpartition(".")[0] == name for one in known) - 1  # of other keys

    def trials_left(self, wait: Callable[[], None]) -> Iterator[Trial]:
        """Yield trials to train until all have ended; `wait` while others train the last ones."""
        while any(not frozen.state.is_finished() for frozen in self._trials()):
            if (trial := self.take()) is not None:
                yield trial
            else:
                wait()

    @undisturbed()
    def take(self) -> Trial | None:
        """Return a trial that is now this process's own; None where all are done or taken."""
        for frozen in self._trials():
            if frozen.state.is_finished() or not self.locks.take(self._lock(frozen.number)):
                continue
            if not self.storage.get_trial(frozen._trial_id).state.is_finished():
                return self._begin(frozen)
            self.locks.release(self._lock(frozen.number))  # it has ended meanwhile
        return None

    def _begin(self, frozen: FrozenTrial) -> Trial:
        for state in (TrialState.WAITING, TrialState.RUNNING):  # anew, also where it was under way
            self.storage.set_trial_state_values(frozen._trial_id, state)
        # What is drawn depends on the trial and those before it, not on who has drawn before.
        seed = derive(self.space.seed, "trial", str(frozen.number)) % SAMPLER_SEEDS
        self.study.sampler = TPESampler(seed=seed)
        return Trial(self.study, frozen._trial_id)

    @undisturbed()
    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Return the options of a trial that are searched."""
        for option, among in self.space.searched.items():
            if not isinstance(among, Range):
                trial.suggest_categorical(option, among)
            elif is_real(self.space.base, option):
                low, high = float(among.low), float(among.high)
                trial.suggest_float(option, low, high, step=among.step, log=among.log)
            else:
                bounds, step = (int(among.low), int(among.high)), int(among.step or 1)
                trial.suggest_int(option, *bounds, step=step, log=among.log)
        return self._used(trial.params)

    @undisturbed()
    def describe(self, trial: Trial, options: Mapping[str, Any]) -> None:
        """Note all options of a trial, also those that are not searched."""
        trial.set_user_attr(OPTIONS, options)

    @undisturbed()
    def report(self, trial: Trial, epoch: int, value: float) -> None:
        """Note what an epoch has brought.

        Raises:
            Pruned: it is to be the trial's last.
        """
        with warnings.catch_warnings(action="ignore"):  # of a trial that was begun before
            trial.report(value, epoch)
        if trial.should_prune():
            raise Pruned

    @undisturbed()
    def end(
        self, trial: Trial, state: TrialState, value: float | None = None, reason: str = ""
    ) -> None:
        """Note how a trial has ended; one that another process has taken up stays as it is."""
        with suppress(UpdateFinishedTrialError):
            trial.set_user_attr(REASON, reason)
            self.study.tell(trial.number, value, state, skip_if_finished=True)
        self.locks.release(self._lock(trial.number))

    @undisturbed()
    def put_back(self, trial: Trial) -> None:
        """Leave a trial to whoever is next."""
        with suppress(UpdateFinishedTrialError):
            self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
        self.locks.release(self._lock(trial.number))

    def outcomes(self) -> list[Outcome]:
        """Return the trials that have ended."""
        return [self._outcome(trial) for trial in self._trials() if trial.state in STATES]

    def best(self, outcomes: Sequence[Outcome]) -> Outcome | None:
        """Return the best of the trials that are complete; of equal ones the first."""
        complete = [one for one in outcomes if one.state == "complete"]
        sign = -1 if self.study.direction.name == "MAXIMIZE" else 1
        return min(complete, key=lambda one: sign * (one.value or 0.0), default=None)

    def _outcome(self, trial: FrozenTrial) -> Outcome:
        assert trial.datetime_start is not None and trial.datetime_complete is not None
        return Outcome(
            trial.number,
            STATES[trial.state],
            None if trial.state == TrialState.FAIL else trial.value,
            self._used(trial.params),
            trial.user_attrs.get(OPTIONS, {}),
            trial.user_attrs.get(REASON, ""),
            trial.intermediate_values,
            trial.datetime_start.timestamp(),
            trial.datetime_complete.timestamp(),
        )

    def _used(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was drawn as it is trained: with six digits, so that it can be typed."""
        ranges = {n for n, among in self.space.searched.items() if isinstance(among, Range)}
        return {
            n: six_digits(v) if n in ranges and isinstance(v, float) else v
            for n, v in params.items()
        }

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)[: self.space.trials]

    def _lock(self, number: int) -> str:
        return f"{self.name}-trial-{number}"


def address_of(given: str) -> URL:
    """Return the address of a database: a file of SQLite, or a PostgreSQL server.

    Raises:
        UserError: it is none of these.
    """
    try:
        address = make_url(given)
    except ArgumentError:
        address = None
    backend = address.get_backend_name() if address else ""
    if address is None or backend not in ("sqlite", "postgresql"):
        raise UserError(
            f"{without_secrets(given)} is no database for a sweep; give "
            "postgresql://USER@HOST/NAME, or sqlite:///FILE.db"
        )
    if backend == "sqlite" and (not address.database or address.database == ":memory:"):
        raise UserError(f"{given} keeps nothing; name a file: sqlite:///FILE.db")
    return address if backend == "sqlite" else address.set(drivername="postgresql+psycopg")


@contextmanager
def reached(address: URL) -> Iterator[None]:
    """Let what a database does wrong within the block be told with its address and the way out.

    Raises:
        UserError: what speaks with PostgreSQL is not installed.
        DataError: the database cannot be reached, read or written.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise UserError(
            "a sweep on PostgreSQL needs psycopg, which is not installed; run: "
            "pip install 'unroll[team]'"
        ) from None
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        shown = without_secrets(address.render_as_string())
        raise DataError(
            f"the database of the sweep, {shown}, cannot be used "
            f"({first_line(cause or error)}); see to it, and run the same command again: it goes "
            "on from here"
        ) from None


def _locks(address: URL) -> Locks:
    if address.get_backend_name() == "sqlite":
        return FileLocks(Path(f"{address.database}.locks"))
    return DatabaseLocks(address)
