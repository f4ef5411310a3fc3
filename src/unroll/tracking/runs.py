"""Runs in MLflow: an experiment per task, a parent run per variant, a child per seed.

A run is known by the tag `unroll.key`, a digest of what determines it, never by MLflow's
run id. `bring` makes a run what a RunState says, whatever it finds.
"""

import json
import os
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)

from unroll.tracking.lineage import Data
from unroll.tracking.state import DESCRIPTION, KEY, NOTE, Point, RunState
from unroll.tracking.store import is_theirs

COMPLETE = "unroll.complete"  # the digest of the state that the run was brought to
PROCESS = "unroll.process"  # who is writing to a run; gone when the run is complete
PARENT = "mlflow.parentRunId"
# How tags begin that are not people's own, also of earlier versions of this project.
OURS = ("mlflow.", "unroll.", "code.", "data.", "plan.", "sources.", "environment.", "dvc.", "git.")
BATCH = 1000  # metrics that MLflow takes at once


def start(client: MlflowClient, experiment: str, state: RunState, parent: str | None) -> str:
    """Create a run as training begins; return its id."""
    run = _create(client, experiment, state, parent)
    client.set_tag(run, PROCESS, _this_process())
    return run


def bring(
    client: MlflowClient, experiment: str, state: RunState, parent: str | None
) -> tuple[str, str]:
    """Make the run of a key what `state` says; return its id and what was done.

    `kept` left a complete run alone, `completed` added what was missing, `created` made
    it, `replaced` deleted one that held something else (an earlier try that was killed) and
    made it anew, and `training` left a run to the process that is writing to it.
    """
    digest = state.digest()
    found = find(client, experiment, KEY, state.key)
    for run in found:
        if _written_by_another(run):
            return str(run.info.run_id), "training"
    fitting = [run for run in found if _fits(client, run, state, digest)]
    chosen = fitting[0] if fitting else None
    others = [run for run in found if run is not chosen]
    if chosen is None:
        run_id = _create(client, experiment, state, parent)
        _complete(client, client.get_run(run_id), state, parent, digest)
        _give_way(client, others, run_id, state)
        return run_id, "replaced" if found else "created"
    _give_way(client, others, chosen.info.run_id, state)
    complete = chosen.data.tags.get(COMPLETE) == digest and _same_parent(chosen, parent)
    if complete and not _missing_files(client, chosen, state):
        return str(chosen.info.run_id), "kept"
    _complete(client, chosen, state, parent, digest)
    return str(chosen.info.run_id), "completed"


def find(client: MlflowClient, experiment: str, tag: str, value: str) -> list[Run]:
    """Return the runs with this tag, the newest first."""
    return list(
        client.search_runs(
            [experiment],
            filter_string=f"tags.`{tag}` = '{value}'",
            run_view_type=ViewType.ACTIVE_ONLY,
            order_by=["attributes.start_time DESC"],
        )
    )


def log_points(client: MlflowClient, run: str, points: Sequence[Point]) -> None:
    """Add points to a run's metrics."""
    metrics = [Metric(p.metric, p.value, p.time, p.step) for p in points]
    for first in range(0, len(metrics), BATCH):
        client.log_batch(run, metrics=metrics[first : first + BATCH])


def end_abandoned(client: MlflowClient, experiment: str, variant: str) -> list[Run]:
    """Mark as killed the runs of a variant whose process is no more; return them."""
    ended = []
    for run in find(client, experiment, "variant", variant):
        host, _, _ = run.data.tags.get(PROCESS, "").partition(":")
        if (
            run.info.status == "RUNNING"
            and host == socket.gethostname()
            and not _alive(str(run.data.tags[PROCESS]))
        ):
            client.set_terminated(run.info.run_id, "KILLED")
            client.delete_tag(run.info.run_id, PROCESS)
            ended.append(run)
    return ended


def _create(client: MlflowClient, experiment: str, state: RunState, parent: str | None) -> str:
    tags = state.tags | ({PARENT: parent} if parent else {})
    run = client.create_run(experiment, state.started, tags, state.name)
    client.log_batch(run.info.run_id, params=[Param(k, v) for k, v in state.params.items()])
    return str(run.info.run_id)


def _fits(client: MlflowClient, run: Run, state: RunState, digest: str) -> bool:
    """Say whether all that a run holds belongs to the state: metrics cannot be taken back."""
    if run.data.tags.get(COMPLETE) == digest:
        return True
    if any(state.params.get(name) != value for name, value in run.data.params.items()):
        return False
    held = {
        Point(name, p.step, p.value, p.timestamp)
        for name in run.data.metrics
        for p in client.get_metric_history(run.info.run_id, name)
    }
    return held <= set(state.points)


def _complete(
    client: MlflowClient, run: Run, state: RunState, parent: str | None, digest: str
) -> None:
    """Add all that a run lacks; the tag that says so comes last."""
    run_id = run.info.run_id
    params = [Param(k, v) for k, v in state.params.items() if k not in run.data.params]
    tags = state.tags | ({PARENT: parent} if parent else {})
    kept = {DESCRIPTION, NOTE} if is_theirs(run.data.tags) else set()
    changed = [RunTag(k, v) for k, v in tags.items() if k not in kept and run.data.tags.get(k) != v]
    client.log_batch(run_id, params=params, tags=changed)
    log_points(client, run_id, state.points)  # what is there already is not added again
    _log_files(client, run_id, state)
    if state.data is not None:
        client.log_inputs(run_id, [_dataset(state.data)])
    if PROCESS in run.data.tags:
        client.delete_tag(run_id, PROCESS)
    if run.info.status != "FINISHED" or run.info.end_time != state.ended:
        client.set_terminated(run_id, "FINISHED", state.ended)
    client.set_tag(run_id, COMPLETE, digest)


def _give_way(client: MlflowClient, runs: Sequence[Run], to: str, state: RunState) -> None:
    """Delete runs in favour of another, which gets what people have set on them."""
    for run in runs:
        for tag, value in run.data.tags.items():
            own = tag not in state.tags and not tag.startswith(OURS)
            if own or (tag == DESCRIPTION and is_theirs(run.data.tags)):
                client.set_tag(to, tag, value)
        client.delete_run(run.info.run_id)  # until `mlflow gc` it can be restored


def _same_parent(run: Run, parent: str | None) -> bool:
    return bool(run.data.tags.get(PARENT) == parent)


def _missing_files(client: MlflowClient, run: Run, state: RunState) -> bool:
    there = {file.path for file in client.list_artifacts(run.info.run_id)}
    return not there.issuperset(state.files)


def _log_files(client: MlflowClient, run_id: str, state: RunState) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in state.files.items():
            (Path(folder) / name).write_bytes(content)
        client.log_artifacts(run_id, folder)


def _dataset(data: Data) -> DatasetInput:
    columns = [{"type": "string", "name": name, "required": True} for name in data.columns]
    dataset = Dataset(
        name=data.name,
        digest=data.digest,
        source_type="local",
        source=json.dumps({"uri": data.source}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps(data.counts),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "train, valid, test")])


def _written_by_another(run: Run) -> bool:
    process = run.data.tags.get(PROCESS)
    if run.info.status != "RUNNING" or process is None or process == _this_process():
        return False
    return _alive(str(process)) and process.startswith(f"{socket.gethostname()}:")


def _this_process() -> str:
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{_started(pid)}"


def _started(pid: int) -> str:
    """Return when a process was created, in seconds since the machine was started.

    psutil adds what it takes for the moment of that start, which the clock moves when it is set.
    """
    booted = psutil.boot_time()
    return f"{psutil.Process(pid).create_time() - booted:.2f}"


def _alive(process: str) -> bool:
    """Say whether a process of this machine (host:pid:when it was started) still runs."""
    _, pid, created = process.rsplit(":", 2)
    try:
        return _started(int(pid)) == created
    except psutil.Error:
        return False
