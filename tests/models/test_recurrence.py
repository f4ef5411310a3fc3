"""The plain recurrence is that of PyTorch's kernels."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unroll.models.recurrence import by_equations

N, T, D, H = 3, 6, 4, 5
LENGTHS = torch.tensor([4, 6, 1])


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "of several lengths"])
@pytest.mark.parametrize("both", [False, True], ids=["forward", "both ways"])
@pytest.mark.parametrize("given", [False, True], ids=["from zeros", "from a state"])
@pytest.mark.parametrize("cell", [nn.RNN, nn.GRU, nn.LSTM])
def test_it_is_the_layer_of_pytorch_with_its_gradients(cell, given, both, lengths):
    torch.manual_seed(0)
    known, plain = (cell(D, H, batch_first=True, bidirectional=both).double() for _ in range(2))
    by_equations(plain)
    assert type(plain) is not cell
    plain.load_state_dict(known.state_dict())
    x = torch.randn(N, T, D, dtype=torch.float64)
    parts = 2 if cell is nn.LSTM else 1
    state = tuple(torch.randn(parts, 1 + both, N, H, dtype=torch.float64))
    before = (state if parts == 2 else state[0]) if given else None
    expected, found = _packed(known, x, before, lengths), plain(x, before, lengths)
    losses = []
    for outputs, after in (expected, found):
        last = torch.stack(after) if parts == 2 else after
        losses.append((outputs.square().sum() + last.sum(), outputs, last))
    for one, other in zip(*losses, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
    for loss, *_ in losses:
        loss.backward()
    for name, parameter in known.named_parameters():
        torch.testing.assert_close(plain.get_parameter(name).grad, parameter.grad)


def _packed(layer: nn.RNNBase, x: Tensor, state, lengths: Tensor | None):
    if lengths is None:
        return layer(x, state)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    outputs, after = layer(packed, state)
    return pad_packed_sequence(outputs, batch_first=True, total_length=T)[0], after


def test_only_layers_of_pytorch_are_changed():
    model = nn.ModuleList([nn.Linear(2, 3), nn.LSTM(2, 3)])
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    by_equations(model)
    assert type(model[0]) is nn.Linear
    assert all(torch.equal(weights[name], of) for name, of in model.state_dict().items())
