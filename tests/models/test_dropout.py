"""What is set to zero in training: values and words (weights: test_layers.py)."""

import pytest
import torch

from unroll.models.dropout import Dropout, WordDropout


def dropped(variational: bool = False, rate: float = 0.25, seed: int = 0) -> torch.Tensor:
    dropout = Dropout(rate, variational)
    dropout.generator = torch.Generator().manual_seed(seed)
    return dropout(torch.ones(8, 50, 100))


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_keeps_and_scales_the_right_share(variational):
    found = dropped(variational)
    assert set(found.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    draws = 8 * 100 if variational else 8 * 50 * 100
    assert abs(found.mean().item() - 1) < 5 * (0.25 / 0.75 / draws) ** 0.5


def test_variational_dropout_has_one_mask_for_all_steps_of_a_sequence():
    found = dropped(variational=True)
    assert torch.equal(found, found[:, :1].expand_as(found))
    assert len(found[:, 0].unique(dim=0)) == 8


def test_plain_dropout_has_a_mask_for_each_step():
    assert len(dropped().flatten(0, 1).unique(dim=0)) == 8 * 50


def test_dropout_draws_from_its_own_generator_alone():
    before = torch.get_rng_state()
    assert torch.equal(dropped(seed=1), dropped(seed=1))
    assert not torch.equal(dropped(seed=1), dropped(seed=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_changes_nothing_when_it_is_off():
    x = torch.ones(2, 3, 4)
    assert Dropout(0.0)(x) is x
    assert Dropout(0.9).eval()(x) is x


def test_dropout_without_a_generator_is_refused():
    with pytest.raises(RuntimeError, match="set_generator"):
        Dropout(0.5)(torch.ones(2, 3, 4))


TOKENS = torch.tensor([[0, 3, 1, 3], [3, 0, 2, 2]])


def test_a_dropped_word_is_zero_wherever_it_stands():
    words = WordDropout(0.5)
    words.generator = torch.Generator().manual_seed(2)
    found = words(torch.ones(2, 4, 5), TOKENS, 6)
    keep = torch.empty(6, 1).bernoulli_(0.5, generator=torch.Generator().manual_seed(2)) * 2
    assert keep.unique().tolist() == [0, 2]
    assert torch.equal(found, keep[TOKENS].expand(2, 4, 5))


def test_words_are_dropped_in_training_alone():
    x = torch.ones(2, 4, 5)
    assert WordDropout(0.0)(x, TOKENS, 6) is x
    assert WordDropout(0.9).eval()(x, TOKENS, 6) is x
