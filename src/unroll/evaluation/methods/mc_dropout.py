"""Monte Carlo dropout: the mean of what the model says with many dropout masks.

Gal & Ghahramani, 2016, "A Theoretically Grounded Application of Dropout in Recurrent Neural
Networks", section 4.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unroll.evaluation.methods.method import Method, Setting
from unroll.evaluation.reading import logits
from unroll.models.dropout import set_generator
from unroll.models.language_model import LanguageModel
from unroll.models.layers import at_least_float32
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
            for of_window, expected, places in logits(model, tokens, eos):
                likely = at_least_float32(of_window).softmax(dim=1)
                total[places] += likely.gather(1, expected[:, None])[:, 0].double().cpu()
        model.eval()
        return -(total / readings).clamp_min(torch.finfo(torch.float64).tiny).log()
