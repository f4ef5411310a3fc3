"""The recurrent language model."""

from torch import Tensor, nn

from unroll.data.corpus import CorpusForm
from unroll.models.layers import Dropout, RecurrentStack, State
from unroll.models.linear_cross_entropy import linear_cross_entropy
from unroll.options import CorpusOptions


class LanguageModel(nn.Module):
    """Embedding, recurrent layers, affine layer (Mikolov et al., 2010; Zaremba et al., 2014).

    With `tie_weights`, embedding and affine layer share one matrix (Press & Wolf, 2017).
    """

    def __init__(self, options: CorpusOptions, form: CorpusForm) -> None:
        super().__init__()
        words = len(form.vocabulary)
        self.embedding = nn.Embedding(words, options.embedding_size)
        self.dropout = Dropout(options.dropout, options.variational_dropout)
        self.recurrent = RecurrentStack(
            options.embedding_size,
            options.hidden_size,
            options.layers,
            options.cell,
            options.dropout,
            options.variational_dropout,
            options.skip_connections,
        )
        self.affine = nn.Linear(options.hidden_size, words)
        if options.tie_weights:
            self.embedding.weight = self.affine.weight

    def features(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Read tokens (N, T) from `state`; return what the affine layer reads, (N, T, H)."""
        hidden, state = self.recurrent(self.dropout(self.embedding(tokens)), state)
        return self.dropout(hidden), state

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read tokens (N, T) from `state` (zeros where None).

        Returns:
            The logits (N, T, V) of the token after each one read, and the state after the last.
        """
        hidden, state = self.features(tokens, state)
        return self.affine(hidden), state

    def loss(self, tokens: Tensor, targets: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Return the mean cross entropy in nats of targets (N, T), and the next state."""
        hidden, state = self.features(tokens, state)
        loss = linear_cross_entropy(
            hidden.flatten(0, 1), self.affine.weight, self.affine.bias, targets.flatten()
        )
        return loss, state
