"""A mixture of softmaxes against its equations in NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from models.toys import array, softmax
from unroll.models.mixture import Mixture

N, T, H, D, V = 2, 3, 5, 4, 7


@pytest.mark.parametrize("softmaxes", [1, 2, 3])
def test_probabilities_are_the_mean_of_those_of_each_softmax(softmaxes):
    torch.manual_seed(softmaxes)
    mixture, affine = Mixture(H, D, softmaxes).double(), nn.Linear(D, V).double()
    hidden = 3 * torch.randn(N, T, H, dtype=torch.float64)
    found = mixture(hidden, affine)
    assert found.shape == (N, T, V)
    states = array(hidden).reshape(-1, H)
    shares = softmax(states @ array(mixture.prior.weight).T)
    latent = np.tanh(states @ array(mixture.latent.weight).T + array(mixture.latent.bias))
    each = [
        softmax(part @ array(affine.weight).T + array(affine.bias))
        for part in np.split(latent, softmaxes, axis=1)
    ]
    expected = sum(shares[:, k : k + 1] * of for k, of in enumerate(each))
    np.testing.assert_allclose(np.exp(array(found)).reshape(-1, V), expected, rtol=1e-10)
    torch.testing.assert_close(found.softmax(-1), found.exp())


def test_the_rank_is_not_that_of_the_hidden_state():
    torch.manual_seed(0)
    hidden, affine = torch.randn(1, 50, 2, dtype=torch.float64), nn.Linear(2, 40).double()

    def rank(softmaxes: int) -> int:
        logs = Mixture(2, 2, softmaxes).double()(hidden, affine)[0]
        return int(torch.linalg.matrix_rank(logs, rtol=1e-9))

    assert rank(1) <= 4  # two numbers, the bias, and what makes the sum one
    assert rank(4) > 10
