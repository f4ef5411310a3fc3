"""A sweep: the trials of a space file, one after another, until all that there are have ended."""

import hashlib
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from unroll.errors import UserError, first_line, without_secrets
from unroll.kinds import kind_of
from unroll.plans.plan import plan_digest
from unroll.plans.training import MACHINE, training_plan
from unroll.storage.folders import digest
from unroll.study import ROOT_STUDY, Study
from unroll.sweeps.space import Range, Space, read_space
from unroll.tracking.address import shown_uri
from unroll.tracking.state import experiment_name
from unroll.training.machine import choose
from unroll.training.progress import moves

if TYPE_CHECKING:
    from unroll.sweeps.search import Outcome, Search
    from unroll.tracking.sweeps import SweepRuns

DATABASE = "sqlite:///sweeps.db"  # in the project's root
PATIENCE = 1.0  # seconds between two looks at what others train


def sweep(study: Study, file: Path, storage: str | None = None) -> None:
    """Train the trials of a space file that are left; tell which options are the best.

    Other processes may have the same sweep: each trial is trained by one of them.

    Raises:
        UserError: the space file or the address of the database cannot be used, or a package that
            it needs is not installed.
        DataError: the task's data are not prepared, or the database cannot be reached.
    """
    space = read_space(file, study)
    _check_installed()
    from unroll.sweeps.search import Search, address_of, reached
    from unroll.sweeps.trial import run_trial

    address, kind = address_of(storage or DATABASE), kind_of(space.base)
    prepared, machine = study.prepared(space.base.task), choose(study.compute)
    with study.remedy(f"prepare@{space.base.task}"):
        data = kind.load(prepared)
    key = _key(study, space, digest(prepared))
    machine.prepare_process()
    where = experiment_name(study.name, space.base.task)
    with reached(address):
        search = Search(address, f"{where}.{space.name}", key, space, kind.main.higher_is_better)
        _tell_beginning(search, address.render_as_string())
        tracking = _Tracking(search, study, where)
        tracking()
        with _status() as show:
            for trial in search.trials_left(lambda: _wait(show)):
                run_trial(search, trial, study, data, machine, _noting(show, space, trial.number))
                _tell(search, trial.number)
                tracking()
        tracking(at_end=True)
        _tell_end(study, search)


def _check_installed() -> None:
    if importlib.util.find_spec("optuna") is None:
        raise UserError("unroll sweep needs Optuna, which is not installed; run: "
                        "pip install 'unroll[sweep]'")  # fmt: skip


def _key(study: Study, space: Space, data: str) -> str:
    """Return a digest of what determines a sweep: options, space, data, and what the code does.

    With another of these it is another sweep; what is put back goes on where it stood.
    """
    MACHINE.prepare_process()
    plan = plan_digest(training_plan(space.base, study.compute))
    searched = {
        option: among.model_dump() if isinstance(among, Range) else among
        for option, among in space.searched.items()
    }
    budget = study.variants.get(space.base.match_parameters or "")
    parts = [plan, data, space.base.seeds, searched, space.seed, space.prune_after]
    parts += [budget.model_dump() if budget else None]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


class _Tracking:
    """Brings MLflow to what the database holds; where MLflow fails, the sweep goes on."""

    def __init__(self, search: "Search", study: Study, where: str) -> None:
        self.search, self.study, self.where = search, study, where
        self.runs: SweepRuns | None = None
        self.failed = False

    def __call__(self, at_end: bool = False) -> None:
        """Add what MLflow lacks; one process at a time, so that no run is made twice.

        Before the end nobody waits for another one that does so: whoever is next adds the rest.
        """
        locks, lock = self.search.locks, f"{self.search.name}-tracking"
        if not self.failed and locks.take(lock, wait=at_end):
            try:
                self._bring(at_end)
            except UserError:
                raise
            except Exception as error:  # whatever the server, its database or the network does
                self.failed = True
                print(
                    f"warning: MLflow at {shown_uri()} could not be written ({first_line(error)}); "
                    "the sweep goes on, and the same command adds later what is missing",
                    file=sys.stderr,
                )
            finally:
                locks.release(lock)

    def _bring(self, at_end: bool) -> None:
        from unroll.tracking.sweeps import SweepRuns, sweep_run

        space = self.search.space
        if self.runs is None:
            facts = {"study": self.study.name, "task": space.base.task, "variant": space.variant,
                     "seeds": space.base.seeds, "sampler_seed": space.seed,
                     "prune_after": space.prune_after}  # fmt: skip
            facts |= {f"fixed.{option}": value for option, value in space.fixed.items()}
            facts |= {f"space.{option}": among for option, among in space.searched.items()}
            run = sweep_run(self.search.identity, space.name, facts)
            self.runs = SweepRuns(self.where, run, kind_of(space.base))
        outcomes = self.search.outcomes()
        self.runs.bring(outcomes)
        if at_end:
            self.runs.finish(self.search.best(outcomes))


# What is told


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """Yield what shows where a trial stands, where a terminal can take it back."""
    console = Console()
    if not moves(console):
        yield lambda text: None
        return
    with console.status("") as status:
        yield lambda text: status.update(Text(text))


def _noting(show: Callable[[str], None], space: Space, number: int) -> Callable[[int, float], None]:
    """Return what shows how far a trial has come."""
    main = kind_of(space.base).main

    def note(epoch: int, value: float) -> None:
        epochs = space.base.epochs
        show(f"trial {number}  epoch {epoch}/{epochs}  {main.title} {main.show(value)}")

    return note


def _wait(show: Callable[[str], None]) -> None:
    show("other processes train the last trials; waiting for them")
    time.sleep(PATIENCE)


def _tell_beginning(search: "Search", address: str) -> None:
    space, ended = search.space, len(search.outcomes())
    print(
        f"{search.name}: {space.trials} trials of {space.variant} in {without_secrets(address)}, "
        f"{ended} have ended",
        flush=True,
    )
    if search.others and not ended:
        print(
            f"begun anew: {search.others} under this name had another space, other options, data "
            "or code; they are kept",
            flush=True,
        )


def _tell(search: "Search", number: int) -> None:
    """Print how a trial has ended, and the best so far."""
    outcomes = search.outcomes()
    one = next(one for one in outcomes if one.number == number)
    parts = [f"trial {number}", one.state, *_brought(search, one)]
    parts += [f"{name} {_plain(value)}" for name, value in one.params.items()]
    if best := search.best(outcomes):
        parts.append(f"best {_value(search, best)} (trial {best.number})")
    print("  ".join([*parts, f"{len(outcomes)}/{search.space.trials}"]), flush=True)


def _brought(search: "Search", one: "Outcome") -> list[str]:
    value = [f"{kind_of(search.space.base).main.title} {_value(search, one)}"]
    return [f"({one.reason})"] if one.reason else value


def _value(search: "Search", one: "Outcome") -> str:
    return "" if one.value is None else kind_of(search.space.base).main.show(one.value)


def _plain(value: Any) -> str:
    """Return a value as YAML has it."""
    return value if isinstance(value, str) else json.dumps(value)


def _tell_end(study: Study, search: "Search") -> None:
    """Print all trials, the best first, and how to train the best options."""
    space, outcomes = search.space, search.outcomes()
    best = search.best(outcomes)
    print(f"\n{_table(search, outcomes)}\n")
    if best is None:
        print("no trial is complete: the reasons stand above")
        return
    main, count = kind_of(space.base).main, len(space.base.seeds)
    over = f", the mean of {count} seeds" if count > 1 else ""
    print(f"best: trial {best.number}, {main.title} {_value(search, best)} on validation{over}")
    if space.fixed:
        told = ", ".join(f"{name} {_plain(value)}" for name, value in space.fixed.items())
        print(f"fixed for the trials, and not part of what follows: {told}")
    print(f"to train {space.variant} with it:\n\n  {winner(study, space, best.params)}")


def _table(search: "Search", outcomes: Sequence["Outcome"]) -> str:
    first = search.best(outcomes)
    sign = -1 if kind_of(search.space.base).main.higher_is_better else 1
    order = {"complete": 0, "pruned": 1, "failed": 2}
    ranked = sorted(outcomes, key=lambda o: (o is not first, order[o.state], sign * (o.value or 0)))
    rows = [
        {
            "trial": one.number,
            "state": one.state,
            kind_of(search.space.base).main.title: _value(search, one),
            **{name: _plain(value) for name, value in one.params.items()},
            "epochs": len(one.epochs),
            "seconds": round(one.ended - one.started),
            "reason": one.reason,
        }
        for one in ranked
    ]
    table = pd.DataFrame(rows).fillna("")
    if not any(one.reason for one in outcomes):
        table = table.drop(columns="reason")
    return table.to_string(index=False, max_colwidth=60)


def winner(study: Study, space: Space, params: Mapping[str, Any]) -> str:
    """Return the command that trains a variant with the options that a trial has found."""
    options = space.changed(space.options(study, params), params)
    file = study.params_file.as_posix()
    lines = ["dvc exp run"]
    lines += [
        f"-S '{file}:++variants.{space.variant}.{name}={_plain(value)}'"
        for name, value in options.items()
    ]
    if study.name != ROOT_STUDY:
        lines.append(study.dvc_file.as_posix())
    return " \\\n    ".join(lines)
