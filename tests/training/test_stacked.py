"""Seeds that are trained together leave what they leave alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.toys import EndsAfter
from mutants.variants import VARIANTS
from unroll.errors import DataError, TrainingError
from unroll.kinds import kind_of
from unroll.options import OPTIONS, VariantOptions
from unroll.plans.training import MACHINE, miniature
from unroll.training.checkpoint import Checkpoint
from unroll.training.interruption import Interrupted, Interruption
from unroll.training.loop import Epoch, Seat, Training, go_on
from unroll.training.objective import Objective
from unroll.training.run import begin
from unroll.training.stacked import Stack, train_together

SEEDS = (3, 4, 11)


def toy(name: str) -> VariantOptions:
    kind, options = VARIANTS[name]
    return miniature(OPTIONS[kind].model_validate(options))


def objective(options: VariantOptions, seed: int) -> Objective:
    return begin(options, kind_of(options).made_up(options), seed, MACHINE, torch.float64)


class Seats(list[Seat]):
    """A seat for each seed, and what was reported of each."""

    def __init__(self, options: VariantOptions, folder: Path | None = None, seeds=SEEDS) -> None:
        self.messages: dict[int, list[Any]] = {seed: [] for seed in seeds}
        for seed in seeds:
            checkpoint = Checkpoint(folder, seed, "k" * 16, None) if folder else None
            training = Training(objective(options, seed), options)
            self.append(Seat(training, self.messages[seed].append, checkpoint))

    @property
    def weights(self) -> list[dict[str, torch.Tensor]]:
        return [seat.training.objective.model.state_dict() for seat in self]

    @property
    def histories(self) -> list[list[dict[str, float]]]:
        return [seat.training.rows() for seat in self]


def alone(options: VariantOptions) -> Seats:
    seats = Seats(options)
    for seat in seats:
        to_the_end(seat)
    return seats


def to_the_end(seat: Seat) -> None:
    go_on([seat], seat.training, Interruption())
    seat.training.weights.end()


def assert_same(found: Seats, expected: Seats) -> None:
    for one, other in zip(found.weights, expected.weights, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)
    for one, other in zip(found.histories, expected.histories, strict=True):
        for row, wanted in zip(one, other, strict=True):
            assert row == pytest.approx(wanted, rel=1e-7)


@pytest.mark.parametrize("name", VARIANTS)
def test_together_they_learn_what_they_learn_alone(name):
    options = toy(name)
    together = Seats(options)
    train_together(together, Interruption())
    assert_same(together, alone(options))


def modern() -> VariantOptions:
    return toy("modern").model_copy(update={"keep": "average", "averaged_epochs": 2})


def test_what_is_broken_off_goes_on_together_or_alone(tmp_path):
    options = modern()
    expected = Seats(options)
    train_together(expected, Interruption())
    broken = Seats(options, tmp_path)
    with pytest.raises(Interrupted):
        train_together(broken, EndsAfter(broken[0].training.objective.steps + 2 * len(SEEDS) + 2))
    apart = Seats(options, tmp_path)
    for seat in apart:
        seat.take_up()
        assert (seat.training.epoch, seat.training.steps) == (2, 2)
    rest = Seats(options, tmp_path)
    train_together(rest, Interruption())
    for one, other in zip(rest.weights, expected.weights, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    for seat in apart:
        to_the_end(seat)
    assert_same(apart, expected)


def test_what_was_begun_alone_goes_on_together(tmp_path):
    options = modern()
    for seat in Seats(options, tmp_path):
        with pytest.raises(Interrupted):
            go_on([seat], seat.training, EndsAfter(3))
    together = Seats(options, tmp_path)
    train_together(together, Interruption())
    assert_same(together, alone(options))


def test_a_seed_that_lags_behind_is_trained_too(tmp_path):
    options = modern()
    one = Seats(options, tmp_path, SEEDS[:2])
    with pytest.raises(Interrupted):
        train_together(one, EndsAfter(2))
    together = Seats(options, tmp_path)
    train_together(together, Interruption())
    assert_same(together, alone(options))
    epochs = range(1, options.epochs + 1)
    for seed, messages in together.messages.items():
        assert [m.epoch for m in messages if isinstance(m, Epoch)] == list(epochs), seed


def test_seeds_at_three_places_catch_up_and_go_on_together(tmp_path):
    options = modern()
    for seat, steps in zip(Seats(options, tmp_path), (1, 4, 2), strict=True):
        with pytest.raises(Interrupted):
            go_on([seat], seat.training, EndsAfter(steps + 1))
    together = Seats(options, tmp_path)
    train_together(together, Interruption())
    assert_same(together, alone(options))
    for messages in together.messages.values():
        assert [m.stacked for m in messages if isinstance(m, Epoch)] == [3] * options.epochs


def test_where_nobody_hears_what_an_epoch_has_brought_it_has_ended_for_all(tmp_path):
    options = modern()
    seats = Seats(options, tmp_path)

    def gone(message: object) -> None:
        if isinstance(message, Epoch):
            raise Interrupted

    seats[0] = replace(seats[0], report=gone)
    with pytest.raises(Interrupted):
        train_together(seats, Interruption())
    again = Seats(options, tmp_path)
    for seat in again:
        seat.take_up()
        assert seat.training.place == (2, 0)


def test_a_damaged_checkpoint_is_blamed_on_its_seed(tmp_path):
    seats = Seats(modern(), tmp_path)
    seats[1].checkpoint.path.write_bytes(b"rubbish")
    with pytest.raises(DataError) as raised:
        train_together(seats, Interruption())
    assert raised.value.seed == SEEDS[1]


def test_what_one_seed_leaves_does_not_depend_on_the_others():
    options = toy("attention-modern")
    all_of_them, two = Seats(options), Seats(options, seeds=SEEDS[1:])
    for seats in (all_of_them, two):
        train_together(seats, Interruption())
    for one, other in zip(all_of_them.weights[1:], two.weights, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_each_seed_is_clipped_by_the_norm_of_its_own_gradient():
    options = toy("plain").model_copy(update={"optimizer": "sgd", "clip": 0.25})
    seats = Seats(options)
    stack = Stack([seat.training for seat in seats])
    for number, parameter in enumerate(stack.optimisation.parameters):
        parameter.grad = torch.full_like(parameter, float(number + 1))
        parameter.grad[0] /= 1e6  # too small to be clipped
    before = [parameter.grad.clone() for parameter in stack.optimisation.parameters]
    stack.optimisation.clip(0.25)
    after = [parameter.grad for parameter in stack.optimisation.parameters]
    norms = torch.stack([of.flatten(1).norm(dim=1) for of in after]).norm(dim=0)
    assert norms[1:].tolist() == pytest.approx([0.25] * 2, rel=1e-5)
    assert all(torch.equal(one[0], other[0]) for one, other in zip(before, after, strict=True))


def test_an_error_says_of_which_seed_it_is():
    seats = Seats(toy("plain"))
    with torch.no_grad():
        for parameter in seats[1].training.objective.model.parameters():
            parameter.fill_(torch.nan)
    with pytest.raises(TrainingError, match="train_loss became nan") as raised:
        train_together(seats, Interruption())
    assert raised.value.seed == SEEDS[1]


def test_weights_of_a_training_are_those_in_the_stack():
    seats = Seats(toy("tied"))
    stack = Stack([seat.training for seat in seats])
    for name, together in stack.parameters.items():
        for number, seat in enumerate(seats):
            own = seat.training.objective.model.get_parameter(name.removeprefix("model."))
            assert own.data_ptr() == together[number].data_ptr()


def test_layers_that_dropped_weights_alone_compute_with_those_in_the_stack():
    seats = Seats(toy("awd"))
    for seat in seats:
        next(seat.training.take_steps())
    Stack([seat.training for seat in seats])
    for seat in seats:
        for layer in seat.training.objective.model.recurrent.layers:
            used = [weight.data_ptr() for weight in layer._flat_weights]
            assert used == [weight.data_ptr() for weight in layer.parameters()]
            # What a GPU asks before it moves weights into one piece of memory.
            assert all(
                of() is own
                for of, own in zip(layer._flat_weight_refs, layer.parameters(), strict=True)
            )
