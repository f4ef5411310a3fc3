"""Language models at the sizes of the root study and of the book, beside plain PyTorch.

Words drawn at random, as seldom as those of a text, from a vocabulary of 10,000; 20 streams side by
side, 35 steps of truncated BPTT. Plain PyTorch is `nn.LSTM`, `nn.Linear` and `cross_entropy` in
float32, as tutorials write it (benchmarks/references/language_model.py): a model of the same
size, trained by the same optimiser, without what else a variant has. Scoring is the exact
perplexity of a text: whole windows, or a word at a time. Writing draws words at temperature 1:
several texts at once, or one.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from made_up import corpus
from references.language_model import epochs_of as plain_epochs_of
from results import Found
from trainings import epochs_of, precision, training, weights
from turns import Turns
from unroll.data.corpus import Corpus
from unroll.evaluation.perplexity import perplexity
from unroll.evaluation.reading import windows
from unroll.generation.decoding import decode
from unroll.generation.sampling import Sampling
from unroll.models.language_model import LanguageModel
from unroll.seeds import torch_generator

UNIT = "words a second"


def measure(
    turns: Turns,
    words: int,
    steps: int,
    scored: int,
    written: int,
    samples: int,
    options: Any,
    variants: Mapping[str, Any],
) -> Iterator[Found]:
    """Yield training, scoring and writing of each variant.

    An epoch has so many `steps`; `scored` words are scored, and texts of `written` words written.
    """
    read = options["batch_size"] * options["time_steps"] * steps
    data = corpus({"train": read + 1, "valid": scored, "test": 2}, words)
    for name, own in variants.items():
        one = training("corpus", data, **{**options, **own})
        model, taken = one.objective.model, epochs_of(one)
        train = {
            f"unroll, {precision()}": lambda taken=taken: taken() * read // steps,
            "plain PyTorch, float32": plain_epochs_of(data, one.objective.options),
        }
        yield turns.compared(f"training {name}", UNIT, train, 3 * 2 * weights(model))
        yield turns.compared(f"scoring with {name}", UNIT, scoring(model, data))
        yield turns.compared(f"writing with {name}", UNIT, writing(model, samples, written))


def scoring(model: LanguageModel, data: Corpus) -> dict[str, Callable[[], int]]:
    """Return two ways to score the validation split."""
    tokens = torch.as_tensor(data.tokens["valid"])

    def at_once() -> int:
        perplexity(model, tokens, data.eos)
        return len(tokens)

    @torch.inference_mode()
    def one_by_one() -> int:
        model.eval()
        state, losses = None, []
        for read, expected in windows(model, tokens, data.eos, length=1):
            logits, state = model(read, state)
            losses.append(torch.nn.functional.cross_entropy(logits[0], expected))
        torch.stack(losses).mean().exp().item()
        return len(tokens)

    return {"unroll, in windows": at_once, "a word at a time": one_by_one}


def writing(model: LanguageModel, samples: int, length: int) -> dict[str, Callable[[], int]]:
    """Return two ways to write texts of so many words: several at once, and one."""
    generator, sampling = torch_generator(0, "measured"), Sampling(temperature=1.0)

    def write(texts: int) -> int:
        model.eval()
        first = torch.zeros(texts, 1, dtype=torch.long)
        return decode(model, first, None, length, sampling, generator).symbols.numel()

    return {
        f"unroll, {samples} texts at once": lambda: write(samples),
        "one text": lambda: write(1),
    }
