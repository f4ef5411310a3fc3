"""Captions: a model says what is on a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.data.captioned import (
    Captioned,
    CaptionedForm,
    load_captioned,
    save_captioned,
)
from unroll.data.pairs import Texts
from unroll.data.pictures import each, from_text, picture_of, to_png, to_text
from unroll.data.sequences import SPLITS
from unroll.errors import UserError
from unroll.kinds.made_up import COUNTS, letters, sequences
from unroll.kinds.pairs import PairsKind, PairsRequest
from unroll.metrics import BLEU, CHARACTER_ACCURACY, CHRF, EXACT_MATCH, PERPLEXITY, TRUE_CAPTIONS
from unroll.seeds import numpy_generator
from unroll.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from unroll.evaluation.attention import Look
    from unroll.evaluation.evaluation import Evaluation
    from unroll.runs.model import TrainedModel
    from unroll.training.machine import Machine
    from unroll.training.objective import Objective


class CaptionsKind(PairsKind):
    """A picture → a sentence."""

    name = "captions"
    metrics = (EXACT_MATCH, TRUE_CAPTIONS, BLEU, CHRF, CHARACTER_ACCURACY, PERPLEXITY)
    Form = CaptionedForm
    unit, seen = "captions", "captions"
    columns = ("picture", "caption")
    output = "caption"
    sees = True

    def load(self, folder: Path) -> Captioned:
        """Read prepared pictures and captions."""
        return load_captioned(folder)

    def save(self, data: Any, folder: Path) -> None:
        """Write prepared pictures and captions."""
        save_captioned(data, folder)

    def questions(self, data: Any) -> Mapping[str, Sequence[str]]:
        """Return the names of the pictures."""
        return {split: list(dict.fromkeys(data.questions(split))) for split in SPLITS}

    def made_up(self, options: Any) -> Captioned:
        """Return pictures of noise, each of which has a caption of another length."""
        target = letters("uvwxyz", "pad", "start", "end")
        net, weights = _made_up_net() if options.encoder == "pretrained" else (None, None)
        form = CaptionedForm(size=16, net=net, answers=target, target_width=7)
        sources = {s: each(_noise(s, COUNTS[s])) for s in SPLITS}
        targets = {s: sequences(s, "target", target, form.target_width) for s in SPLITS}
        return self.with_texts(Captioned(form, sources, targets, {}, weights=weights))

    def objective(
        self, model: Any, data: Any, options: Any, seed: int, machine: "Machine"
    ) -> "Objective":
        """Return what training minimises. What is pretrained is as the data have it."""
        if data.weights is not None and options.encoder == "pretrained":
            model.encoder.net.take(data.weights)
        return super().objective(model, data, options, seed, machine)

    def with_texts(self, data: Any) -> Captioned:
        """Return the pictures with names, and their captions as texts."""
        texts = {
            split: Texts(
                questions=[f"{split} {i}" for i in range(len(of))],
                references=[[text] for text in of.texts(data.form.answers)],
            )
            for split, of in data.targets.items()
        }
        made: Captioned = replace(data, texts=texts)
        return made

    def evaluate(
        self, model: Any, data: Any, options: Any, task: Task[Any], device: str
    ) -> "Evaluation":
        """Let the model say what is on the pictures of both splits."""
        from unroll.evaluation.captions import evaluate_captions

        return evaluate_captions(model, data, options.padding, task, device)

    def unknown(self, trained: "TrainedModel", text: str) -> list[str]:
        """Return nothing: a picture has no words."""
        return []

    def look(self, trained: "TrainedModel", text: str, request: PairsRequest) -> "Look":
        """Return what the words of a caption look at: the places of the feature map, row by row.

        Raises:
            UserError: the model has no attention.
        """
        import torch

        from unroll.evaluation.attention import Look, step_weights
        from unroll.evaluation.captions import words_of

        self._check(request)

        answers, (_, pictures) = trained.form.answers, self._read(trained, [text])
        symbols = self._searched(trained, pictures, request).symbols[:, 0]
        pixels = torch.as_tensor(pictures.pixels)
        weights, _ = step_weights(trained.model, pixels, None, symbols, answers["start"])
        if weights is None:
            raise UserError(f"{trained.record.subject.variant} has no attention: there is no map")
        words = words_of(answers, symbols[0].tolist())
        return Look([], words, weights[0, : len(words)].double().numpy())

    def _read(self, trained: "TrainedModel", texts: Sequence[str]) -> Any:
        """Return pictures from their texts: base64 of a file."""
        size = trained.form.size
        found = [
            picture_of(from_text(text, f"row {i}"), size, f"row {i}")
            for i, text in enumerate(texts, 1)
        ]
        return list(texts), each(np.stack(found) if found else np.empty((0, 3, size, size), "u1"))

    def _said(
        self,
        trained: "TrainedModel",
        questions: Sequence[str],
        source: Any,
        symbols: "Tensor",
        request: PairsRequest,
    ) -> list[str]:
        """Return captions (N, T') as texts."""
        self._check(request)
        return super()._said(trained, questions, source, symbols, request)

    def _check(self, request: PairsRequest) -> None:
        if request.replace_unknown:
            raise UserError("replace_unknown: a picture has no words that could be copied")
        if request.longest_ratio:
            raise UserError("longest_ratio: a picture has no length")

    def example(self, task: Task[Any], form: Any) -> str:
        """Return the task's own, or noise."""
        return task.example or to_text(to_png(_noise("test", 1)[0]))


def _noise(split: str, count: int) -> np.ndarray:
    random = numpy_generator(0, "made up", split, "pictures")
    return random.integers(0, 256, size=(count, 3, 16, 16)).astype(np.uint8)


def _made_up_net() -> tuple[str, np.ndarray]:
    """Return the least of the nets, with the weights that a training would begin with."""
    from unroll.models.initialise import initialise
    from unroll.models.resnet import ResNet, numbers_of

    net = ResNet("resnet18")
    initialise(net, "default", seed=0)
    return "resnet18", numbers_of(net.state_dict())


KIND = CaptionsKind()
