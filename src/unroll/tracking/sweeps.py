"""From the trials of a sweep to MLflow: a run for each that has ended, below one for the sweep.

As all that MLflow holds it is a projection: what it lacks is added by whoever comes next.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mlflow import MlflowClient

from unroll.kinds.kind import Kind
from unroll.sweeps.search import Outcome
from unroll.tracking.runs import bring
from unroll.tracking.state import DESCRIPTION, KEY, NOTE, Point, RunState, digest_of, in_sections
from unroll.tracking.store import connect, experiment

STATE, REASON, LEVEL = "trial.state", "trial.reason", "unroll.level"


class SweepRuns:
    """The runs of a sweep in MLflow."""

    def __init__(self, where: str, parent: RunState, kind: Kind[Any, Any]) -> None:
        self.parent, self.kind = parent, kind
        self.client: MlflowClient = connect()
        self.experiment = experiment(self.client, f"{where}.sweeps", self._experiment_tags)
        self.run, _ = bring(self.client, self.experiment, parent, None)
        self.there: set[int] = set()  # trials that need not be asked for again

    def bring(self, outcomes: Sequence[Outcome]) -> None:
        """Bring the runs of trials; the sweep itself goes on."""
        for one in outcomes:
            if one.number not in self.there:
                state = self._trial(one)
                run, _ = bring(self.client, self.experiment, state, self.run)
                self._be(run, "FAILED" if one.state == "failed" else "FINISHED")
                self.there.add(one.number)
        self._be(self.run, "RUNNING")

    def finish(self, best: Outcome | None) -> None:
        """Note the best trial with the sweep, which is at its end."""
        if best is not None and best.value is not None:
            told = {"trial": best.number, "value": best.value, **best.params}
            for name, of in told.items():
                self.client.set_tag(self.run, f"best.{name}", str(of))
        self._be(self.run, "FINISHED")

    def _trial(self, one: Outcome) -> RunState:
        score = in_sections(self.kind.choosing)
        ended = _milliseconds(one.ended)
        points = [Point(score, epoch, value, ended) for epoch, value in one.epochs.items()]
        if one.value is not None:
            points.append(Point("value", 0, one.value, ended))
        tags = {
            KEY: f"{self.parent.key}-{one.number}",
            LEVEL: "trial",
            STATE: one.state,
            REASON: one.reason,
        }
        return RunState(
            tags[KEY],
            f"{self.parent.name} trial {one.number}",
            {name: str(value) for name, value in {**one.params, **one.options}.items()},
            tags,
            _milliseconds(one.started),
            ended,
            points,
        )

    def _be(self, run: str, status: str) -> None:
        if self.client.get_run(run).info.status != status:
            self.client.update_run(run, status)

    def _experiment_tags(self, experiment: str) -> Mapping[str, str]:
        note = (
            "Sweeps (`unroll sweep`): a run each, and below it one per trial, with the options that"
            f" it had. *value* is its {self.kind.main.title} on the validation split, the mean of "
            "its seeds; the tag `trial.state` says whether it is complete, pruned or failed."
        )
        return {DESCRIPTION: note, NOTE: digest_of(note)}


def sweep_run(key: str, name: str, facts: Mapping[str, Any]) -> RunState:
    """Return the run of a sweep as it is when it begins."""
    params = {of: str(value) for of, value in facts.items()}
    return RunState(key, name, params, {KEY: key, LEVEL: "sweep"})


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
