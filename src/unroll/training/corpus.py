"""Training on a corpus: cross entropy of the next token, by truncated BPTT."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from unroll.data.corpus import Corpus
from unroll.evaluation.perplexity import perplexity
from unroll.evaluation.reading import streams
from unroll.models.language_model import LanguageModel
from unroll.models.side import on
from unroll.options import CorpusOptions
from unroll.training.checkpoint import Unfit
from unroll.training.machine import Machine
from unroll.training.objective import Objective, Read
from unroll.training.windows import even, varied


class CorpusObjective(Objective):
    """Cross entropy of the next token, by truncated BPTT over N streams.

    The corpus is cut into N streams of one length, which are read side by side:

        stream 0   a b c d | e f g h | i j k
        stream 1   l m n o | p q r s | t u v      T = 4: three steps an epoch
                   window 0  window 1  window 2

    From window to window the state is carried on, the gradient is not; every epoch
    begins with a state of zeros. At most N tokens at the end of the corpus are not read.
    """

    model: LanguageModel

    def __init__(
        self,
        model: LanguageModel,
        corpus: Corpus,
        options: CorpusOptions,
        seed: int,
        machine: Machine,
    ) -> None:
        super().__init__(model, seed, machine)
        tokens = on(machine.device, corpus.tokens["train"])
        self.valid, self.eos = on(machine.device, corpus.tokens["valid"]), corpus.eos
        self.inputs, self.targets = streams(tokens, options.batch_size)
        self.options = options
        self.steps = len(self._windows(1))

    def reads(self, epoch: int, start: int) -> Iterator[Read]:
        """Yield what is read and what is to be predicted in each window, and the state before it.

        From the first window of the streams to the last.
        """
        if not start:
            self.carried = ()
        windows = self._windows(epoch)
        read = sum(windows[:start])
        for steps in windows[start:]:
            window, read = slice(read, read + steps), read + steps
            # A longer window has more to say, and a larger step.
            self.part = steps / self.options.time_steps if self.options.random_time_steps else 1.0
            yield self.inputs[:, window].long(), self.targets[:, window].long(), *self.carried

    def loss(
        self, inputs: Tensor, targets: Tensor, *state: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the loss of a window (N, T) read from a state, and the state after it."""
        with self.machine.autocast():
            loss, after = self.model.loss(inputs, targets, state or None)
        return loss, tuple(part.detach() for part in after)

    def _windows(self, epoch: int) -> list[int]:
        """Return how many steps each window of an epoch has."""
        time_steps, length = self.options.time_steps, self.inputs.shape[1]
        if self.options.random_time_steps:
            return varied(length, time_steps, epoch)
        return even(length, time_steps)

    def state(self) -> dict[str, Tensor]:
        """Return the state that is carried on: h, or h and c."""
        return {f"carried.{i}": part for i, part in enumerate(self.carried)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned."""
        recurrent = self.model.recurrent
        shape = (len(recurrent.layers), len(self.inputs), recurrent.hidden_size)
        names = [f"carried.{i}" for i in range(recurrent.parts)]
        if state.keys() != set(names) or any(part.shape != shape for part in state.values()):
            raise Unfit("the carried state is of another shape")
        self.carried = tuple(state[name].to(self.machine.device) for name in names)

    def validate(self) -> dict[str, float]:
        """Return the exact perplexity of the validation split."""
        return {"valid_perplexity": perplexity(self.model, self.valid, self.eos)}
