"""A softmax temperature: how far a model is too sure of itself, or not sure enough.

Guo et al., 2017, "On Calibration of Modern Neural Networks", section 4.2.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.evaluation.methods.method import Method, Setting
from unroll.evaluation.reading import of_tokens
from unroll.models.language_model import LanguageModel


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

        def cooled(logits: Tensor, expected: Tensor) -> Tensor:
            return torch.stack(
                [
                    F.cross_entropy(logits / setting["temperature"], expected, reduction="none")
                    for setting in settings
                ]
            )

        return list(of_tokens(model, tokens, eos, cooled))
