"""params.yaml as typed, strict, frozen objects: the only place that knows its shape.

A *study* is a folder with `dvc.yaml` and `params.yaml`: the root of the project, or
`pipeline/<study>/`. Its params file has these sections:

    compute     device, precision, workers, threads
    tasks       what is learned: how the data are made, and the defaults of every variant
    variants    named sets of options on one task
    generate    what the language models are asked to write
    comparison  which variant is compared with which
    checkpoint  how often a training notes where it stands

A variant's options are its task's `defaults` with its own entry laid over them.
"""

import difflib
import importlib
import pkgutil
import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from unroll.errors import UserError

ROOT_STUDY = "root"
LARGEST_FILE = 500_000  # bytes of YAML
MOST_VALUES = 100_000  # in a file of YAML whose aliases are written out
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # of studies, tasks and variants

T = TypeVar("T")
M = TypeVar("M", bound="Options")

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Options(BaseModel):
    """Base of every section: strict types, no unknown keys, no change after reading."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Compute(Options):
    """Where and how to compute."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    workers: Literal["auto"] | Count = "auto"
    threads: Count = 1


class VariantOptions(Options):
    """Options that every variant has, whatever its task."""

    kind: ClassVar[str]  # of the task

    task: str
    seeds: Annotated[list[Seed], Field(min_length=1)]

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    layers: Count = 1
    embedding_size: Count
    hidden_size: Count
    match_parameters: str | None = None
    dropout: Fraction = 0.0
    init: Literal["book", "default"] = "book"

    epochs: Count
    batch_size: Count
    optimizer: Literal["sgd", "adam", "adamw"]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    schedule: Literal["constant", "one_cycle"] = "constant"
    clip: Positive | None = None

    @model_validator(mode="after")
    def _seeds_differ(self) -> "VariantOptions":
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: every seed may stand only once")
        return self


class PairsOptions(VariantOptions):
    """Options of a sequence-to-sequence model."""

    kind = "pairs"

    decoder: Literal["plain", "peeky", "attention"] = "plain"
    bridge: Literal["hidden", "state"] = "hidden"
    reverse_source: bool = False
    bidirectional: bool = False
    padding: Literal["plain", "masked"] = "plain"

    @model_validator(mode="after")
    def _halves(self) -> "PairsOptions":
        if self.bidirectional and self.hidden_size % 2:
            raise ValueError("hidden_size: must be even where bidirectional is true")
        return self


class CorpusOptions(VariantOptions):
    """Options of a language model."""

    kind = "corpus"

    time_steps: Count
    tie_weights: bool = False
    skip_connections: bool = False
    variational_dropout: bool = False

    @model_validator(mode="after")
    def _tied_sizes(self) -> "CorpusOptions":
        if self.tie_weights and self.embedding_size != self.hidden_size:
            raise ValueError("embedding_size: must equal hidden_size where tie_weights is true")
        return self


KINDS: dict[str, type[VariantOptions]] = {o.kind: o for o in (PairsOptions, CorpusOptions)}


class Generate(Options):
    """What the language models write, and how the next word is chosen."""

    prompts: Annotated[list[str], Field(min_length=1)]
    samples: Count = 1
    length: Count = 100
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    skip: list[str] = []
    seed: Seed = 0


class Comparison(Options):
    """How the variants are compared with each other."""

    references: dict[str, str] = {}
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    resamples: Annotated[int, Field(ge=100)] = 10_000
    seed: Seed = 0


class Checkpointing(Options):
    """When a training writes down where it stands, to go on from there."""

    every: Count | None = 500  # steps; and at the end of each epoch


@dataclass(frozen=True)
class Task:
    """An entry of `tasks`: its name, the module that builds its data, and its options."""

    name: str
    module: ModuleType
    data: Options
    defaults: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """`pairs` or `corpus`."""
        return str(self.module.KIND)


@dataclass(frozen=True)
class Study:
    """A params file, read and checked, with the places where its files lie."""

    name: str
    compute: Compute
    tasks: Mapping[str, Task]
    variants: Mapping[str, VariantOptions]
    generate: Generate | None
    comparison: Comparison
    checkpoint: Checkpointing

    def reference(self, variant: str) -> str | None:
        """Return what a variant is compared with: as said, or its task's first variant.

        The first variant itself has none, unless one is named.
        """
        task = self.variant(variant).task
        first = next(name for name, options in self.variants.items() if options.task == task)
        reference = self.comparison.references.get(variant, first)
        return None if reference == variant else reference

    def task(self, name: str) -> Task:
        """Return the task of this name, or raise UserError with the nearest one."""
        return _pick(self.tasks, name, "task", self.params_file)

    def variant(self, name: str) -> VariantOptions:
        """Return the options of this variant, or raise UserError with the nearest one."""
        return _pick(self.variants, name, "variant", self.params_file)

    def variants_of(self, kind: str) -> dict[str, VariantOptions]:
        """Return the variants whose task is of this kind (`pairs` or `corpus`)."""
        return {n: v for n, v in self.variants.items() if self.tasks[v.task].kind == kind}

    @property
    def params_file(self) -> Path:
        """The params file of this study, seen from the project's root."""
        return params_file(self.name)

    @property
    def data(self) -> Path:
        """The folder of this study's DVC-owned files."""
        return Path("data") if self.name == ROOT_STUDY else Path("data") / self.name

    @property
    def reports(self) -> Path:
        """The folder of this study's results."""
        return Path("reports") if self.name == ROOT_STUDY else Path("reports") / self.name

    def remedy(self, stage: str) -> str:
        """Return what to type where the files of a stage are missing or damaged."""
        if self.name == ROOT_STUDY:
            return f"run: dvc repro {stage}"
        return f"run: dvc repro pipeline/{self.name}/dvc.yaml:{stage}"

    @property
    def lock_file(self) -> Path:
        """Where DVC notes what the stages of this study have made."""
        return self.params_file.with_name("dvc.lock")

    def command(self, stage: str, name: str) -> str:
        """Return the command that runs a stage."""
        study = "" if self.name == ROOT_STUDY else f"--study {self.name} "
        return f"unroll {study}{stage} {name}"

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
        """The folder of a variant's scores, seed by seed, and sample answers."""
        return self.data / "evaluation" / variant

    def generated(self, variant: str) -> Path:
        """The file of what a language model wrote."""
        return self.data / "generated" / f"{variant}.txt"

    @property
    def tracked(self) -> Path:
        """The file of the runs that MLflow was last brought to."""
        return self.data / "tracked.csv"

    def metrics(self, variant: str) -> Path:
        """The file of a variant's metrics, the mean of its seeds."""
        return self.reports / "metrics" / f"{variant}.json"


def params_file(study: str) -> Path:
    """Return the params file of a study, seen from the project's root."""
    return Path("params.yaml") if study == ROOT_STUDY else Path("pipeline") / study / "params.yaml"


def load(study: str = ROOT_STUDY) -> Study:
    """Read and check the params file of a study.

    Raises:
        UserError: the file is missing or is not YAML, a key is unknown or missing, or a
            value is not what the key takes. The message lists every fault with its place.
    """
    if not NAME.fullmatch(study):
        raise UserError(
            f"{study!r} is not the name of a study; it is root, or a folder of pipeline/"
        )
    path = params_file(study)
    raw = _read(path)
    faults: list[str] = []
    sections = ("compute", "tasks", "variants", "generate", "comparison", "checkpoint")
    faults += _unknown(raw, sections)
    compute = _validate(Compute, raw.get("compute", {}), "compute", faults)
    comparison = _validate(Comparison, raw.get("comparison", {}), "comparison", faults)
    checkpoint = _validate(Checkpointing, raw.get("checkpoint", {}), "checkpoint", faults)
    generate = raw.get("generate")
    if generate is not None:
        generate = _validate(Generate, generate, "generate", faults)
    tasks = {name: _task(name, entry, faults) for name, entry in _entries(raw, "tasks", faults)}
    variants = {
        name: _variant(name, entry, tasks, faults)
        for name, entry in _entries(raw, "variants", faults)
    }
    faults += _unmatched(variants)
    faults += _unfit_references(comparison.references if comparison else {}, variants)
    if faults:
        raise UserError("\n".join([f"{path} cannot be used:", *(f"  {fault}" for fault in faults)]))
    return Study(study, compute, tasks, variants, generate, comparison, checkpoint)  # type: ignore[arg-type]


def generate(options: Mapping[str, Any]) -> Generate:
    """Return what a language model is asked to write.

    Raises:
        UserError: a value is not what its option takes.
    """
    faults: list[str] = []
    checked = _validate(Generate, dict(options), "generate", faults)
    if checked is None:
        raise UserError("\n".join(faults))
    return checked


def parse_variant(kind: str, options: Mapping[str, Any]) -> VariantOptions:
    """Return the options of a resolved variant, as a run record holds them."""
    return KINDS[kind].model_validate(dict(options))


def task_names() -> list[str]:
    """Return what `kind` can be in a task's data section: the files of data/tasks."""
    package = importlib.import_module("unroll.data.tasks")
    return [module.name for module in pkgutil.iter_modules(package.__path__)]


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(
            f"{path} does not exist. Run unroll in the project's root folder; a further study "
            "lies in pipeline/<study>/ and is chosen with --study <study>."
        )
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise UserError(f"{path} must hold the sections compute, tasks, variants and generate")
    return raw


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds, as DVC reads it.

    Raises:
        UserError: it is missing, too large, or no YAML; the message names the place.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path} has more than {LARGEST_FILE:,} bytes")
        root = YAML(typ="safe").compose(path)  # the aliases are written out by `load` alone
        if root is not None and _values(root, {}) > MOST_VALUES:
            raise UserError(f"{path} has more than {MOST_VALUES:,} values")
        return YAML(typ="safe").load(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    except YAMLError as error:
        detail = str(error).split("To suppress")[0].strip()
        raise UserError(f"{path} is not valid YAML: {detail}") from None
    except RecursionError:
        raise UserError(f"{path} cannot be read: it is nested too deeply") from None
    except ValueError as error:  # a date that does not exist, bytes that are not UTF-8
        raise UserError(f"{path} cannot be read: {error}") from None


def _values(node: Node, known: dict[int, float]) -> float:
    """Return how many values a node holds, those of an alias at each place where it stands.

    A few lines of aliases of aliases are more than any memory holds, and one that holds itself
    has no end. `known` are the values of the nodes that were counted already.
    """
    if id(node) not in known:
        known[id(node)] = float("inf")  # where it is met within itself
        inner: list[Node] = []
        if isinstance(node, SequenceNode):
            inner = node.value
        elif isinstance(node, MappingNode):
            inner = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_values(part, known) for part in inner)
    return known[id(node)]


def _entries(raw: Mapping[str, Any], name: str, faults: list[str]) -> list[tuple[str, Any]]:
    """Return the named entries of a section."""
    section = raw.get(name)
    if not isinstance(section, dict) or not section:
        faults.append(f"{name}: expected a section with at least one named entry")
        return []
    named = {str(key): value for key, value in section.items()}
    # Names become file names and stage names.
    unfit = [key for key in named if not NAME.fullmatch(key)]
    faults += [f"{name}.{key}: a name may have letters, digits, '-', '_' and '.'" for key in unfit]
    return list(named.items())


def _task(name: str, entry: Any, faults: list[str]) -> Task | None:
    place = f"tasks.{name}"
    parts = ("data", "defaults")
    if not isinstance(entry, dict) or not isinstance(entry.get("data"), dict):
        faults.append(f"{place}: expected the sections {' and '.join(parts)}")
        return None
    faults += [f"{place}.{fault}" for fault in _unknown(entry, parts)]
    kind, known = entry["data"].get("kind"), task_names()
    if kind not in known:
        faults.append(
            f"{place}.data.kind: expected one of {', '.join(known)}, "
            f"not {reprlib.repr(kind)}{_nearest(kind, known)}"
        )
        return None
    module = importlib.import_module(f"unroll.data.tasks.{kind}")
    data = _validate(module.Options, entry["data"], f"{place}.data", faults)
    defaults = entry.get("defaults") or {}
    if not isinstance(defaults, dict):
        faults.append(f"{place}.defaults: expected options with their values")
        return None
    return Task(name, module, data, defaults) if data else None


def _variant(
    name: str, entry: Any, tasks: Mapping[str, Task | None], faults: list[str]
) -> VariantOptions | None:
    place = f"variants.{name}"
    if not isinstance(entry, dict) or "task" not in entry:
        faults.append(f"{place}: expected options with their values, task among them")
        return None
    if not isinstance(entry["task"], str) or entry["task"] not in tasks:
        named = reprlib.repr(entry["task"])
        faults.append(f"{place}.task: there is no task {named}{_nearest(entry['task'], tasks)}")
        return None
    task = tasks[entry["task"]]
    if task is None:  # the fault is named already
        return None
    places = {key: f"tasks.{task.name}.defaults" for key in task.defaults if key not in entry}
    return _validate(KINDS[task.kind], {**task.defaults, **entry}, place, faults, places)


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
            faults.append(f"{place}: there is no variant {matched!r}{_nearest(matched, variants)}")
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
            near = _nearest(unknown[0], variants)
            faults.append(f"{place}: there is no variant {unknown[0]!r}{near}")
            continue
        tasks = {options.task for options in (variants[variant], variants[reference]) if options}
        if len(tasks) > 1:
            faults.append(f"{place}: {reference} is a variant of another task")
    return faults


def _validate(
    model: type[M],
    value: Any,
    place: str,
    faults: list[str],
    places: Mapping[str, str] | None = None,
) -> M | None:
    """Return `value` as `model`; or None, with a line in `faults` for each thing wrong.

    `places` names, by its first key, what does not stand at `place`.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for fault in _relevant(error, model):
            keys = [str(key) for key in fault["loc"]]
            prefix = (places or {}).get(keys[0], place) if keys else place
            line = _explain(".".join([prefix, *keys]), fault, model)
            if line not in faults:
                faults.append(line)
        return None


def _relevant(error: ValidationError, model: type[Options]) -> list[dict[str, Any]]:
    """Return the faults to report: one per value, and no `missing` that a misspelling explains."""
    faults: dict[tuple[Any, ...], dict[str, Any]] = {}
    for fault in error.errors(include_url=False):
        # Where a value may be of several types, each adds its name to the place.
        depth = 2 if len(fault["loc"]) > 1 and isinstance(fault["loc"][1], int) else 1
        place = fault["loc"][:depth]
        if place in faults:
            faults[place]["msg"] += f", or {fault['msg'][0].lower()}{fault['msg'][1:]}"
        else:
            faults[place] = {**fault, "loc": place}
    unknown = [f["loc"][-1] for f in faults.values() if f["type"] == "extra_forbidden"]
    meant = {key for name in unknown for key in _near(name, model.model_fields)}
    return [f for f in faults.values() if f["type"] != "missing" or f["loc"][-1] not in meant]


def _explain(place: str, fault: Mapping[str, Any], model: type[Options]) -> str:
    key = str(fault["loc"][-1]) if fault["loc"] else ""
    if fault["type"] == "extra_forbidden":
        return f"{place}: unknown key{_nearest(key, model.model_fields)}"
    if fault["type"] == "missing":
        return f"{place}: missing"
    if fault["type"] == "value_error":
        return f"{place}.{fault['ctx']['error']}"
    message = fault["msg"][0].lower() + fault["msg"][1:]
    given = fault.get("input")
    hint = _nearest(given, _choices(model, key)) if isinstance(given, str) else ""
    return f"{place}: {message}, not {reprlib.repr(given)}{hint}"


def _choices(model: type[Options], key: str) -> list[str]:
    """Return the words that an option takes, also where it takes other things."""
    field = model.model_fields.get(key)
    types = get_args(field.annotation) if field else ()
    found = [choice for type_ in types for choice in (type_, *get_args(type_))]
    return [choice for choice in found if isinstance(choice, str)]


def _unknown(entry: Mapping[Any, Any], known: tuple[str, ...]) -> list[str]:
    keys = sorted(str(key) for key in entry)
    return [f"{key}: unknown key{_nearest(key, known)}" for key in keys if key not in known]


def _nearest(name: object, known: Iterable[str]) -> str:
    near = _near(name, known)
    return f" (did you mean {near[0]}?)" if near else ""


def _near(name: object, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(str(name), list(known), n=1)


def _pick(entries: Mapping[str, T], name: str, what: str, path: Path) -> T:
    if name in entries:
        return entries[name]
    raise UserError(
        f"{path} has no {what} {name!r}{_nearest(name, entries)}; it has {', '.join(entries)}"
    )
