"""Stage size: how large every variant of a task is, solved where a parameter budget is given."""

from typing import Any

from pydantic import ValidationError
from torch import nn

from unroll import kinds
from unroll.errors import DataError
from unroll.models.budget import parameters, solve
from unroll.options import Count, Strict, VariantOptions
from unroll.storage.files import read_json, write_json
from unroll.storage.folders import check_folder, new_folder
from unroll.study import Study


class Size(Strict):
    """The file of a variant's size."""

    hidden_size: Count
    parameters: Count


def size(study: Study, task: str) -> None:
    """Write hidden size and parameter count of each variant of a task."""
    kind = kinds.named(study.task(task).kind)
    with study.remedy(f"prepare@{task}"):
        form: Any = kind.form(kind.load(study.prepared(task)))

    def build(options: VariantOptions) -> nn.Module:
        return kind.build(options, form)

    with new_folder(study.data / "sizes" / task) as folder:
        for name, options in study.variants_of(task).items():
            options = solve(build, options, study.variants)
            found = Size(hidden_size=options.hidden_size, parameters=parameters(build, options))
            write_json(folder / f"{name}.json", found.model_dump())
            print(f"{name}: hidden_size {found.hidden_size}, {found.parameters:,} parameters")


def sized(study: Study, variant: str) -> VariantOptions:
    """Return a variant's options with the hidden size that stage size has found.

    Raises:
        DataError: its file is missing or damaged, or of an earlier hidden size.
    """
    options, path = study.variant(variant), study.size(variant)
    with study.remedy(f"size@{options.task}"):
        check_folder(path.parent)
        try:
            found = Size.model_validate(read_json(path))
        except ValidationError:
            raise DataError(f"{path} is damaged") from None
        if options.match_parameters is None and found.hidden_size != options.hidden_size:
            raise DataError(
                f"{path} is of another hidden_size ({found.hidden_size}) than "
                f"{study.params_file} ({options.hidden_size})"
            )
    return options.resized(found.hidden_size)
