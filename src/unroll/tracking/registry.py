"""The model registry: the best seed of each variant, and among them the champion.

One registered model per task, a version per variant. Aliases name the version of each
variant, and `champion` the best of all; validation decides, the test set is never asked.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from unroll.options import resolved
from unroll.runs.imported import OF_MODEL, Imported, origin_of
from unroll.runs.record import Record, best, seed_folder
from unroll.runs.trained import trained
from unroll.study import Study
from unroll.tracking.state import KEY, experiment_name

CHAMPION = "champion"


def bring_models(
    client: MlflowClient, study: Study, task: str, experiment: str, runs: dict[str, str]
) -> list[tuple[str, str]]:
    """Register the best seed of each variant in `runs`, and set the aliases.

    `runs` holds the run id of each key. Returns what was done: (version or alias, action).
    """
    name = experiment_name(study.name, task)
    there = [v for v in study.variants_of(task) if study.model(v).is_dir()]
    found = {v: best(trained(study, v)) for v in there}
    records = {v: record for v, record in found.items() if record.key in runs}
    folders = {v: seed_folder(study.model(v), record.seed) for v, record in records.items()}
    if not folders:
        return []
    done, aliases = [], {}
    for variant, folder in folders.items():
        record = records[variant]
        version, replaced = _find_version(client, name, record.key, runs[record.key])
        action = "kept" if version else "created"
        if version is None:
            with study.remedy(f"train@{variant}"):
                model = _logged(client, experiment, folder, runs[record.key])
            _registered(client, name, task)
            version = _add_version(client, name, model, record, runs[record.key])
        for old in replaced:
            _hand_over(client, old, version)
        aliases[variant] = str(version.version)
        done.append((f"{name} version {version.version} ({variant} seed {record.seed})", action))
    if not isinstance(study, Imported):  # the champion is one of those that were trained here
        champion = best(records.values()).subject.variant
        aliases[CHAMPION] = aliases[champion]
    return done + _set_aliases(client, name, aliases)


def _registered(client: MlflowClient, name: str, task: str) -> None:
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(
            name,
            description=f"The best seed of each variant of the task {task}; "
            f"`{CHAMPION}` is the best of them on validation.",
        )


def _find_version(
    client: MlflowClient, name: str, key: str, run: str
) -> tuple[ModelVersion | None, list[ModelVersion]]:
    """Return the version of a run, if its files are still there, and those that it replaces.

    These are of the same key, but their run has been replaced, or their files are gone.
    """
    found, replaced = None, []
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags.get(KEY) != key:
            continue
        if found is None and version.run_id == run and _has_files(client, version):
            found = version
        else:
            replaced.append(version)
    return found, replaced


def _hand_over(client: MlflowClient, old: ModelVersion, new: ModelVersion) -> None:
    """Give what people have set on a version to the one that replaces it, and delete the old one.

    A process that is killed in between leaves both: the next one goes on.
    """
    name = old.name
    for alias in client.get_model_version(name, old.version).aliases:
        client.set_registered_model_alias(name, alias, new.version)
    for tag, value in old.tags.items():
        if tag not in new.tags:
            client.set_model_version_tag(name, new.version, tag, value)
    if old.description and not old.description.startswith(_begins(old.tags)):
        client.update_model_version(name, new.version, description=old.description)
    client.delete_model_version(name, old.version)


def _begins(tags: Mapping[str, str]) -> str:
    """Return how a description begins that no one has changed."""
    return f"{tags.get('variant')}, seed {tags.get('seed')}: "


def _has_files(client: MlflowClient, version: ModelVersion) -> bool:
    model = str(version.source).removeprefix("models:/")
    try:
        return any(f.path == "MLmodel" for f in client.list_logged_model_artifacts(model))
    except (MlflowException, OSError):
        return False


def _logged(client: MlflowClient, experiment: str, folder: Path, run: str) -> str:
    """Log a record as a model of its run; return the model's id."""
    # With these comes PyTorch: seconds, and most often all models are there.
    from mlflow.models import Model
    from mlflow.pyfunc import save_model

    from unroll import serving
    from unroll.runs.model import read_model

    trained = read_model(folder)
    record = trained.record
    for left in client.search_logged_models(
        [experiment], filter_string=f"tags.`{KEY}` = '{record.key}'"
    ):  # of a try that was killed, or of a run that is gone
        client.delete_logged_model(left.model_id)
    kind, subject, options = record.kind, record.subject, resolved(record.options)
    if origin_of(record):
        options = {name: value for name, value in options.items() if name in OF_MODEL}
    model = client.create_logged_model(
        experiment,
        name=subject.variant,
        source_run_id=run,
        tags={KEY: record.key, "variant": subject.variant, "seed": str(record.seed)},
        params={k: str(v) for k, v in options.items()},
        model_type=kind.name,
    )
    with tempfile.TemporaryDirectory() as temporary:
        target, copied = Path(temporary) / "model", Path(temporary) / folder.name
        shutil.copytree(folder, copied)  # files, where DVC has links to its cache
        save_model(
            target,
            python_model=serving.__file__,
            artifacts={serving.RECORD: str(copied)},
            signature=serving.signature(kind),
            input_example=serving.example(trained),
            pip_requirements=["unroll"],
            mlflow_model=Model(run_id=run, model_id=model.model_id, model_uuid=model.model_id),
        )
        client.log_model_artifacts(model.model_id, str(target))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    client.log_outputs(run, [LoggedModelOutput(model.model_id, step=len(record.history))])
    return str(model.model_id)


def _add_version(
    client: MlflowClient, name: str, model: str, record: Record, run: str
) -> ModelVersion:
    metric, variant = record.kind.choosing, record.subject.variant
    tags = {KEY: record.key, "variant": variant, "seed": str(record.seed)}
    return client.create_model_version(
        name,
        source=f"models:/{model}",
        run_id=run,
        model_id=model,
        tags={**tags, metric: f"{record.chosen_by:.6g}", **origin_of(record)},
        description=f"{_begins(tags)}{metric.replace('_', ' ')} "
        f"{record.kind.main.show(record.chosen_by)}",
    )


def _set_aliases(client: MlflowClient, name: str, aliases: dict[str, str]) -> list[tuple[str, str]]:
    held = {k: str(v) for k, v in client.get_registered_model(name).aliases.items()}
    done = []
    for alias, version in aliases.items():
        if held.get(alias) != version:
            client.set_registered_model_alias(name, alias, version)
        if alias == CHAMPION:
            action = "kept" if held.get(alias) == version else "set"
            done.append((f"{name}@{CHAMPION} is version {version}", action))
    return done
