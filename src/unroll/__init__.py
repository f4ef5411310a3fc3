"""Recurrent language models and sequence-to-sequence models, compared so that anyone can repeat it.

    import unroll
    unroll.open().model("peeky").ask("57+5")

docs/python.md says what else there is.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unroll.api import OpenStudy


def open(study: str = "root") -> "OpenStudy":
    """Return a study whose trained models can be asked; PyTorch is imported here, not before."""
    from unroll.api import open_study

    return open_study(study)
