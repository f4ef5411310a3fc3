"""A language model in plain PyTorch, as tutorials write it: nn.LSTM and the whole softmax."""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.data.corpus import Corpus
from unroll.evaluation.reading import streams
from unroll.options import CorpusOptions

OPTIMIZERS = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}


class Plain(nn.Module):
    """Embedding, LSTM, affine layer."""

    def __init__(self, words: int, options: CorpusOptions) -> None:
        super().__init__()
        D, H, layers, self.share = (
            options.embedding_size,
            options.hidden_size,
            options.layers,
            options.dropout,
        )
        self.embedding = nn.Embedding(words, D)
        between = self.share if layers > 1 else 0.0
        self.lstm = nn.LSTM(D, H, layers, dropout=between, batch_first=True)
        self.affine = nn.Linear(H, words)
        if options.tie_weights:
            self.embedding.weight = self.affine.weight

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(N, T) → logits (N, T, V), and the state behind the last."""
        embedded = F.dropout(self.embedding(tokens), self.share)
        hidden, state = self.lstm(embedded, state)
        return self.affine(F.dropout(hidden, self.share)), state


def epochs_of(data: Corpus, options: CorpusOptions) -> Callable[[], int]:
    """Return what trains for an epoch, and says how many tokens that were."""
    torch.manual_seed(0)
    model = Plain(len(data.vocabulary), options).train()
    optimizer = OPTIMIZERS[options.optimizer](model.parameters(), lr=options.learning_rate)
    tokens = torch.as_tensor(data.tokens["train"]).long()
    inputs, targets = streams(tokens, options.batch_size)
    bounds = [*range(0, inputs.shape[1], options.time_steps), inputs.shape[1]]

    def take() -> int:
        state = None
        for window in (slice(*of) for of in pairwise(bounds)):
            logits, state = model(inputs[:, window], state)
            state = (state[0].detach(), state[1].detach())
            loss = F.cross_entropy(logits.flatten(0, 1), targets[:, window].flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), options.clip)
            optimizer.step()
        return inputs.numel()

    return take
