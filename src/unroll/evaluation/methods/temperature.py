"""A softmax temperature: how far a model is too sure of itself, or not sure enough.

Guo et al., 2017, "On Calibration of Modern Neural Networks", section 4.2.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.evaluation.methods.method import Method, Setting
from unroll.evaluation.reading import logits
from unroll.models.language_model import LanguageModel
from unroll.models.layers import at_least_float32


class Temperature(Method):
    """Logits are divided by a number before the softmax."""

    name = "temperature"
    settings = tuple({"temperature": t / 100} for t in range(80, 145, 5))

    @torch.inference_mode()
    def losses(
        self, model: LanguageModel, tokens: Tensor, eos: int, settings: Sequence[Setting]
    ) -> list[Tensor]:
        """Return the losses at each temperature."""
        model.eval()
        found = [torch.empty(len(tokens), dtype=torch.float64) for _ in settings]
        for of_window, expected, places in logits(model, tokens, eos):
            precise = at_least_float32(of_window)
            for setting, losses in zip(settings, found, strict=True):
                cooled = precise / setting["temperature"]
                of_places = F.cross_entropy(cooled, expected, reduction="none")
                losses[places] = of_places.cpu().double()
        return found
