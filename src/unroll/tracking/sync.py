"""From the outputs of a study to MLflow: `unroll track`, and the end of each training."""

from collections.abc import Collection
from functools import partial

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from unroll.runs.imported import Imported, all_imported
from unroll.runs.record import seed_folder
from unroll.storage.folders import MANIFEST
from unroll.study import Study
from unroll.tracking.registry import bring_models
from unroll.tracking.runs import bring, end_abandoned
from unroll.tracking.state import KEY, desired, experiment_name
from unroll.tracking.store import experiment
from unroll.tracking.views import experiment_tags


class Sync:
    """Brings MLflow to the state that the outputs of a study imply, and notes what it did.

    The experiments are those of `home`: the study itself, or that for whose task a model was
    imported.
    """

    def __init__(
        self,
        client: MlflowClient,
        study: Study,
        rows: list[dict[str, str]] | None = None,
        home: Study | None = None,
    ) -> None:
        self.client, self.study, self.home = client, study, home or study
        self.rows = [] if rows is None else rows  # of the table that people see
        self.runs: dict[str, str] = {}  # the run id of each key

    def everything(self) -> None:
        """Bring all runs and models."""
        for variant in self.study.variants:
            self.variant(variant)
        for task in self.study.tasks:
            self.models(task)
        for one in all_imported(self.study):
            self.imported(one)

    def imported(self, one: Imported) -> None:
        """Bring the runs of a model that was trained elsewhere, and register it."""
        apart = Sync(self.client, one, self.rows, self.home)
        for name, options in one.variants.items():
            apart.variant(name)
            apart.models(options.task)

    def variant(self, variant: str, only: Collection[int] | None = None) -> None:
        """Bring the runs of a variant, as far as it is trained: of all seeds, or of some alone.

        Where a training has ended the seeds that it has kept are left: their runs hold scores, and
        the variant is to be scored anew.
        """
        seeds = self.study.variant(variant).seeds
        records = [seed_folder(self.study.model(variant), seed) for seed in seeds]
        trained = all((folder / MANIFEST).is_file() for folder in records)
        state = desired(self.study, variant) if trained else None
        wanted = {run.key for run in (state.parent, *state.children.values())} if state else set()
        experiment_id = self.experiment(self.study.variant(variant).task)
        for run in end_abandoned(self.client, experiment_id, variant):
            if run.data.tags.get(KEY) not in wanted:
                self._note(variant, run.data.tags.get("seed", "all"), "killed", run.info.run_id)
        if state is None:
            self._note(variant, "", "no models here (train them, or: dvc pull)", "")
            return
        parent, action = bring(self.client, experiment_id, state.parent, None)
        self.runs[state.parent.key] = parent
        self._note(variant, "all", action, parent)
        for seed, child in state.children.items():
            if only is not None and seed not in only:
                continue
            run_id, action = bring(self.client, experiment_id, child, parent)
            self.runs[child.key] = run_id
            self._note(variant, str(seed), action, run_id)

    def models(self, task: str) -> None:
        """Bring the registered model of a task, where the server keeps models."""
        experiment_id = self.experiment(task)
        try:
            done = bring_models(self.client, self.study, task, experiment_id, self.runs)
        except MlflowException as error:
            if error.error_code != "ENDPOINT_NOT_FOUND":
                raise
            name = experiment_name(self.study.name, task)
            done = [(f"{name} (models)", "left out: the server is older than MLflow 3")]
        for what, action in done:
            self._note(what, "", action, "")

    def experiment(self, task: str) -> str:
        """Return the id of a task's experiment."""
        name = experiment_name(self.study.name, task)
        return experiment(self.client, name, partial(experiment_tags, self.home, task))

    def _note(self, what: str, seed: str, action: str, run: str) -> None:
        self.rows.append({"what": what, "seed": seed, "action": action, "run": run})
