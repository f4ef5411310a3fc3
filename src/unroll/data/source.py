"""Where data come from: options that do nothing with a source are refused."""

from collections.abc import Mapping, Sequence

from unroll.options import Strict


def refuse_idle(options: Strict, elsewhere: Mapping[str, Sequence[str]]) -> None:
    """Refuse options that do nothing, by name: `elsewhere` has those of other sources, by source.

    Raises:
        ValueError: one of them has another value than it has where it is left out.
    """
    fields = type(options).model_fields
    for source, names in elsewhere.items():
        idle = [name for name in names if getattr(options, name) != fields[name].default]
        if idle:
            raise ValueError(f"{', '.join(idle)}: only of {source}; leave it out")
