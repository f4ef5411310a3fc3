"""Tiny options, models and data for tests, and the equations of the layers in NumPy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn

from unroll.data.corpus import EOS, Corpus, CorpusForm
from unroll.data.labels import Labelled, LabelsForm
from unroll.data.pairs import Pairs, PairsForm, save_pairs
from unroll.data.sequences import SPLITS, encode
from unroll.data.vocabulary import Vocabulary
from unroll.kinds import kind_of
from unroll.kinds.labels import LabelsKind
from unroll.kinds.pairs import PairsKind
from unroll.models.classifier import Classifier
from unroll.models.initialise import initialise
from unroll.models.language_model import LanguageModel
from unroll.models.seq2seq import Seq2Seq
from unroll.options import (
    CaptionsOptions,
    CorpusOptions,
    LabelsOptions,
    PairsOptions,
    RepliesOptions,
    VariantOptions,
)
from unroll.runs.model import TrainedModel, write_model
from unroll.runs.record import Record, seed_folder
from unroll.runs.subject import Subject
from unroll.study import Study
from unroll.tasks.addition import Addition, AdditionOptions
from unroll.training.interruption import Interruption
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

# The book's way: one vocabulary, blanks that fill texts and end answers.
BLANK = " "
# The options of pairs that came after the first version, with the value that changes nothing.
LATER_OF_ALL = {"keep": "last", "averaged_epochs": None}
LATER_OF_PAIRS = {
    **LATER_OF_ALL,
    "embedding": "learned",
    "attention": "dot",
    "attention_query": "now",
    "teacher_forcing": 1.0,
    "teacher_forcing_by": "step",
    "loss": "symbol",
    "label_smoothing": 0.0,
    "with_replacement": False,
    "double_source": False,
    "curriculum": "all",
}
SPECIAL = {"pad": BLANK, "start": "_", "end": BLANK}
DIGITS = Vocabulary(("_", BLANK, *"0123456789"), special=SPECIAL)
START, BLANK_ID = DIGITS.ids["_"], DIGITS.ids[BLANK]
FORM = PairsForm(source=DIGITS, source_width=4, target_width=5)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Compute with one thread, as workers do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pairs_options(**changes: Any) -> PairsOptions:
    return PairsOptions.model_validate({**COMMON, **changes})


def replies_options(**changes: Any) -> RepliesOptions:
    return RepliesOptions.model_validate({**COMMON, **changes})


def captions_options(**changes: Any) -> CaptionsOptions:
    return CaptionsOptions.model_validate({**COMMON, **changes})


def corpus_options(**changes: Any) -> CorpusOptions:
    return CorpusOptions.model_validate({**COMMON, "time_steps": 5, **changes})


def labels_options(**changes: Any) -> LabelsOptions:
    return LabelsOptions.model_validate({**COMMON, **changes})


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
    machine = {"device": "cpu", "precision": "float32", "threads": 1}
    return Subject("toy", "v", options, "ab" * 32, "cd" * 32, machine)


def addition(**options: Any) -> Addition:
    return Addition(AdditionOptions.model_validate({"kind": "addition", **options}))


def record(options: VariantOptions, task: Any = None, seed: int = 0, **scores: list) -> Record:
    """Return a record of a run with these scores in its history."""
    choosing = kind_of(options).choosing
    columns = scores or {choosing: [0.5]}
    epochs = range(1, len(next(iter(columns.values()))) + 1)
    history = pd.DataFrame({"epoch": epochs, "train_loss": 1.0, **columns})
    environment = {"device": "cpu", "torch": "2.13.0"}
    return Record(subject(options), seed, task or addition(), 7, environment, history)


def trained(
    model: Any, options: VariantOptions, form: Any = FORM, task: Any = None
) -> TrainedModel:
    """Return a model with a record, as if it had been trained."""
    return TrainedModel(record(options, task), form, model)


def seq2seq(seed: int = 0, form: PairsForm = FORM, **changes: Any) -> Seq2Seq:
    """Return a model with weights that are large enough to matter."""
    options = pairs_options(**changes)
    model = kind_of(options).build(options, form)
    initialise(model, "default", seed)
    assert isinstance(model, Seq2Seq)
    return model


def corpus_form(words: int = 7) -> CorpusForm:
    """Return a form of so many words; the first is `<eos>`."""
    symbols = (EOS, *(f"w{i}" for i in range(1, words)))
    return CorpusForm(vocabulary=Vocabulary(symbols, special={"end": EOS}, unit="word"))


def language_model(words: int = 7, seed: int = 0, **changes: Any) -> LanguageModel:
    model = LanguageModel(corpus_options(**changes), corpus_form(words))
    initialise(model, "default", seed)
    return model


def ragged() -> Pairs:
    """Return pairs of many lengths, each side with a vocabulary of its own."""
    return PairsKind().made_up(pairs_options())


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
    sources = encode(questions, DIGITS, 4, "toy")
    targets = encode([text[::-1] for text in questions], DIGITS, 5, "toy", start=True, end=True)
    counts = {"counts": dict.fromkeys(SPLITS, count)}
    return Pairs(FORM, dict.fromkeys(SPLITS, sources), dict.fromkeys(SPLITS, targets), counts)


def corpus(train: Any, valid: Any = (0, 1), words: int = 7) -> Corpus:
    """Return a corpus of these ids; the first word is `<eos>`."""
    splits = {"train": train, "valid": valid, "test": valid}
    tokens = {split: np.array(ids, dtype=np.int32) for split, ids in splits.items()}
    counts = {"counts": {split: len(ids) for split, ids in splits.items()}}
    return Corpus(corpus_form(words), tokens, counts)


def save_toy_pairs(folder: Path) -> Path:
    save_pairs(pairs(), folder)
    return folder


class EndsAfter(Interruption):
    """Asks a training to end at so many looks at it: after each step, around each scoring."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def check(self) -> None:
        self.left -= 1
        self.requested = self.left <= 0
        super().check()


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


LABELS_FORM = LabelsForm(source=DIGITS, source_width=4, labels=["low", "middle", "high"])


def lengths_of(*texts: str) -> Tensor:
    """Return the lengths of texts without the blanks at their ends."""
    return torch.tensor([len(text.rstrip(BLANK)) for text in texts])


def labelled() -> Labelled:
    """Return labelled sequences of many lengths."""
    return LabelsKind().made_up(labels_options())


def classifier(seed: int = 0, form: LabelsForm = LABELS_FORM, **changes: Any) -> Classifier:
    """Return a classifier with weights that are large enough to matter."""
    options = labels_options(**changes)
    model = kind_of(options).build(options, form)
    initialise(model, "default", seed)
    assert isinstance(model, Classifier)
    return model


def write_untrained(study: Study, variant: str, form: Any, model: Any = None) -> None:
    """Write a model where the study has those of this variant, as if it had been trained."""
    options, kind, seed = study.variant(variant), study.kind_of(variant), 0
    if model is None:
        model = kind.build(options, form)
        initialise(model, options.init, seed)
    about = Subject(study.name, variant, options, "ab" * 32, "cd" * 32, {"device": "cpu"})
    history = pd.DataFrame({"epoch": [1], kind.choosing: [0.5]})
    found = Record(about, seed, study.task_of(variant), 1, {"device": "cpu"}, history)
    write_model(seed_folder(study.model(variant), seed), TrainedModel(found, form, model))
