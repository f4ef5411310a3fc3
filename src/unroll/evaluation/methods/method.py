"""What every evaluation method has: losses of tokens under several settings; how it is tuned."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unroll.data.corpus import Corpus
from unroll.models.language_model import LanguageModel

Setting = Mapping[str, float]

TUNED_ON = 20_000  # tokens of the validation split, from its beginning


class Method(ABC):
    """A way to let a trained language model predict a text.

    It is tuned on the validation split alone: the test split is scored once, with the setting that
    was best there.
    """

    name: str  # as in a params file
    settings: Sequence[Setting]  # that are tried

    @abstractmethod
    def losses(
        self, model: LanguageModel, tokens: Tensor, eos: int, settings: Sequence[Setting]
    ) -> list[Tensor]:
        """Return the cross entropy in nats of each token (T,), in float64, for each setting.

        The text is read as one stream from its first token to its last; the first token is
        predicted from `<eos>`. The model is left as it was.
        """

    def prepare(self, model: LanguageModel, train: Tensor, eos: int) -> None:  # noqa: B027 - most need nothing
        """Learn of the training text what the method needs to know."""


@dataclass(frozen=True)
class Found:
    """What a method found: losses of each split (T,), and the setting that validation chose."""

    losses: dict[str, Tensor]
    setting: Setting


def scored_by(method: Method, model: LanguageModel, corpus: Corpus) -> Found:
    """Tune a method on the validation split, and score both splits with what was best there."""
    splits = {s: torch.as_tensor(corpus.tokens[s]) for s in ("train", "valid", "test")}
    method.prepare(model, splits["train"], corpus.eos)
    tried = method.losses(model, splits["valid"][:TUNED_ON], corpus.eos, method.settings)
    best = min(range(len(tried)), key=lambda i: float(tried[i].mean()))
    setting = method.settings[best]
    losses = {
        split: method.losses(model, splits[split], corpus.eos, [setting])[0]
        for split in ("valid", "test")
    }
    return Found(losses, setting)
