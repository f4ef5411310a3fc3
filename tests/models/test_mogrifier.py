"""The Mogrifier against its equations, step by step in NumPy."""

import numpy as np
import pytest
import torch

from models.toys import array
from unroll.models.layers import RecurrentStack
from unroll.models.mogrifier import mogrifier
from unroll.models.recurrence import PlainLSTM

N, T, D, H = 2, 5, 3, 4


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_it_computes_its_equations(rounds):
    torch.manual_seed(rounds)
    model = RecurrentStack(D, H, 1, mogrifier(rounds), dropout=0.0).double()
    x = torch.randn(N, T, D, dtype=torch.float64)
    state = tuple(torch.randn(2, 1, N, H, dtype=torch.float64))
    outputs, after = model(x, state)
    [layer] = model.layers
    gates = [array(gate.weight) for gate in layer.rounds]
    assert [gate.shape for gate in gates] == [(H, D) if i % 2 else (D, H) for i in range(rounds)]
    weights = [array(w) for w in (layer.weight_ih_l0, layer.weight_hh_l0)]
    bias = array(layer.bias_ih_l0) + array(layer.bias_hh_l0)
    h, c = (array(part[0]) for part in state)
    for t in range(T):
        read, before = array(x[:, t]), h
        for i, gate in enumerate(gates, 1):  # numbered from 1, as in the paper
            if i % 2:
                read = 2 * sigmoid(before @ gate.T) * read
            else:
                before = 2 * sigmoid(read @ gate.T) * before
        i, f, g, o = np.split(read @ weights[0].T + before @ weights[1].T + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(array(outputs[:, t]), h, rtol=1e-10, atol=1e-12)
    for part, expected in zip(after, (h, c), strict=True):
        np.testing.assert_allclose(array(part[0]), expected, rtol=1e-10, atol=1e-12)


def test_gates_of_zero_leave_an_lstm():
    model = RecurrentStack(D, H, 1, mogrifier(4), dropout=0.0)
    [layer] = model.layers
    for gate in layer.rounds:
        torch.nn.init.zeros_(gate.weight)
    known = PlainLSTM(D, H, batch_first=True)
    known.load_state_dict({n: w for n, w in layer.state_dict().items() if "rounds" not in n})
    x = torch.randn(N, T, D)
    torch.testing.assert_close(model(x)[0], known(x)[0])
