"""What blanks at the end of a text mean to a model.

`padding: plain` treats the blank as one more symbol, as the book does. `padding: masked`
reads and scores texts as if the blanks were not there, but for the first blank after an
answer: it is the only sign by which a decoder can say that its answer has ended.
"""

import torch
from torch import Tensor


def text_lengths(ids: Tensor, blank: int) -> Tensor:
    """Return the lengths (N,) of texts (N, T) without the blanks at their ends."""
    positions = torch.arange(1, ids.shape[1] + 1, device=ids.device)
    return (positions * (ids != blank)).amax(dim=1)


def before(lengths: Tensor, steps: int) -> Tensor:
    """Return a mask (N, steps), true at the steps before each of the lengths (N,)."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def reverse(ids: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return texts (N, T) in reverse; with `lengths`, blanks stay at the end."""
    if lengths is None:
        return ids.flip(1)
    steps = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    source = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    return ids.gather(1, source)


def answered(answers: Tensor, blank: int, padding: str) -> Tensor:
    """Return which symbols of a model's answers (N, T) belong to them, as a mask.

    With `padding: masked` an answer ends with its first blank: what comes after it was
    never trained.
    """
    if padding == "plain":
        return torch.ones_like(answers, dtype=torch.bool)
    blanks = answers == blank
    return (blanks.cumsum(dim=1) - blanks.long()) == 0


def scored(targets: Tensor, blank: int, padding: str) -> Tensor:
    """Return which symbols of answers (N, T) count in loss and accuracy, as a mask."""
    if padding == "plain":
        return torch.ones_like(targets, dtype=torch.bool)
    return before(text_lengths(targets, blank) + 1, targets.shape[1])
