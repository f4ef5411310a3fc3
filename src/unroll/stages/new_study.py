"""A new study: a folder in pipeline/ with the stages that all studies have, and own params."""

import json
import re
from pathlib import Path
from typing import Any

from unroll.errors import UserError
from unroll.names import unfit
from unroll.stages.pairs_study import params_of
from unroll.storage.files import read_text, write_text
from unroll.storage.yaml import read_yaml
from unroll.study import ROOT_STUDY, Study, load, studies, study_folder

# What a study's folders in data/ and reports/ must not be called: the root study has these there.
TAKEN = {
    "benchmark", "checkpoints", "circumstances", "curves", "evaluation", "generated", "gpu",
    "metrics", "models", "plans", "prepared", "raw", "samples", "sizes",
}  # fmt: skip

HEADER = re.compile(r"^vars:\n(?:  .*\n)+", re.MULTILINE)
PLOTS = re.compile(r"^plots:\n(?:  .*\n?)+", re.MULTILINE)
PLOT = (
    "plots:\n"
    "  - {name}:\n"
    "      template: curves\n"
    "      x: epoch\n"
    "      y:\n"
    "        ${{study.root}}/${{study.reports}}/curves/{name}.csv: valid_exact_match\n"
    "      y_label: validation exact match\n"
)
BUILT_IN = "src/unroll/data"  # where data come from that nobody has named as a file


def header(name: str) -> dict[str, str]:
    """Return what the header of a study's dvc.yaml says, but for `inputs`, which is the user's."""
    root = name == ROOT_STUDY
    return {
        "command": "unroll" if root else f"unroll --study {name}",
        "data": "data" if root else f"data/{name}",
        "params": "params.yaml" if root else f"pipeline/{name}/params.yaml",
        "reports": "reports" if root else f"reports/{name}",
        "root": "." if root else "../..",
    }


def new_study(name: str, like: str, pairs: Path | None = None) -> None:
    """Make the folder of a study with the stages and the params of another one, or of a file.

    Raises:
        UserError: the name cannot be one, is taken, or there is no such other study; or a file of
            pairs holds none.
    """
    known = studies()
    if why := unfit(name):
        raise UserError(f"{name!r} cannot be the name of a study: {why}")
    if name in TAKEN or name == ROOT_STUDY:
        taken = ", ".join(sorted({*TAKEN, ROOT_STUDY}))
        raise UserError(f"a study must not be called {name!r}, nor one of {taken}")
    if like not in known:
        raise UserError(f"there is no study {like!r}; there is {', '.join(known)}")
    folder, pattern = study_folder(name), study_folder(like)
    if folder.exists():
        raise UserError(f"{folder} exists already; choose another name, or remove it")
    stages = read_text(pattern / "dvc.yaml")
    if pairs is None:
        params = read_text(pattern / "params.yaml")
        stages = _stages(stages, name, like, BUILT_IN)
    else:
        params = params_of(pairs, name)
        inputs = json.dumps(pairs.as_posix(), ensure_ascii=False)
        stages = PLOTS.sub(PLOT.format(name=name), _stages(stages, name, like, inputs))
    write_text(folder / "dvc.yaml", stages)
    write_text(folder / "params.yaml", params)
    study = load(name)
    made = f"as that of {like}" if pairs is None else f"for {pairs}"
    print(
        f"{folder}/dvc.yaml     the stages; nothing in it need be changed\n"
        f"{folder}/params.yaml  {made}: edit it\n"
        f"then: {study.repro}"
    )


def _stages(text: str, name: str, like: str, inputs: str) -> str:
    """Return the stages of a study with another header."""
    lines = "".join(f"      {key}: {value}\n" for key, value in header(name).items())
    lines = lines.replace("      params:", f"      inputs: {inputs}\n      params:")
    text = HEADER.sub(lambda _: f"vars:\n  - study:\n{lines}", text, count=1)
    text = re.sub(r"\A(?:#.*\n)*", f"# The study {name}; its options are in params.yaml.\n", text)
    return re.sub(rf"^  - {re.escape(like)} ", f"  - {name} ", text, flags=re.MULTILINE)


def check_header(study: Study) -> None:
    """Check that the header of a study's dvc.yaml is of this study.

    DVC does not notice a copy whose header is half that of the study from which it was copied.

    Raises:
        UserError: it is not; the message says what is to be written.
    """
    if not study.dvc_file.is_file():
        return  # its stages are typed by hand
    raw = read_yaml(study.dvc_file)
    sections: Any = raw.get("vars") if isinstance(raw, dict) else None
    found = sections[0].get("study") if sections and isinstance(sections[0], dict) else None
    if not isinstance(found, dict):
        raise UserError(f"{study.dvc_file} has no header `vars: - study:`; see docs/add-a-study.md")
    wrong = [
        f"  {key}: {value}" for key, value in header(study.name).items() if found.get(key) != value
    ]
    if wrong:
        raise UserError("\n".join([f"the header of {study.dvc_file} must say:", *wrong]))
