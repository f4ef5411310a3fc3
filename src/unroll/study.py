"""A study: a params file, read and checked, with its names and the places of its files.

A study is a folder with `dvc.yaml` and `params.yaml`: the root of the project, or
`pipeline/<study>/`. Its params file has these sections:

    compute     device, precision, workers, threads, executor
    tasks       what is learned: how the data are made, and the defaults of every variant
    variants    named sets of options on one task
    generate    what the language models are asked to write
    scoring     how language models predict a text, beside reading it straight on
    comparison  which variant is compared with which; which options are factors
    checkpoint  how often a training notes where it stands

A variant's options are its task's `defaults` with its own entry laid over them. All sections but
`tasks` and `variants` may be left out.
"""

import reprlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll import errors, tasks
from unroll.errors import UserError
from unroll.faults import nearest, pick, unknown_keys, validate
from unroll.names import unfit
from unroll.options import (
    OPTIONS,
    Checkpointing,
    Comparison,
    Compute,
    Generate,
    PairsOptions,
    Scoring,
    VariantOptions,
    shown,
    values_of,
)
from unroll.storage.files import read_text
from unroll.storage.yaml import read_yaml
from unroll.tasks.task import Task

if TYPE_CHECKING:
    from unroll.kinds.kind import Kind

ROOT_STUDY = "root"
PIPELINE = Path("pipeline")  # the folder of all other studies
HEADER = "\n  - study:"  # in the dvc.yaml of each study; `make studies` looks for it too
SECTIONS = ("compute", "tasks", "variants", "generate", "scoring", "comparison", "checkpoint")


@dataclass(frozen=True)
class Entry:
    """An entry of `tasks`: the task, and the options that its variants have in common."""

    task: Task[Any]
    defaults: Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """A params file, read and checked, with the places where its files lie."""

    name: str
    compute: Compute
    entries: Mapping[str, Entry]
    variants: Mapping[str, VariantOptions]
    generate: Generate | None
    scoring: Scoring
    comparison: Comparison
    checkpoint: Checkpointing

    # What it holds

    @property
    def tasks(self) -> dict[str, Task[Any]]:
        """The tasks by name."""
        return {name: entry.task for name, entry in self.entries.items()}

    def task(self, name: str) -> Task[Any]:
        """Return the task of this name, or raise UserError with the nearest one."""
        return pick(self.tasks, name, "task", self.params_file)

    def task_of(self, variant: str) -> Task[Any]:
        """Return the task of a variant."""
        return self.tasks[self.variant(variant).task]

    def kind_of(self, variant: str) -> "Kind[Any, Any]":
        """Return the kind of a variant's models."""
        from unroll.kinds import kind_of

        return kind_of(self.variant(variant))

    def variant(self, name: str) -> VariantOptions:
        """Return the options of this variant, or raise UserError with the nearest one."""
        return pick(self.variants, name, "variant", self.params_file)

    def altered(
        self, variant: str, options: VariantOptions, changes: Mapping[str, Any], place: str
    ) -> VariantOptions:
        """Return options of a variant with some changed.

        Raises:
            UserError: they are none that it could have; the message lists every fault, at `place`.
        """
        faults: list[str] = []
        given = {**options.model_dump(), **changes}
        checked = validate(type(options), given, place, faults)
        if checked is not None:
            faults += _unlevelled(checked, self.tasks[options.task], options.task, place)
            faults += _unmatched({**self.variants, variant: checked})
            if not faults:
                return checked
        raise UserError("\n".join(faults))

    def variants_of(self, task: str) -> dict[str, VariantOptions]:
        """Return the variants of a task, in the order of the params file."""
        return {name: options for name, options in self.variants.items() if options.task == task}

    def reference(self, variant: str) -> str | None:
        """Return what a variant is compared with: as said, or its task's first variant.

        The first variant itself has none, unless one is named.
        """
        first = next(iter(self.variants_of(self.variant(variant).task)))
        reference = self.comparison.references.get(variant, first)
        return None if reference == variant else reference

    # What people type

    @property
    def repro(self) -> str:
        """The command that brings all of it up to date."""
        return "dvc repro" if self.name == ROOT_STUDY else f"dvc repro {self.dvc_file.as_posix()}"

    def rerun(self, stage: str) -> str:
        """Return what to type where the files of a stage are missing or damaged."""
        if self.name == ROOT_STUDY:
            return f"run: dvc repro {stage}"
        return f"run: dvc repro {self.dvc_file.as_posix()}:{stage}"

    def remedy(self, stage: str) -> AbstractContextManager[None]:
        """Return a block whose DataErrors say that this stage is to be run."""
        return errors.remedy(self.rerun(stage))

    def command(self, *words: str) -> str:
        """Return a command of `unroll` for this study."""
        study = () if self.name == ROOT_STUDY else ("--study", self.name)
        return " ".join(("unroll", *study, *words))

    # Where its files lie, seen from the project's root

    @property
    def folder(self) -> Path:
        """The folder of `dvc.yaml` and `params.yaml`."""
        return study_folder(self.name)

    @property
    def params_file(self) -> Path:
        """The params file."""
        return self.folder / "params.yaml"

    @property
    def dvc_file(self) -> Path:
        """The file of the stages."""
        return self.folder / "dvc.yaml"

    @property
    def lock_file(self) -> Path:
        """Where DVC notes what the stages have made."""
        return self.folder / "dvc.lock"

    @property
    def data(self) -> Path:
        """The folder of the files that DVC owns."""
        return Path("data") if self.name == ROOT_STUDY else Path("data") / self.name

    @property
    def reports(self) -> Path:
        """The folder of the results."""
        return Path("reports") if self.name == ROOT_STUDY else Path("reports") / self.name

    def plan(self, stage: str, variant: str) -> Path:
        """The plan of what a stage does with a variant: its dependency in DVC."""
        return self.data / "plans" / stage / f"{variant}.json"

    @property
    def report_plan(self) -> Path:
        """The plan of the report: how variants are compared."""
        return self.data / "plans" / "report.json"

    @property
    def sources(self) -> Path:
        """The file of the digest of the sources by which the plans were made."""
        return self.data / "sources.json"

    def prepared(self, task: str) -> Path:
        """The folder of a task's prepared data."""
        return self.data / "prepared" / task

    def size(self, variant: str) -> Path:
        """The file of a variant's hidden size and parameter count."""
        return self.data / "sizes" / self.variant(variant).task / f"{variant}.json"

    def model(self, variant: str) -> Path:
        """The folder of a variant's run records, one subfolder per seed."""
        return self.data / "models" / variant

    def circumstances(self, variant: str) -> Path:
        """The folder of what differs at every training of a variant: seconds, commit."""
        return self.data / "circumstances" / variant

    def checkpoints(self, variant: str) -> Path:
        """The folder of the checkpoints of a variant that is being trained; not DVC's."""
        return self.data / "checkpoints" / variant

    def evaluation(self, variant: str) -> Path:
        """The folder of all that the report needs to know of a variant; in git."""
        return self.data / "evaluation" / variant

    def generated(self, variant: str) -> Path:
        """The folder of what a language model wrote; in git."""
        return self.data / "generated" / variant

    @property
    def tracked(self) -> Path:
        """The file of the runs that MLflow was last brought to."""
        return self.data / "tracked.csv"

    def metrics(self, variant: str) -> Path:
        """The file of a variant's metrics, the mean of its seeds."""
        return self.reports / "metrics" / f"{variant}.json"


def study_folder(name: str) -> Path:
    """Return the folder of a study, seen from the project's root."""
    return Path() if name == ROOT_STUDY else PIPELINE / name


def studies() -> list[str]:
    """Return the names of all studies that there are: the root, and the folders of pipeline/.

    A folder whose dvc.yaml has no header of a study is something else: the benchmark.
    """
    found = sorted(path for path in PIPELINE.glob("*/dvc.yaml") if HEADER in read_text(path))
    return [ROOT_STUDY, *(path.parent.name for path in found)]


def load(name: str = ROOT_STUDY) -> Study:
    """Read and check the params file of a study.

    Raises:
        UserError: the file is missing or is not YAML, a key is unknown or missing, or a
            value is not what the key takes. The message lists every fault with its place.
    """
    if unfit(name):
        raise UserError(
            f"{name!r} is not the name of a study; it is root, or a folder of pipeline/"
        )
    path = study_folder(name) / "params.yaml"
    raw = _read(path)
    faults = unknown_keys(raw, SECTIONS)
    compute = validate(Compute, raw.get("compute", {}), "compute", faults)
    scoring = validate(Scoring, raw.get("scoring", {}), "scoring", faults)
    comparison = validate(Comparison, raw.get("comparison", {}), "comparison", faults)
    checkpoint = validate(Checkpointing, raw.get("checkpoint", {}), "checkpoint", faults)
    generate = None
    if "generate" in raw:
        generate = validate(Generate, raw["generate"], "generate", faults)
    entries = {name: _entry(name, entry, faults) for name, entry in _named(raw, "tasks", faults)}
    variants = {
        name: _variant(name, entry, entries, faults)
        for name, entry in _named(raw, "variants", faults)
    }
    faults += _unmatched(variants)
    if comparison:
        faults += _unfit_references(comparison.references, variants)
        faults += _unfit_questions(comparison.questions, variants)
        faults += _unfit_factors(comparison.factors, variants)
    if faults:
        raise UserError("\n".join([f"{path} cannot be used:", *(f"  {fault}" for fault in faults)]))
    return Study(
        name,
        compute,  # type: ignore[arg-type]
        entries,  # type: ignore[arg-type]
        variants,  # type: ignore[arg-type]
        generate,
        scoring,  # type: ignore[arg-type]
        comparison,  # type: ignore[arg-type]
        checkpoint,  # type: ignore[arg-type]
    )


def generation(options: Mapping[str, Any]) -> Generate:
    """Return what a language model is asked to write.

    Raises:
        UserError: a value is not what its option takes.
    """
    faults: list[str] = []
    checked = validate(Generate, dict(options), "generate", faults)
    if checked is None:
        raise UserError("\n".join(faults))
    return checked


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(
            f"{path} does not exist. Run unroll in the project's root folder; a further study "
            "lies in pipeline/<study>/ and is chosen with --study <study>."
        )
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise UserError(f"{path} must hold the sections tasks and variants")
    return raw


def _named(raw: Mapping[str, Any], name: str, faults: list[str]) -> list[tuple[str, Any]]:
    """Return the named entries of a section."""
    section = raw.get(name)
    if not isinstance(section, dict) or not section:
        faults.append(f"{name}: expected a section with at least one named entry")
        return []
    faults += [f"{name}.{key}: {why}" for key in section if (why := unfit(key))]
    return [(str(key), value) for key, value in section.items()]


def _entry(name: str, entry: Any, faults: list[str]) -> Entry | None:
    place = f"tasks.{name}"
    parts = ("data", "defaults")
    if not isinstance(entry, dict) or not isinstance(entry.get("data"), dict):
        faults.append(f"{place}: expected the sections {' and '.join(parts)}")
        return None
    faults += [f"{place}.{fault}" for fault in unknown_keys(entry, parts)]
    kind, known = entry["data"].get("kind"), tasks.names()
    if kind not in known:
        faults.append(
            f"{place}.data.kind: expected one of {', '.join(known)}, "
            f"not {reprlib.repr(kind)}{nearest(kind, known)}"
        )
        return None
    found = tasks.named(kind)
    data = validate(found.Options, entry["data"], f"{place}.data", faults)
    defaults = entry.get("defaults") or {}
    if not isinstance(defaults, dict):
        faults.append(f"{place}.defaults: expected options with their values")
        return None
    return Entry(found(data), defaults) if data else None


def _variant(
    name: str, entry: Any, entries: Mapping[str, Entry | None], faults: list[str]
) -> VariantOptions | None:
    place = f"variants.{name}"
    if not isinstance(entry, dict) or "task" not in entry:
        faults.append(f"{place}: expected options with their values, task among them")
        return None
    if not isinstance(entry["task"], str) or entry["task"] not in entries:
        given = reprlib.repr(entry["task"])
        faults.append(f"{place}.task: there is no task {given}{nearest(entry['task'], entries)}")
        return None
    found = entries[entry["task"]]
    if found is None:  # the fault is named already
        return None
    defaults = f"tasks.{entry['task']}.defaults"
    places = {key: defaults for key in found.defaults if key not in entry}
    options = OPTIONS[found.task.kind]
    checked = validate(options, {**found.defaults, **entry}, place, faults, places)
    faults += _unlevelled(checked, found.task, entry["task"], place)
    return checked


def _unlevelled(
    options: VariantOptions | None, task: Task[Any], name: str, place: str
) -> list[str]:
    """Return a fault where a curriculum chooses from pairs whose levels nobody knows."""
    chooses = isinstance(options, PairsOptions) and options.curriculum != "all"
    if chooses and not task.has_levels:
        return [f"{place}.curriculum: the pairs of {name} have no levels"]
    return []


def _unmatched(variants: Mapping[str, VariantOptions | None]) -> list[str]:
    """Return a fault for each `match_parameters` that does not name a variant of given size.

    A variant is None where a fault of its own is known already.
    """
    faults = []
    for name, options in variants.items():
        if options is None or (matched := options.match_parameters) is None:
            continue
        place, other = f"variants.{name}.match_parameters", variants.get(matched)
        if matched not in variants:
            faults.append(f"{place}: there is no variant {matched!r}{nearest(matched, variants)}")
        elif matched == name:
            faults.append(f"{place}: {name} cannot be matched with itself; name another variant")
        elif other is not None and other.match_parameters is not None:
            faults.append(f"{place}: the size of {matched} is matched itself; name another variant")
        elif other is not None and other.task != options.task:
            faults.append(f"{place}: {matched} is a variant of another task")
    return faults


def _unfit_references(
    references: Mapping[str, str], variants: Mapping[str, VariantOptions | None]
) -> list[str]:
    """Return a fault for each pair that is not of two variants of one task."""
    faults = []
    for variant, reference in references.items():
        place = f"comparison.references.{variant}"
        if unknown := [name for name in (variant, reference) if name not in variants]:
            near = nearest(unknown[0], variants)
            faults.append(f"{place}: there is no variant {unknown[0]!r}{near}")
            continue
        of = {options.task for options in (variants[variant], variants[reference]) if options}
        if len(of) > 1:
            faults.append(f"{place}: {reference} is a variant of another task")
    return faults


def _unfit_questions(
    questions: Mapping[str, str], variants: Mapping[str, VariantOptions | None]
) -> list[str]:
    """Return a fault for each question about a variant that there is not."""
    return [
        f"comparison.questions.{name}: there is no variant {name!r}{nearest(name, variants)}"
        for name in questions
        if name not in variants
    ]


def _unfit_factors(
    factors: Sequence[str], variants: Mapping[str, VariantOptions | None]
) -> list[str]:
    """Return what keeps the variants of a task from having each combination of factors once."""
    tasks: dict[str, dict[str, VariantOptions]] = {}
    for name, options in variants.items():
        if factors and options is not None:
            tasks.setdefault(options.task, {})[name] = options
    return [
        f"comparison.factors: {fault}" for of in tasks.values() for fault in _not_all(factors, of)
    ]


def _not_all(factors: Sequence[str], variants: Mapping[str, VariantOptions]) -> list[str]:
    for factor in factors:
        for name, options in variants.items():
            if factor not in type(options).model_fields:
                near = nearest(factor, type(options).model_fields)
                return [f"{name} has no option {factor!r}{near}"]
    if not set.intersection(*(set(options.seeds) for options in variants.values())):
        return [f"{', '.join(variants)} have no seed in common"]
    having: dict[tuple[Any, ...], list[str]] = {}
    for name, options in variants.items():
        having.setdefault(values_of(options, factors), []).append(name)
    values = [dict.fromkeys(place) for place in zip(*having, strict=True)]
    faults = []
    for of in product(*values):
        names, what = having.get(of, []), ", ".join(map(shown, factors, of))
        if not names:
            faults.append(f"no variant has {what}; add one, or leave a factor out")
        elif len(names) > 1:
            faults.append(f"{' and '.join(names)} are alike: {what}; leave one out")
    return faults
