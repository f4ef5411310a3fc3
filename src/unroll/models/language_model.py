"""The recurrent language model."""

import torch.nn.functional as F
from torch import Tensor, nn

from unroll.data.corpus import CorpusForm
from unroll.models.dropout import Dropout, WordDropout
from unroll.models.layers import CELLS, Cell, RecurrentStack, State, at_least_float32
from unroll.models.linear_cross_entropy import linear_cross_entropy
from unroll.models.mixture import Mixture
from unroll.models.mogrifier import mogrifier
from unroll.models.recurrence import Fast
from unroll.options import CorpusOptions


class LanguageModel(Fast):
    """Embedding, recurrent layers, affine layer (Mikolov et al., 2010; Zaremba et al., 2014).

    With `tie_weights`, embedding and affine layer share one matrix (Press & Wolf, 2017).
    """

    def __init__(self, options: CorpusOptions, form: CorpusForm) -> None:
        super().__init__()
        words, H = len(form.vocabulary), options.hidden_size
        self.embedding = nn.Embedding(words, options.embedding_size)
        self.word_dropout = WordDropout(options.embedding_dropout)
        self.input_dropout = _dropout(options, options.input_dropout)
        self.recurrent = RecurrentStack(
            options.embedding_size,
            H,
            options.layers,
            _cell(options),
            options.dropout,
            options.variational_dropout,
            options.skip_connections,
            weight_drop=options.weight_drop,
        )
        self.output_dropout = _dropout(options, options.output_dropout)
        self.mixture = (
            Mixture(H, options.embedding_size, options.softmaxes) if options.softmaxes > 1 else None
        )
        self.affine = nn.Linear(options.embedding_size if self.mixture else H, words)
        if options.tie_weights:
            self.embedding.weight = self.affine.weight
        self.penalties = options.activation_penalty, options.slowness_penalty
        self.evaluation_batch_size = options.evaluation_batch_size  # streams of a text that is read
        self.cross_entropy = linear_cross_entropy

    def by_equations(self) -> None:
        """Compute by equations from now on: the softmax not in blocks."""
        self.cross_entropy = _cross_entropy

    def features(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Read tokens (N, T) from `state`; return the outputs of the top layer, (N, T, H)."""
        embedded = self.word_dropout(self.embedding(tokens), tokens, len(self.embedding.weight))
        outputs, state = self.recurrent(self.input_dropout(embedded), state)
        return outputs, state

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read tokens (N, T) from `state` (zeros where None).

        Returns:
            The logits (N, T, V) of the token after each one read, and the state after the last.
        """
        outputs, state = self.features(tokens, state)
        return self.logits(outputs), state

    def logits(self, outputs: Tensor) -> Tensor:
        """Return the logits (N, T, V) of the token after each output (N, T, H) of the top layer."""
        hidden = self.output_dropout(outputs)
        found: Tensor = self.mixture(hidden, self.affine) if self.mixture else self.affine(hidden)
        return found

    def loss(self, tokens: Tensor, targets: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Return the mean cross entropy in nats of targets (N, T), and the next state.

        Penalties are in it: of large activations, and of those that change from step to step
        (Merity et al., 2017, "Revisiting Activation Regularization for Language RNNs").
        """
        outputs, state = self.features(tokens, state)
        hidden, (large, changing) = self.output_dropout(outputs), self.penalties
        if self.mixture:
            logs = self.mixture(hidden, self.affine)
            loss = F.nll_loss(logs.flatten(0, 1), targets.flatten())
        else:
            loss = self.cross_entropy(
                hidden.flatten(0, 1), self.affine.weight, self.affine.bias, targets.flatten()
            )
        if large:
            loss = loss + large * hidden.square().mean()
        if changing and outputs.shape[1] > 1:
            loss = loss + changing * outputs.diff(dim=1).square().mean()
        return loss, state


def _cross_entropy(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(at_least_float32(F.linear(hidden, weight, bias)), targets)


def _dropout(options: CorpusOptions, rate: float | None) -> Dropout:
    """Return dropout of a place that may have a rate of its own."""
    return Dropout(options.dropout if rate is None else rate, options.variational_dropout)


def _cell(options: CorpusOptions) -> Cell:
    rounds = options.mogrifier_rounds
    return mogrifier(rounds) if rounds else CELLS[options.cell]
