"""What an attention decoder looks at while it answers."""

import torch
from torch import Tensor

from unroll.models import padding
from unroll.models.decoders import AttentionDecoder
from unroll.models.seq2seq import Seq2Seq


@torch.inference_mode()
def attention_weights(model: Seq2Seq, sources: Tensor, start: int, answers: Tensor) -> Tensor:
    """Return the weights (N, T', T) that each symbol of answers (N, T') gives to sources (N, T).

    The source's symbols stand in the order of the text, also where the encoder reads it from its
    end. The decoder reads the answers that it is given: its own ones show how it came to them.
    """
    decoder = model.decoder
    assert isinstance(decoder, AttentionDecoder)
    model.eval()
    memory, state = model.encode(sources)
    inputs = torch.cat([torch.full_like(answers[:, :1], start), answers[:, :-1]], dim=1)
    hidden, _ = decoder.recurrent(decoder.embedding(inputs), state)
    weights = decoder.attend(hidden, memory)
    return weights.gather(2, _order(model, sources)[:, None, :].expand_as(weights))


def _order(model: Seq2Seq, sources: Tensor) -> Tensor:
    """Return at which step (N, T) the encoder reads each symbol of the sources."""
    steps = torch.arange(sources.shape[1], device=sources.device).expand_as(sources)
    if not model.encoder.reverse_source:
        return steps
    masked, blank = model.encoder.masked, model.encoder.blank
    return padding.reverse(steps, padding.text_lengths(sources, blank) if masked else None)
