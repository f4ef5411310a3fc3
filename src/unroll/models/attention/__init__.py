"""How much a decoder looks at each step of the source: a score for each, in a file of its own."""

from unroll.models.attention.additive import AdditiveAttention
from unroll.models.attention.attention import Attention
from unroll.models.attention.dot import DotAttention
from unroll.models.attention.general import GeneralAttention

__all__ = ["ATTENTIONS", "Attention"]

ATTENTIONS: dict[str, type[Attention]] = {
    "dot": DotAttention,
    "general": GeneralAttention,
    "additive": AdditiveAttention,
}
