"""Stage size: how large every variant of a task is, solved where a parameter budget is given."""

from pydantic import ValidationError

from unroll.config import Count, Options, Study, VariantOptions
from unroll.data.files import check_folder, new_folder, read_json, write_json
from unroll.data.loading import load
from unroll.errors import DataError
from unroll.models.budget import match, parameters, resize


class Size(Options):
    """The file of a variant's size."""

    hidden_size: Count
    parameters: Count


def size(study: Study, task: str) -> None:
    """Write hidden size and parameter count of each variant of a task."""
    kind = study.task(task).kind
    vocabulary = load(kind, study.prepared(task), study.remedy(f"prepare@{task}")).vocabulary
    variants = {name: o for name, o in study.variants.items() if o.task == task}
    with new_folder(study.data / "sizes" / task) as folder:
        for name, options in variants.items():
            if options.match_parameters is not None:
                budget = parameters(variants[options.match_parameters], vocabulary)
                options = match(options, budget, vocabulary)
            count = parameters(options, vocabulary)
            found = Size(hidden_size=options.hidden_size, parameters=count)
            write_json(folder / f"{name}.json", found.model_dump())
            print(f"{name}: hidden_size {found.hidden_size}, {found.parameters:,} parameters")


def sized(study: Study, variant: str) -> VariantOptions:
    """Return a variant's options with the hidden size that stage size has found.

    Raises:
        DataError: its file is missing or damaged, or of an earlier hidden size.
    """
    options, path = study.variant(variant), study.size(variant)
    remedy = study.remedy(f"size@{options.task}")
    check_folder(path.parent, remedy)
    try:
        found = Size.model_validate(read_json(path, remedy))
    except ValidationError:
        raise DataError(f"{path} is damaged; {remedy}") from None
    if options.match_parameters is None and found.hidden_size != options.hidden_size:
        raise DataError(
            f"{path} is of another hidden_size ({found.hidden_size}) than {study.params_file} "
            f"({options.hidden_size}); {remedy}"
        )
    return resize(options, found.hidden_size)
