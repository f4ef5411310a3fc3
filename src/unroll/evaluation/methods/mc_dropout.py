"""Monte Carlo dropout: the mean of what the model says with many dropout masks.

Gal & Ghahramani, 2016, "A Theoretically Grounded Application of Dropout in Recurrent Neural
Networks", section 4.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unroll.evaluation.methods.method import Method, Setting
from unroll.evaluation.reading import of_tokens
from unroll.models.dropout import set_generator
from unroll.models.language_model import LanguageModel
from unroll.seeds import torch_generator


class McDropout(Method):
    """Probabilities are averaged over so many readings with dropout."""

    name = "mc_dropout"
    settings = ({"readings": 20},)

    @torch.inference_mode()
    def losses(
        self, model: LanguageModel, tokens: Tensor, eos: int, settings: Sequence[Setting]
    ) -> list[Tensor]:
        """Return the losses of the mean of so many readings."""
        return [self._mean(model, tokens, eos, int(setting["readings"])) for setting in settings]

    def _mean(self, model: LanguageModel, tokens: Tensor, eos: int, readings: int) -> Tensor:
        device = str(model.affine.weight.device)
        total = torch.zeros(len(tokens), dtype=torch.float64)
        model.train()
        for reading in range(readings):
            set_generator(model, torch_generator(reading, "mc_dropout", device=device))
            total += of_tokens(model, tokens, eos, _probability)
        model.eval()
        return -(total / readings).clamp_min(torch.finfo(torch.float64).tiny).log()


def _probability(logits: Tensor, expected: Tensor) -> Tensor:
    """Return the probability of what was to be predicted (M,), of logits (M, V)."""
    return logits.softmax(dim=1).gather(1, expected[:, None])[:, 0]
