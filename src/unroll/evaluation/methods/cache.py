"""A neural cache: words that were read lately are likelier where the state is as it was then.

Grave et al., 2017, "Improving Neural Language Models with a Continuous Cache", equations 1 to 4.
"""

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from unroll.evaluation.methods.method import Method, Setting
from unroll.evaluation.reading import outputs
from unroll.models.language_model import LanguageModel
from unroll.models.layers import at_least_float32

BLOCK = 100  # tokens at once
NOTHING = 1e-30  # probability


class Cache(Method):
    """p(w) = (1 - share) · softmax + share · what followed states like this one.

    Of the last `size` words each counts by exp(flatness · h · h'), where h is the state now and h'
    the one before that word.
    """

    name = "cache"
    settings = tuple(
        {"size": size, "flatness": flatness, "share": share}
        for size, flatness, share in product(
            (500, 2000), (0.05, 0.1, 0.2, 0.4, 0.8), (0.05, 0.1, 0.15, 0.2, 0.3)
        )
    )

    @torch.inference_mode()
    def losses(
        self, model: LanguageModel, tokens: Tensor, eos: int, settings: Sequence[Setting]
    ) -> list[Tensor]:
        """Return the losses with each cache."""
        model.eval()
        states, own = self._read(model, tokens, eos)
        targets = tokens.long().to(states.device)
        shapes = dict.fromkeys((int(s["size"]), s["flatness"]) for s in settings)
        cached = {shape: of_cache(states, targets, *shape) for shape in shapes}
        return [
            -_mixed(own, cached[int(s["size"]), s["flatness"]], s["share"]).log().cpu()
            for s in settings
        ]

    def _read(self, model: LanguageModel, tokens: Tensor, eos: int) -> tuple[Tensor, Tensor]:
        """Return the state before each word (T, H), and the probability of that word (T,)."""
        T, like = len(tokens), model.affine.weight
        states = at_least_float32(like.new_empty(T, model.recurrent.hidden_size))
        own = like.new_empty(T, dtype=torch.float64)
        for found, expected, places in outputs(model, tokens, eos):
            logs = at_least_float32(model.logits(found)[0]).log_softmax(dim=1)
            at = places.to(like.device)
            states[at] = at_least_float32(found[0])
            own[at] = logs.gather(1, expected[:, None])[:, 0].double().exp()
        return states, own


def _mixed(own: Tensor, cached: Tensor, share: float) -> Tensor:
    """Return the probability of each word (T,); the first has no cache: there its own alone."""
    mixed = (1 - share) * own + share * cached
    mixed[:1] = own[:1]
    return mixed.clamp_min(NOTHING)


def of_cache(states: Tensor, targets: Tensor, size: int, flatness: float) -> Tensor:
    """Return the probability (T,) that a cache gives each of `targets` (T,), in float64.

    `states` (T, H) are those before each target; the first target has nothing in the cache.
    """
    found = torch.zeros(len(targets), dtype=torch.float64, device=states.device)
    for start in range(1, len(targets), BLOCK):
        end = min(start + BLOCK, len(targets))
        first = max(0, start - size)
        scores = flatness * states[start:end] @ states[first : end - 1].T  # (now, before)
        now = torch.arange(start, end, device=states.device)[:, None]
        before = torch.arange(first, end - 1, device=states.device)
        scores = scores.masked_fill((before >= now) | (before < now - size), -torch.inf)
        same = targets[start:end, None] == targets[first : end - 1]
        found[start:end] = (scores.softmax(dim=1) * same).sum(dim=1).double()
    return found
