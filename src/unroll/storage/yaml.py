"""YAML files, read as DVC reads them, within bounds."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from unroll.errors import UserError

LARGEST_FILE = 500_000  # bytes
MOST_VALUES = 100_000  # in a file whose aliases are written out


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds, as DVC reads it.

    Raises:
        UserError: it is missing, too large, or no YAML; the message names the place.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path} has more than {LARGEST_FILE:,} bytes")
        yaml = YAML(typ="safe")
        root = yaml.compose(path)  # the aliases are not written out yet
        if root is None:
            return None
        if _values(root, {}) > MOST_VALUES:
            raise UserError(f"{path} has more than {MOST_VALUES:,} values")
        return yaml.constructor.construct_document(root)
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
