"""A look inside a trained language model, as a page."""

from pathlib import Path

import torch

from unroll.api import OpenStudy
from unroll.errors import DataError, UserError
from unroll.evaluation.inside import look_inside
from unroll.options import CorpusOptions
from unroll.reporting.inside import inside_page
from unroll.storage.files import write_text
from unroll.storage.folders import digest
from unroll.study import Study


def inside(study: Study, variant: str, output: Path | None) -> None:
    """Write a page on the best seed of a variant; by default beside the reports of the study.

    Raises:
        UserError: there is no such variant, it is no language model, or `output` is no HTML file.
        DataError: it is not trained, or was trained on other data than there are now.
    """
    path = output or study.reports / f"inside-{variant}.html"
    if path.suffix != ".html":
        raise UserError(f"--output: {path} cannot be written; it is a page: name it FILE.html")
    options = study.variant(variant)
    if not isinstance(options, CorpusOptions):
        able = [name for name, of in study.variants.items() if isinstance(of, CorpusOptions)]
        way_out = f"choose one of {', '.join(able)}" if able else f"{study.params_file} has none"
        raise UserError(f"{variant} is no language model; {way_out}")
    model, prepared = OpenStudy(study).model(variant), study.prepared(options.task)
    with study.remedy(f"prepare@{options.task}"):
        corpus = study.kind_of(variant).load(prepared)
    with study.remedy(f"train@{variant}"):
        if model.record.subject.data_digest != digest(prepared):
            raise DataError(f"{variant} was trained on other data than {prepared}")
    torch.set_num_threads(study.compute.threads)  # as in training: with more they are slower
    trained = model.trained
    with study.remedy(f"prepare@{options.task}"):
        found = look_inside(trained.model, trained.options, corpus, model.record.seed)
    write_text(path, inside_page(model.record, trained.options, found))
    print(f"{path}: seed {model.record.seed}; it quotes the validation split")
