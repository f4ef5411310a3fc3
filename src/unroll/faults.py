"""What is wrong with a params file, in words: the place, and the name that may be meant."""

import difflib
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from unroll.errors import UserError

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


def validate(
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


def _relevant(error: ValidationError, model: type[BaseModel]) -> list[dict[str, Any]]:
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


def _explain(place: str, fault: Mapping[str, Any], model: type[BaseModel]) -> str:
    key = str(fault["loc"][-1]) if fault["loc"] else ""
    if fault["type"] == "extra_forbidden":
        return f"{place}: unknown key{nearest(key, model.model_fields)}"
    if fault["type"] == "missing":
        return f"{place}: missing"
    if fault["type"] == "value_error":
        return f"{place}.{fault['ctx']['error']}"
    message = fault["msg"][0].lower() + fault["msg"][1:]
    given = fault.get("input")
    hint = nearest(given, _choices(model, key)) if isinstance(given, str) else ""
    return f"{place}: {message}, not {reprlib.repr(given)}{hint}"


def _choices(model: type[BaseModel], key: str) -> list[str]:
    """Return the words that an option takes, also where it takes other things."""
    field = model.model_fields.get(key)
    types = get_args(field.annotation) if field else ()
    found = [choice for type_ in types for choice in (type_, *get_args(type_))]
    return [choice for choice in found if isinstance(choice, str)]


def unknown_keys(entry: Mapping[Any, Any], known: tuple[str, ...]) -> list[str]:
    """Return a fault for each key that is not one of the known ones."""
    keys = sorted(str(key) for key in entry)
    return [f"{key}: unknown key{nearest(key, known)}" for key in keys if key not in known]


def nearest(name: object, known: Iterable[str]) -> str:
    """Return a hint at the known name that may have been meant."""
    near = _near(name, known)
    return f" (did you mean {near[0]}?)" if near else ""


def _near(name: object, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(str(name), list(known), n=1)


def pick(entries: Mapping[str, T], name: str, what: str, place: object) -> T:
    """Return the entry of this name.

    Raises:
        UserError: there is none; the message names the nearest, and all.
    """
    if name in entries:
        return entries[name]
    raise UserError(
        f"{place} has no {what} {name!r}{nearest(name, entries)}; it has {', '.join(entries)}"
    )
