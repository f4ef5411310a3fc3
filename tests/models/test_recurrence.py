"""The plain recurrence is that of PyTorch's kernels."""

import pytest
import torch
from torch import nn

from unroll.models.recurrence import PlainLSTM

N, T, D, H = 3, 6, 4, 5


@pytest.mark.parametrize("given", [False, True], ids=["from zeros", "from a state"])
def test_it_is_the_lstm_of_pytorch_with_its_gradients(given):
    torch.manual_seed(0)
    known = nn.LSTM(D, H, batch_first=True).double()
    plain = PlainLSTM(D, H, batch_first=True).double()
    plain.load_state_dict(known.state_dict())
    x = torch.randn(N, T, D, dtype=torch.float64)
    state = tuple(torch.randn(2, 1, N, H, dtype=torch.float64)) if given else None
    results = [layer(x, state) for layer in (known, plain)]
    (one, (h, c)), (other, (h_plain, c_plain)) = results
    for found, expected in ((other, one), (h_plain, h), (c_plain, c)):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    for outputs, (_, c_last) in results:
        (outputs.square().sum() + c_last.sum()).backward()
    for name, parameter in known.named_parameters():
        torch.testing.assert_close(plain.get_parameter(name).grad, parameter.grad)
