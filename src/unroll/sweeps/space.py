"""What a space file says: the variant to begin from, and what of its options is searched."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, create_model, model_validator

from unroll.errors import UserError
from unroll.faults import nearest, validate
from unroll.names import unfit
from unroll.options import Seed, Strict, VariantOptions
from unroll.storage.yaml import read_yaml
from unroll.study import Study

Number = int | Annotated[float, Field(allow_inf_nan=False)]
# What a trial must have in common with the others, or takes from its budget.
NEVER_SEARCHED = ("task", "seeds", "match_parameters")
CLOSE = 1e-9  # how far a number of steps may be from a whole one


class Range(Strict):
    """Numbers from low to high: all, those so many steps from low, or evenly in the logarithm."""

    low: Number
    high: Number
    step: Number | None = None
    log: bool = False

    @model_validator(mode="after")
    def _leads_upwards(self) -> "Range":
        if self.low >= self.high:
            raise ValueError(f"high: must be above low ({self.low})")
        if self.log and self.low <= 0:
            raise ValueError("low: must be above 0 where log is true")
        if self.step is None:
            return self
        if self.log:
            raise ValueError("step: not where log is true; leave one out")
        if self.step <= 0:
            raise ValueError("step: must be above 0")
        steps = (self.high - self.low) / self.step
        if abs(steps - round(steps)) > CLOSE * steps:
            raise ValueError("step: no whole number of them leads from low to high")
        return self


Choices = list[bool | int | float | str | None]


class SpaceFile(Strict):
    """A space file, as it is written."""

    variant: str
    trials: Annotated[int, Field(ge=1, le=10_000)]
    seed: Seed = 0
    prune_after: Annotated[int, Field(ge=0)] = 1
    fixed: Annotated[dict[str, Any], Field(default_factory=dict)]
    space: Annotated[dict[str, Any], Field(min_length=1)]


class Refused(UserError):  # noqa: N818 - as one says it of options
    """Options that each may be had, and not together."""


@dataclass(frozen=True)
class Space:
    """A space file, checked against its study."""

    name: str  # of the file
    variant: str
    base: VariantOptions  # the variant's options with those that are fixed, and the seeds of trials
    trials: int
    seed: int  # of the sampler
    prune_after: int  # epochs that each trial has at least
    fixed: Mapping[str, Any]
    searched: Mapping[str, Range | Choices]

    def options(self, study: Study, params: Mapping[str, Any]) -> VariantOptions:
        """Return the options of a trial; where weights are tied, the embedding follows in size.

        Raises:
            Refused: no model can have all of these.
        """
        base = self.base
        if "hidden_size" in params:
            base = base.resized(params["hidden_size"])
        try:
            return study.altered(self.variant, base, params, "options")
        except UserError as error:
            raise Refused("; ".join(str(error).splitlines())) from None

    def changed(self, options: VariantOptions, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a variant must be told to have the options that a trial has found."""
        before = self.base.model_dump()
        follow = {n: v for n, v in options.model_dump().items() if v != before[n]}
        return {**params, **follow}


def read_space(path: Path, study: Study) -> Space:
    """Read and check a space file.

    Raises:
        UserError: it is missing or is no YAML, a key is unknown or missing, the study has no such
            variant, or its kind no such option or value. The message lists every fault.
    """
    raw = read_yaml(path)
    if why := unfit(path.stem):
        raise UserError(f"{path}: a sweep is called as its file, {path.stem!r} cannot be: {why}")
    faults: list[str] = []
    file = validate(SpaceFile, raw, "", faults)
    faults = [fault.removeprefix(".") for fault in faults]
    space = _checked(path.stem, file, study, faults) if file else None
    if space is None or faults:
        raise UserError("\n".join([f"{path} cannot be used:", *(f"  {fault}" for fault in faults)]))
    return space


def _checked(name: str, file: SpaceFile, study: Study, faults: list[str]) -> Space | None:
    if file.variant not in study.variants:
        hint = nearest(file.variant, study.variants)
        faults.append(f"variant: {study.params_file} has no variant {file.variant!r}{hint}")
        return None
    options = study.variant(file.variant)
    fixed = {"seeds": options.seeds[:1], **file.fixed}
    if "task" in fixed:
        faults.append("fixed.task: a variant has its own; name another variant")
        return None
    try:
        base = study.altered(file.variant, options, fixed, "fixed")
    except UserError as error:
        faults += str(error).splitlines()
        base = options
    searched = {
        option: found
        for option, given in file.space.items()
        if (found := _dimension(option, given, base, faults)) is not None
    }
    faults += [
        f"space.{both}: it is fixed, too; leave one out" for both in searched if both in file.fixed
    ]
    if "hidden_size" in searched and base.match_parameters is not None:
        faults.append(
            f"space.hidden_size: it is solved from match_parameters ({base.match_parameters}); "
            "leave it out, or write match_parameters: null under fixed"
        )
    facts = (file.trials, file.seed, file.prune_after)
    return Space(name, file.variant, base, *facts, file.fixed, searched)


def _dimension(
    option: str, given: Any, base: VariantOptions, faults: list[str]
) -> Range | Choices | None:
    """Return what an option is searched among; None with a fault where that is nothing for it."""
    place, fields = f"space.{option}", type(base).model_fields
    if option not in fields:
        faults.append(f"{place}: {base.kind} has no such option{nearest(option, fields)}")
    elif option in NEVER_SEARCHED:
        faults.append(f"{place}: all trials have it in common; write it under fixed")
    elif isinstance(given, list) and given:
        _check_values(option, given, base, faults)
        if len({repr(choice) for choice in given}) < len(given):
            faults.append(f"{place}: every choice may stand only once")
        return given
    elif isinstance(given, dict):
        found = validate(Range, given, place, faults)
        if found is None:
            return None
        _check_values(option, [found.low, found.high], base, faults)
        if is_real(base, option):
            return found
        if isinstance(found.step, float):
            faults.append(f"{place}.step: input should be a valid integer, not {found.step}")
        return found
    else:
        faults.append(f"{place}: expected a list of choices, or low and high")
    return None


def _check_values(option: str, values: list[Any], base: VariantOptions, faults: list[str]) -> None:
    """Add a fault for each value that the option alone does not take, whatever others are."""
    field = copy.copy(type(base).model_fields[option])
    fields: dict[str, Any] = {option: (field.annotation, field)}
    alone = create_model("Alone", __base__=Strict, **fields)
    for value in values:
        validate(alone, {option: value}, "space", faults)


def is_real(options: VariantOptions, option: str) -> bool:
    """Say whether an option takes numbers that are not whole."""

    def within(annotation: Any) -> bool:
        return annotation is float or any(within(part) for part in get_args(annotation))

    return within(type(options).model_fields[option].annotation)
