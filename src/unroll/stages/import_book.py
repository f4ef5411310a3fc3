"""Models that readers of "Deep Learning from Scratch 2" have trained: scored and registered."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from unroll.data.pairs import PairsForm
from unroll.data.prepared import read_counts
from unroll.errors import DataError, UserError
from unroll.models import book
from unroll.models.budget import count_parameters
from unroll.names import unfit
from unroll.options import VariantOptions
from unroll.runs.circumstances import EpochTiming, Session, write_circumstances
from unroll.runs.imported import FILE, SEED, SHA256, imported, place_of
from unroll.runs.model import TrainedModel, write_model
from unroll.runs.record import Record, seed_folder
from unroll.runs.snapshot import look
from unroll.runs.subject import Subject
from unroll.stages.evaluate import write_evaluation
from unroll.stages.track import bring, print_rows
from unroll.storage.folders import digest, replaced_folder, sha256
from unroll.storage.pickled import read_arrays_of_pickle
from unroll.study import Study
from unroll.tasks.addition import Addition
from unroll.tasks.task import Task
from unroll.tracking.address import shown_uri
from unroll.training.machine import choose
from unroll.training.sources import sources_digest

STANDARD = "16+75 _920384"  # the characters of the book's addition.txt, as they come


def import_book(
    study: Study,
    file: Path,
    variant: str,
    name: str | None = None,
    characters: str | None = None,
    replace: bool = False,
) -> None:
    """Score the model of a params file of the book, leave a record of it, and register it.

    The variant says which model it is and on which data; the sizes are those of the file. An entry
    of the params file with other sizes would be trained by `dvc repro`, and nobody wants that of a
    model that is there.

    Raises:
        UserError: the variant is no model of the book, or the name is taken.
        DataError: the file holds no such model, the data are not prepared, or MLflow cannot be
            written.
    """
    started, options = time.time(), study.variant(variant)
    kind, task = study.kind_of(variant), study.task_of(variant)
    prepared = study.prepared(options.task)
    book.check_options(options, f"{study.params_file}: {variant}")
    name = file.stem if name is None else name
    place = _free_place(study, name, replace)
    with study.remedy(f"prepare@{options.task}"):
        data, counts = kind.load(prepared), read_counts(prepared)
    form = kind.form(data)
    order = _order(task, form, options.task, characters)
    options, model = _model(file, kind, options, form, order)
    machine = choose(study.compute)
    machine.prepare_process()
    methods, device = study.scoring.methods, machine.device
    found = list(kind.scored(methods, model.to(device), data, options, task, device))
    source = sha256(file)
    subject = Subject(study.name, name, options, digest(prepared), source, machine.facts())
    origin = {FILE: file.name, SHA256: source}
    size, history = count_parameters(model), _history(found[0].scores)
    record = Record(subject, SEED, task, size, origin, history)
    with replaced_folder(place) as folder:
        new = imported(study, name, options, folder)
        write_model(seed_folder(new.model(name), SEED), TrainedModel(record, form, model))
        _write_circumstances(new, name, f"import-book {file} --variant {variant}", started)
        write_evaluation(new, name, [record], {SEED: found[-1]}, counts)
    _register(study, name, options)


def _free_place(study: Study, name: str, replace: bool) -> Path:
    """Return the folder of a model of this name.

    Raises:
        UserError: it cannot be one, or is that of something else.
    """
    if why := unfit(name):
        raise UserError(f"{name!r} cannot be the name of a model: {why}; choose another --name")
    if name in study.variants:
        raise UserError(f"{name} is a variant of {study.params_file}; choose another --name")
    place = place_of(study, name)
    if place.exists() and not replace:
        raise UserError(f"{place} is there already; choose another --name, or --replace it")
    return place


def _order(task: Task[Any], form: Any, name: str, characters: str | None) -> Sequence[int]:
    """Return which id each symbol of the data has in the book.

    Raises:
        UserError: that is not known, or there is no such order.
    """
    if not isinstance(form, PairsForm):
        if characters is not None:
            raise UserError("--characters: words are numbered as in the book; leave it out")
        return range(len(form.vocabulary))
    if form.target is not None:
        raise UserError(
            f"the book has one vocabulary for questions and answers, and the data of {name} have "
            "two: its models cannot be read for them"
        )
    symbols = form.source.symbols
    if characters is None:
        if isinstance(task, Addition) and task.options.source != "generated":
            return range(len(symbols))  # numbered as the book does it
        raise UserError(
            "the book numbers characters as they come in its file: name it as the task's source "
            f'(then the splits are the book\'s too), or say: --characters "{STANDARD}" (those of '
            "its addition.txt)"
        )
    known = list(dict.fromkeys(characters))
    if set(known) != set(symbols):
        raise UserError(
            f"--characters: {characters!r} are not those of the data, {''.join(symbols)!r} in any "
            "order"
        )
    return [known.index(symbol) for symbol in symbols]


def _model(
    file: Path, kind: Any, options: VariantOptions, form: Any, order: Sequence[int]
) -> tuple[VariantOptions, Any]:
    """Return the model of a file, in float32, and the options with its sizes."""
    arrays = read_arrays_of_pickle(file)
    try:
        found = book.sized(options, arrays).model_copy(update={"seeds": [SEED]})
        weights = book.weights(found, len(order), arrays, order)
    except DataError as error:
        raise DataError(f"{file}: {error}") from None
    model = kind.build(found, form)
    book.fill(model, weights)
    return found, model.eval()


def _history(scores: dict[str, float]) -> pd.DataFrame:
    """Return the scores of the validation split, as those of the only epoch that is known."""
    valid = {name: [value] for name, value in scores.items() if name.startswith("valid_")}
    return pd.DataFrame({"epoch": [1], **valid})


def _write_circumstances(new: Study, name: str, command: str, started: float) -> None:
    source, _ = look(new.command(command), sources_digest())
    ended = round(time.time(), 3)
    session = Session(started=round(started, 3), ended=ended, peak_memory_mb=0.0, source=source)
    timing = EpochTiming(1, ended, 0.0, 0.0, 0.0, 0.0)
    # Without what is uncommitted: no weight comes from it.
    write_circumstances(seed_folder(new.circumstances(name), SEED), [timing], session, b"")


def _register(study: Study, name: str, options: VariantOptions) -> None:
    rows: list[dict[str, str]] = []
    place = place_of(study, name)
    fault = bring(study, rows, imported(study, name, options, place))
    print_rows(rows)
    if fault:
        raise DataError(
            f"MLflow at {shown_uri()} could not be written ({fault}); {place} is there, and what "
            f"is missing is added by: {study.command('track')}"
        )
