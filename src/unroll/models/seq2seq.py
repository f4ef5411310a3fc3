"""The encoder–decoder model."""

import torch
from torch import Tensor, nn

from unroll.data.captioned import CaptionedForm
from unroll.data.pairs import PairsForm
from unroll.models.decoders import DECODERS, Decoded
from unroll.models.encoder import Encoder, Memory
from unroll.models.layers import State
from unroll.models.pictures import ENCODERS
from unroll.options import CaptionsOptions, PairsOptions


class Seq2Seq(nn.Module):
    """An encoder, a bridge and a decoder.

    The bridge says what of the encoder's state the decoder starts from: `state` is all
    of it; `hidden` is h alone, with c = 0, as in the book. They are different models.
    """

    def __init__(self, options: PairsOptions, form: PairsForm | CaptionedForm) -> None:
        super().__init__()
        self.bridge = options.bridge
        self.encoder = encoder_of(options, form)
        self.decoder = DECODERS[options.decoder](options, len(form.answers))

    def encode(self, source: Tensor, lengths: Tensor | None = None) -> tuple[Memory, State]:
        """Read sources (N, T); return the memory and the decoder's first state."""
        memory, state = self.encoder(source, lengths)
        if self.bridge == "hidden":
            state = (state[0], *(torch.zeros_like(part) for part in state[1:]))
        return memory, self.decoder.start(state, memory)

    def decode(self, inputs: Tensor, state: State, memory: Memory) -> Decoded:
        """Read inputs (N, T) from `state`; return logits (N, T, V), next state and weights."""
        decoded: Decoded = self.decoder(inputs, state, memory)
        return decoded

    def forward(
        self,
        source: Tensor,
        inputs: Tensor,
        lengths: Tensor | None = None,
        forced: Tensor | None = None,
    ) -> Tensor:
        """Return the logits (N, T', V) of targets.

        `source` is (N, T), read up to `lengths` (N,); `inputs` (N, T') are the targets but for
        their last symbol. With teacher forcing alone the decoder reads them all at once. With
        `forced` (N, T') it reads the target where that is true, and elsewhere what it found
        likeliest at the step before (Bengio et al., 2015, "Scheduled Sampling").
        """
        memory, state = self.encode(source, lengths)
        if forced is None:
            return self.decode(inputs, state, memory).logits
        logits: list[Tensor] = []
        for step in range(inputs.shape[1]):
            read = inputs[:, step]
            if step:
                own = logits[-1].squeeze(1).detach().argmax(dim=1)
                read = torch.where(forced[:, step], read, own)
            decoded = self.decode(read[:, None], state, memory)
            state = decoded.state
            logits.append(decoded.logits)
        return torch.cat(logits, dim=1)


def encoder_of(options: PairsOptions, form: PairsForm | CaptionedForm) -> nn.Module:
    """Return the encoder of what a model reads: sequences, or pictures."""
    if isinstance(form, CaptionedForm):
        assert isinstance(options, CaptionsOptions)
        return ENCODERS[options.encoder](options, form)
    return Encoder(options, len(form.source))
