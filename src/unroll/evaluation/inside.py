"""What goes on inside a trained language model: its gradients, matrices, units and gates.

What chapter 6 of "Deep Learning from Scratch 2" says of gradients that vanish and explode, measured
on a model that was trained, beside others with the weights that they begin with. All that is read
is of the validation split.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor, nn

from unroll.data.corpus import Corpus, CorpusForm
from unroll.errors import DataError
from unroll.evaluation.corpus import positions
from unroll.evaluation.reading import streams, windows
from unroll.models.initialise import initialise
from unroll.models.language_model import LanguageModel
from unroll.models.layers import CELLS, State, at_least_float32
from unroll.models.mogrifier import Mogrifier
from unroll.options import CorpusOptions

STEPS = 35  # how far back gradients are followed, and what is read before that without any
PLACES = 128  # at which a gradient begins
WINDOWS = 100  # of which the gradient of the loss is measured
TRAINED = "trained"  # the name of the model that one looks into
READ = 20_000  # tokens in which units and gates are looked at, so many at once:
AT_ONCE = 1_000

SENTENCES = 8  # that are shown, of at least and at most so many words:
SHORTEST, LONGEST = 6, 30
PASSAGE = 80  # words in which a unit is shown
NEAR = 3  # words before the end of a sentence

LOW, HIGH = 0.1, 0.9  # a gate below is shut, above open

# The parts of a layer's matrices, in PyTorch's order.
PARTS: dict[type[nn.RNNBase], tuple[str, ...]] = {
    nn.LSTM: ("input", "forget", "candidate", "output"),
    nn.GRU: ("reset", "update", "candidate"),
    nn.RNN: ("recurrent",),
}
CANDIDATE = "candidate"  # the part that is no gate

QUOTES = {"``": True, "«": True, "„": True, "''": False, "”": False, "»": False}  # opens, or closes
EITHER = {'"', "“"}  # opens and closes in turn
NUMBER = "N"  # as the Penn Treebank writes all of them


class Spectrum(NamedTuple):
    """The singular values (H,) of a part of a layer's recurrent matrix, before and after."""

    layer: int
    part: str
    first: np.ndarray
    trained: np.ndarray


class Influence(NamedTuple):
    """How much each word of the beginning of a sentence matters for the word that is predicted."""

    words: list[str]
    norms: np.ndarray
    predicted: str
    probability: float
    truth: str


class Unit(NamedTuple):
    """The unit that goes most with a trait of the text, along a passage of it.

    `values` are in standard deviations from the mean.
    """

    trait: str
    layer: int
    number: int
    correlation: float
    words: list[str]
    values: np.ndarray


class Saturation(NamedTuple):
    """In what share of the steps each unit (H,) of a gate is below LOW, and above HIGH."""

    layer: int
    gate: str
    low: np.ndarray
    high: np.ndarray


class Trace(NamedTuple):
    """What a layer reads (T, D), and its hidden states (T, H) before and after each step."""

    inputs: Tensor
    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class Inside:
    """What was found in a model.

    `reach` holds mean norms of gradients (STEPS + 1,) by the name of a model, that of the trained
    one first; `norms` those of the loss of windows of a text; `absent` the traits for which there
    is no unit, as the text does not have them.
    """

    reach: Mapping[str, np.ndarray]
    norms: np.ndarray
    spectra: Sequence[Spectrum]
    influences: Sequence[Influence]
    units: Sequence[Unit]
    absent: Sequence[str]
    saturations: Sequence[Saturation]

    @property
    def trained(self) -> np.ndarray:
        """The norms of the trained model's gradients."""
        return self.reach[TRAINED]


def look_inside(model: LanguageModel, options: CorpusOptions, corpus: Corpus, seed: int) -> Inside:
    """Look into a model that was trained with these options from the first weights of a seed.

    Raises:
        DataError: the validation split is too short.
    """
    tokens = torch.as_tensor(corpus.tokens["valid"]).long()
    if len(tokens) <= 2 * STEPS:
        raise DataError(
            f"the validation split has {len(tokens)} tokens; gradients are followed through "
            f"{2 * STEPS + 1}"
        )
    model.eval()
    first = first_weights(options, corpus.form, seed)
    others = {
        f"{cell}, first weights": first_weights(of, corpus.form, seed)
        for cell, of in _other_cells(options).items()
    }
    models = {TRAINED: model, "its first weights": first, **others}
    read = tokens[:READ]
    traces, of_text = list(trace(model, read, corpus.eos)), traits(read.numpy(), corpus)
    found = units(_hidden(traces), of_text, _read(read.numpy(), corpus))
    return Inside(
        reach={name: reach(of, tokens) for name, of in models.items()},
        norms=gradient_norms(model, tokens, options),
        spectra=spectra(first, model),
        influences=influences(model, corpus, tokens),
        units=found,
        absent=[name for name in of_text if name not in {unit.trait for unit in found}],
        saturations=saturations(model, traces),
    )


def first_weights(options: CorpusOptions, form: CorpusForm, seed: int) -> LanguageModel:
    """Return a model with the weights with which its training begins."""
    model = LanguageModel(options, form)
    initialise(model, options.init, seed)
    return model.eval()


def _other_cells(options: CorpusOptions) -> dict[str, CorpusOptions]:
    """Return the options with each cell that they do not have; a Mogrifier is no plain LSTM."""
    return {
        cell: options.model_copy(update={"cell": cell, "mogrifier_rounds": 0})
        for cell in reversed(CELLS)
        if cell != options.cell or options.mogrifier_rounds
    }


# How far back the gradient reaches


def reach(model: LanguageModel, tokens: Tensor) -> np.ndarray:
    """Return the norms (STEPS + 1,) of the gradient of a loss by the hidden state k steps earlier.

    The loss is that of one word, the mean is over PLACES of tokens (T,), T > 2 STEPS. The hidden
    state is that of all layers as one step hands it to the next, at k = 0 the output of the top
    layer. Before the STEPS through which the gradient goes, as many words are read without one.
    """
    places = torch.linspace(2 * STEPS, len(tokens) - 1, PLACES, dtype=torch.float64).long()
    around = tokens[places[:, None] + torch.arange(-2 * STEPS, 1)]
    before, within, targets = around[:, :STEPS], around[:, STEPS:-1], around[:, -1]
    with torch.no_grad():
        _, state = model.features(before, None)
    state = tuple(part.requires_grad_() for part in state)
    handed = []
    for step in within.split(1, dim=1):
        handed.append(state[0])
        outputs, state = model.features(step, state)
    logits = at_least_float32(model.logits(outputs))[:, -1]
    loss = F.cross_entropy(logits, targets, reduction="sum")
    above, *earlier = torch.autograd.grad(loss, [outputs, *reversed(handed)])
    by_place = [above.flatten(1), *(part.transpose(0, 1).flatten(1) for part in earlier)]
    return np.array([part.double().norm(dim=1).mean().item() for part in by_place])


def gradient_norms(model: LanguageModel, tokens: Tensor, options: CorpusOptions) -> np.ndarray:
    """Return the global norm of the gradient of the loss, for each of some windows of tokens (T,).

    They are read as in training, side by side in streams, but with nothing dropped.
    """
    cut = streams(tokens, options.batch_size)
    inputs, targets = (of.split(options.time_steps, dim=1) for of in cut)
    weights = [p for p in model.parameters() if p.requires_grad]
    state: State | None = None
    found = []
    for read, expected in zip(inputs[:WINDOWS], targets, strict=False):
        loss, after = model.loss(read, expected, state)
        gradients = torch.autograd.grad(loss, weights)
        found.append(torch.stack([part.double().norm() for part in gradients]).norm().item())
        state = tuple(part.detach() for part in after)
    return np.array(found)


# Its matrices


@torch.no_grad()
def spectra(first: LanguageModel, trained: LanguageModel) -> list[Spectrum]:
    """Return the singular values of each part of the recurrent matrices, the largest first."""
    found = []
    for number, layers in enumerate(zip(_layers(first), _layers(trained), strict=True), 1):
        names = _parts(layers[0])
        matrices = [layer.weight_hh_l0.double().chunk(len(names)) for layer in layers]
        for name, *pair in zip(names, *matrices, strict=True):
            found.append(Spectrum(number, name, *(torch.linalg.svdvals(W).numpy() for W in pair)))
    return found


def _layers(model: LanguageModel) -> list[Any]:
    return list(model.recurrent.layers)


def _parts(layer: nn.RNNBase) -> tuple[str, ...]:
    return next(names for of, names in PARTS.items() if isinstance(layer, of))


# Which words a prediction depends on


def influences(model: LanguageModel, corpus: Corpus, tokens: Tensor) -> list[Influence]:
    """Return what the last words of some sentences of tokens (T,) are predicted from.

    For each word before it in its sentence: the norm of the gradient, by the word's embedding, of
    the log-probability of the word that is likeliest. What stands before the sentence is read too.
    """
    stream = torch.cat([tokens.new_tensor([corpus.eos]), tokens])  # i is read before tokens[i]
    found = []
    for start, place in _sentences(tokens.numpy(), corpus):
        state: State | None = None
        if start:
            with torch.no_grad():
                _, state = model.features(stream[None, max(0, start - STEPS) : start], None)
        read = stream[start : place + 1]
        embedded = model.embedding(read[None]).detach().requires_grad_()
        outputs, _ = model.recurrent(embedded, state)
        logs = at_least_float32(model.logits(outputs[:, -1:]))[0, 0].log_softmax(dim=0)
        best = int(logs.argmax())
        (gradient,) = torch.autograd.grad(logs[best], embedded)
        words = corpus.vocabulary.decode([*read.tolist(), best, int(tokens[place])])
        norms, probability = gradient[0].double().norm(dim=1).numpy(), logs[best].exp().item()
        found.append(Influence(words[:-2], norms, words[-2], probability, words[-1]))
    return found


def _sentences(tokens: np.ndarray, corpus: Corpus) -> list[tuple[int, int]]:
    """Return where some sentences start, and where the last word of each stands that is no mark."""
    symbols = corpus.vocabulary.symbols
    ends = np.flatnonzero(tokens == corpus.eos)
    starts = np.concatenate([[0], ends[:-1] + 1])
    found = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=False):
        words = [i for i in range(start + 1, end) if any(map(str.isalnum, symbols[tokens[i]]))]
        if words and SHORTEST <= end - start <= LONGEST:
            found.append((start, words[-1]))
    return [found[i] for i in _spread(len(found), SENTENCES)]


def _spread(count: int, wanted: int) -> list[int]:
    """Return so many numbers below `count`, or all there are, as far apart as can be."""
    wanted = min(count, wanted)
    return [(2 * i + 1) * count // (2 * wanted) for i in range(wanted)]


# What single units do along a text


@torch.no_grad()
def trace(model: LanguageModel, tokens: Tensor, eos: int) -> Iterator[list[Trace]]:
    """Yield the traces of all layers along tokens (T,), some at once.

    As in evaluation `eos` is read first, and the last token is not read.
    """
    noted: list[Trace] = []

    def note(layer: nn.Module, given: Any, found: Any) -> None:
        (x, state, *_), after = given, found[0][0]  # lengths too, of layers by equations
        h = state[0] if isinstance(state, tuple) else state
        h = torch.zeros_like(after[:1]) if h is None else h[0]
        noted.append(Trace(x[0], torch.cat([h, after[:-1]]), after))

    hooks = [layer.register_forward_hook(note) for layer in _layers(model)]
    state: State | None = None
    try:
        for read, _ in windows(model, tokens, eos, AT_ONCE):
            _, state = model.features(read, state)
            yield noted.copy()
            noted.clear()
    finally:
        for hook in hooks:
            hook.remove()


def _hidden(traces: Sequence[Sequence[Trace]]) -> list[np.ndarray]:
    """Return the hidden states (T, H) of each layer."""
    return [
        torch.cat([one.after for one in of_layer]).double().numpy()
        for of_layer in zip(*traces, strict=True)
    ]


def _read(tokens: np.ndarray, corpus: Corpus) -> list[str]:
    """Return the words that are read before tokens (T,) each: `<eos>`, and all but the last."""
    return corpus.vocabulary.decode([corpus.eos, *tokens[:-1].tolist()])


def traits(tokens: np.ndarray, corpus: Corpus) -> dict[str, np.ndarray]:
    """Return what can be said of the places (T,) before tokens (T,), behind what was read there.

    A quotation ends with its sentence: a mark that was forgotten does not reverse the rest.
    """
    words, end = _read(tokens, corpus), corpus.vocabulary.special["end"]
    to_come = np.append(tokens == corpus.eos, np.zeros(NEAR - 1, bool))
    is_near = np.array([ends.any() for ends in sliding_window_view(to_come, NEAR)])
    return {
        "place in the sentence": positions(tokens, corpus.eos) - 1.0,
        "a quotation is open": quotation_open(words, end),
        "a number was read": np.array([float(_is_number(word)) for word in words]),
        "the sentence is about to end": is_near.astype(float),
    }


def _is_number(word: str) -> bool:
    return word == NUMBER or any(map(str.isdigit, word))


def quotation_open(words: Sequence[str], end: str) -> np.ndarray:
    """Return, behind each word (T,), 1 where a quotation is open and 0 where none is."""
    found, is_open = [], False
    for word in words:
        is_open = not is_open if word in EITHER else QUOTES.get(word, is_open and word != end)
        found.append(float(is_open))
    return np.array(found)


def units(
    hidden: Sequence[np.ndarray], traits: Mapping[str, np.ndarray], words: Sequence[str]
) -> list[Unit]:
    """Return, for each trait (T,), the unit whose value goes most with it, of states (T, H).

    It is found in the first half of the text; how much it goes with the trait, and the passage that
    is shown, are of the second half: the best of many units looks better than it is where it was
    chosen. The passage is the one in which the trait varies most. A trait that never varies in one
    of the halves is left out.
    """
    half, found = len(words) // 2, []
    for name, trait in traits.items():
        one, other = trait[:half], trait[half:]
        if not (np.ptp(one) and np.ptp(other)):
            continue
        signs = [correlations(of_layer[:half], one) for of_layer in hidden]
        layer = max(range(len(signs)), key=lambda i: np.abs(signs[i]).max())
        number = int(np.abs(signs[layer]).argmax())
        values = hidden[layer][half:, number]
        (correlation,) = correlations(values[:, None], other)
        start = half + _liveliest(other)
        shown = slice(start, start + PASSAGE)
        spread = values.std() or 1.0
        deviations = (hidden[layer][shown, number] - values.mean()) / spread
        passage = list(words[shown])
        found.append(Unit(name, layer + 1, number, float(correlation), passage, deviations))
    return found


def correlations(values: np.ndarray, trait: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation (H,) of values (T, H) with a trait (T,); 0 of what is constant.

    Of units that are constant but for rounding, too.
    """
    values, trait = values - values.mean(axis=0), trait - trait.mean()
    sizes = np.linalg.norm(values, axis=0) * np.linalg.norm(trait)
    found: np.ndarray = np.where(sizes > 1e-9, trait @ values / np.maximum(sizes, 1e-9), 0.0)
    return found


def _liveliest(trait: np.ndarray) -> int:
    """Return where the first passage begins in which a trait (T,) varies most."""
    passages = sliding_window_view(trait, min(PASSAGE, len(trait)))
    return int(passages.std(axis=1).argmax())


# Saturation of gates


def gates(layer: Any, inputs: Tensor, before: Tensor) -> dict[str, Tensor]:
    """Return the parts (…, H) of a step of an LSTM or a GRU, by name, in PyTorch's order.

    From what it reads, (…, D), and the hidden state before, (…, H), by the equations in PyTorch's
    documentation (Hochreiter & Schmidhuber, 1997; Cho et al., 2014): the layers do not show them.
    """
    from_x = F.linear(inputs, layer.weight_ih_l0, layer.bias_ih_l0)
    from_h = F.linear(before, layer.weight_hh_l0, layer.bias_hh_l0)
    names = _parts(layer)
    if isinstance(layer, nn.GRU):  # its reset gate stands between state and candidate
        (r_x, z_x, n_x), (r_h, z_h, n_h) = (of.chunk(3, dim=-1) for of in (from_x, from_h))
        reset = (r_x + r_h).sigmoid()
        parts = [reset, (z_x + z_h).sigmoid(), (n_x + reset * n_h).tanh()]
    else:
        i, f, g, o = (from_x + from_h).chunk(4, dim=-1)
        parts = [i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()]
    return dict(zip(names, parts, strict=True))


@torch.no_grad()
def saturations(model: LanguageModel, traces: Sequence[Sequence[Trace]]) -> list[Saturation]:
    """Return how often the gates of each layer are nearly shut, and wide open, along traces.

    After Karpathy et al., 2016, "Visualizing and Understanding Recurrent Networks", section 4.2.
    Nothing of layers that have no gates, or read something else than what is given to them.
    """
    found = []
    for number, (layer, of_layer) in enumerate(
        zip(_layers(model), zip(*traces, strict=True), strict=True), 1
    ):
        if isinstance(layer, nn.RNN | Mogrifier):
            continue
        steps = sum(len(one.after) for one in of_layer)
        shares: dict[str, Tensor] = {}  # (2, H)
        for one in of_layer:
            for name, values in gates(layer, one.inputs, one.before).items():
                if name != CANDIDATE:
                    counts = torch.stack([(values < LOW).sum(dim=0), (values > HIGH).sum(dim=0)])
                    shares[name] = shares.get(name, 0) + counts / steps
        found += [Saturation(number, name, *of.numpy()) for name, of in shares.items()]
    return found
