"""Stage plan: what each stage does with each variant, in files that DVC can compare."""

import shutil
from pathlib import Path
from typing import Any

from unroll.errors import DataError
from unroll.options import resolved
from unroll.plans.evaluation import evaluation_plan, writing_plan
from unroll.plans.plan import plan_digest, read_plan, write_plan
from unroll.plans.training import MACHINE, training_plan
from unroll.stages.new_study import check_header
from unroll.storage.files import write_json
from unroll.storage.folders import MANIFEST, replaced_folder
from unroll.study import Study
from unroll.training.sources import sources_digest


def plan(study: Study) -> None:
    """Write the plans of all variants; say which have changed."""
    check_header(study)
    MACHINE.prepare_process()
    for path in written(study):
        print(f"changed: {path}")
    for left in left_behind(study):
        print(f"removed: {left} (its variant is no longer in {study.params_file})")
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    write_json(study.sources, {"sha256": sources_digest()})


def left_behind(study: Study) -> list[Path]:
    """Return the results of variants that are no longer in the params file: DVC leaves them.

    What is no result is no matter: a note that somebody keeps there, a folder that is unfinished.
    """
    variant = next(iter(study.variants))
    folders = [study.evaluation(variant).parent, study.generated(variant).parent]
    found = {
        path: path.name
        for folder in folders
        for path in folder.glob("[!.]*")
        if (path / MANIFEST).is_file()
    }
    files = study.metrics(variant).parent.glob("[!.]*.json")
    found |= {path: path.name.removesuffix(".json") for path in files}
    return sorted(path for path, name in found.items() if name not in study.variants)


def written(study: Study) -> list[str]:
    """Write the plans of all variants; return the names of those that are new or other ones."""
    folder, names = study.report_plan.parent, []
    with replaced_folder(folder) as new:
        for path, content in plans(study).items():
            write_plan(new / path, content)
            if not _stands(folder / path, content):
                names.append(path)
    return names


def _stands(path: Path, content: dict[str, Any]) -> bool:
    """Say whether this plan was written before; what is damaged is only replaced."""
    try:
        return read_plan(path) == content
    except DataError:
        return False


def plans(study: Study) -> dict[str, dict[str, Any]]:
    """Return the plans of a study by their files, seen from the folder of plans."""
    found: dict[str, dict[str, Any]] = {"report.json": _report(study)}
    for variant, options in study.variants.items():
        task = study.task_of(variant)
        found[f"train/{variant}.json"] = training_plan(options, study.compute)
        found[f"evaluate/{variant}.json"] = evaluation_plan(
            options, study.compute, task, study.scoring
        )
        found[f"generate/{variant}.json"] = writing_plan(options, study.generate)
    return found


def _report(study: Study) -> dict[str, Any]:
    """Return how variants are compared; what the report does with it, its sources say."""
    return {
        "options": resolved(study.comparison),
        "variants": {name: options.task for name, options in study.variants.items()},
        "behaviour": {},
    }


def planned(study: Study, variant: str) -> str:
    """Return the digest of a variant's plan of training.

    Raises:
        DataError: there is none.
    """
    with study.remedy("plan"):
        return plan_digest(read_plan(study.plan("train", variant)))
