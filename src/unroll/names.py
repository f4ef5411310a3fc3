"""Names of studies, tasks and variants: such as all can carry who must.

A name becomes a folder, a stage of DVC, a key that DVC reads in a params file, an alias of MLflow
and a cell of a CSV file.
"""

import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
WHAT = "a name may have letters, digits, '-' and '_', and begins with a letter or a digit"
# What YAML takes for something else, and what pandas takes for nothing.
WORDS = {"true", "false", "yes", "no", "on", "off", "y", "n", "null", "none", "nan", "na", "inf"}
VERSION = re.compile(r"v[0-9]+|latest|champion", re.IGNORECASE)


def unfit(name: object) -> str | None:
    """Say why this cannot be a name; None where it can."""
    if not isinstance(name, str):
        return f"YAML reads it as {type(name).__name__}; begin it with a letter"
    if "." in name and NAME.fullmatch(name.replace(".", "-")):
        return "DVC would look for what is before the dot; use '-'"
    if not NAME.fullmatch(name):
        return WHAT
    if name.lower() in WORDS or _is_number(name):
        return "YAML or pandas reads it as something else than a name; choose another"
    if VERSION.fullmatch(name):
        return "MLflow has this name for versions of models; choose another"
    return None


def _is_number(name: str) -> bool:
    if not re.search("[A-Za-z]", name):  # also what is a date
        return True
    for read in (float, lambda text: int(text, 0)):
        try:
            read(name)
            return True
        except ValueError:
            continue
    return False
