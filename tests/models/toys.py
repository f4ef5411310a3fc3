"""Tiny options, models and data for tests, and the equations of the layers in NumPy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn

from unroll.options import CorpusOptions, PairsOptions, VariantOptions
from unroll.data.corpus import EOS, Corpus
from unroll.data.pairs import BLANK, Pairs, encode_lines, save_pairs
from unroll.data.vocabulary import Vocabulary
from unroll.models.build import build
from unroll.models.initialise import initialise
from unroll.models.language_model import LanguageModel
from unroll.models.seq2seq import Seq2Seq
from unroll.runs.subject import Subject
from unroll.training.machine import Machine

few_examples = settings(deadline=None, max_examples=25)

CPU = Machine("cpu", "float32", threads=1)
BF16 = Machine("cpu", "bfloat16", threads=1)

COMMON: dict[str, Any] = {
    "task": "toy",
    "seeds": [0],
    "embedding_size": 4,
    "hidden_size": 4,
    "epochs": 2,
    "batch_size": 4,
    "optimizer": "sgd",
    "learning_rate": 0.1,
}

DIGITS = Vocabulary(("_", BLANK, *"0123456789"))
START, BLANK_ID = DIGITS.ids["_"], DIGITS.ids[BLANK]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Compute with one thread, as workers do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pairs_options(**changes: Any) -> PairsOptions:
    return PairsOptions.model_validate({**COMMON, **changes})


def corpus_options(**changes: Any) -> CorpusOptions:
    return CorpusOptions.model_validate({**COMMON, "time_steps": 5, **changes})


def task_section(name: str, hidden_size: int) -> str:
    """Return an addition task as it stands under `tasks` in a params file."""
    return f"""\
  {name}:
    data:
      kind: addition
      max_digits: 1
    defaults:
      seeds: [0]
      embedding_size: 4
      hidden_size: {hidden_size}
      epochs: 1
      batch_size: 10
      optimizer: adam
      learning_rate: 0.01
"""


def subject(options: VariantOptions) -> Subject:
    return Subject("toy", "v", options, "ab" * 32, "cd" * 32, {"device": "cpu", "threads": 1})


def seq2seq(seed: int = 0, vocabulary: Vocabulary = DIGITS, **changes: Any) -> Seq2Seq:
    """Return a model with weights that are large enough to matter."""
    options = pairs_options(**changes)
    model = build(options, vocabulary)
    initialise(model, "default", seed)
    assert isinstance(model, Seq2Seq)
    return model


def language_model(words: int = 7, seed: int = 0, **changes: Any) -> LanguageModel:
    model = LanguageModel(corpus_options(**changes), words)
    initialise(model, "default", seed)
    return model


def lively(**changes: Any) -> Seq2Seq:
    """Return a model whose answers depend on what it reads."""
    model = seq2seq(**{"hidden_size": 16, "bridge": "state", **changes})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
        model.decoder.affine.bias.zero_()
    return model


def lines(*texts: str) -> Tensor:
    """Return texts of digits and blanks, all of one length, as ids."""
    return torch.tensor([[DIGITS.ids[symbol] for symbol in text] for text in texts])


def pairs(count: int = 20, seed: int = 0) -> Pairs:
    """Return pairs of up to three digits and the same digits backwards; all splits are alike."""
    random = np.random.default_rng(seed)
    numbers = random.choice(1000, size=count, replace=False)
    questions = [str(number) for number in numbers]
    sources = encode_lines(questions, 4, DIGITS, "toy")
    targets = encode_lines(["_" + text[::-1] for text in questions], 5, DIGITS, "toy")
    splits = ("train", "valid", "test")
    return Pairs(DIGITS, dict.fromkeys(splits, sources), dict.fromkeys(splits, targets), {})


def corpus(train: Any, valid: Any = (0, 1), words: int = 7) -> Corpus:
    """Return a corpus of these ids; the first word is `<eos>`."""
    vocabulary = Vocabulary((EOS, *(f"w{i}" for i in range(1, words))))
    ids = {"train": np.array(train), "valid": np.array(valid), "test": np.array(valid)}
    return Corpus(vocabulary, ids, {})


def save_toy_pairs(folder: Path) -> Path:
    save_pairs(pairs(), folder)
    return folder


def zero(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()


def chain(follows: dict[str, str], padding: str = "plain") -> Seq2Seq:
    """Return a model that ignores the source and puts `follows[s]` after each symbol s."""
    size = len(DIGITS)
    model = seq2seq(cell="rnn", embedding_size=size, hidden_size=size, padding=padding)
    zero(model)
    decoder, one_hot = model.decoder, torch.eye(size)
    with torch.no_grad():
        decoder.embedding.weight.copy_(one_hot)
        decoder.recurrent.layers[0].weight_ih_l0.copy_(one_hot)
        for symbol, after in follows.items():
            decoder.affine.weight[DIGITS.ids[after], DIGITS.ids[symbol]] = 1.0
    return model


def repeats(symbol: str) -> Seq2Seq:
    """Return a model that answers every question with one symbol over and over."""
    return chain({"_": symbol, symbol: symbol})


def array(x: Tensor) -> np.ndarray:
    return x.detach().numpy()


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x: np.ndarray) -> np.ndarray:
    return np.log(softmax(x))


def step(cell: str, layer: nn.Module, x: np.ndarray, state: tuple, suffix: str = "l0") -> tuple:
    """Return the state of a recurrent layer after reading x (N, D)."""
    W_x, W_h = (array(getattr(layer, f"weight_{of}_{suffix}")) for of in ("ih", "hh"))
    b_x, b_h = (array(getattr(layer, f"bias_{of}_{suffix}")) for of in ("ih", "hh"))
    h = state[0]
    from_x, from_h = x @ W_x.T + b_x, h @ W_h.T + b_h
    if cell == "rnn":
        return (np.tanh(from_x + from_h),)
    if cell == "gru":
        (r_x, z_x, n_x), (r_h, z_h, n_h) = (np.split(a, 3, axis=1) for a in (from_x, from_h))
        r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
        return ((1 - z) * np.tanh(n_x + r * n_h) + z * h,)
    i, f, g, o = np.split(from_x + from_h, 4, axis=1)
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def steps(
    cell: str, layer: nn.Module, xs: np.ndarray, state: tuple | None = None, suffix: str = "l0"
) -> tuple[np.ndarray, tuple]:
    """Return the outputs (N, T, H) over xs (N, T, D), and the last state."""
    H = getattr(layer, f"weight_hh_{suffix}").shape[1]
    state = state or (np.zeros((len(xs), H)),) * (2 if cell == "lstm" else 1)
    outputs = []
    for t in range(xs.shape[1]):
        state = step(cell, layer, xs[:, t], state, suffix)
        outputs.append(state[0])
    return np.stack(outputs, axis=1), state
