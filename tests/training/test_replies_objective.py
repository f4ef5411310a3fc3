import numpy as np
import pytest
import torch

from models.toys import BF16, CPU, lively, replies_options
from unroll.data.pairs import from_translations
from unroll.data.sequences import SPLITS
from unroll.evaluation.replies import evaluate_replies
from unroll.kinds.replies import RepliesKind
from unroll.plans.evaluation import MadeUp
from unroll.training.pairs import PairsObjective
from unroll.training.replies import RepliesObjective

ROWS = [
    ("a b c", "u v"),
    ("b", "w"),
    ("c a", "v v u"),
    ("a", "u"),
    ("c c b a", "w u"),
    ("b a", "v"),
]


def talk():
    """Return conversations of different lengths, whose splits differ."""
    splits = {"train": ROWS, "valid": ROWS[1:5], "test": ROWS[2:]}
    return from_translations(splits, ("word", "word"), {})


def objective(machine=CPU, model=None, seed: int = 0, **changes):
    data, options = talk(), replies_options(**changes)
    if model is None:
        model = lively(
            form=data.form, padding=options.padding, decoder=options.decoder, hidden_size=16
        )
    return RepliesKind().objective(model, data, options, seed, machine)


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("decoder", ["plain", "attention"])
def test_validation_is_the_perplexity_that_the_evaluation_finds(padding, decoder):
    made = objective(padding=padding, decoder=decoder)
    assert isinstance(made, RepliesObjective)
    found = made.validate()
    assert set(found) == {"valid_perplexity"} == {RepliesKind().choosing}
    scores = evaluate_replies(made.model, made.pairs, padding, MadeUp("replies"), "cpu").scores
    assert found["valid_perplexity"] == scores["valid_perplexity"]
    assert found["valid_perplexity"] != scores["test_perplexity"]


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_validation_is_the_mean_loss_of_the_symbols_of_replies(padding):
    made = objective(padding=padding)
    source, target = made.pairs.sources["valid"], made.pairs.targets["valid"]
    losses, count = 0.0, 0
    for row in range(4):
        read, n = int(source.lengths[row]), int(target.lengths[row])
        if padding == "plain":
            read, n = source.width, target.width
        ids = torch.tensor(target.ids[row : row + 1, :n].astype(int))
        words = torch.tensor(source.ids[row : row + 1, :read].astype(int))
        with torch.no_grad():
            logs = made.model.eval()(words, ids[:, :-1]).double().log_softmax(dim=2)
        losses -= float(logs.gather(2, ids[:, 1:, None]).sum())
        count += n - 1
    expected = np.exp(losses / count)
    assert made.validate()["valid_perplexity"] == pytest.approx(expected, rel=1e-6)


def test_a_model_that_knows_nothing_finds_each_symbol_as_likely():
    made = objective(padding="masked")
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter.zero_()
    assert made.validate()["valid_perplexity"] == pytest.approx(len(made.pairs.form.answers))


def test_replies_are_validated_in_float32_and_without_dropout():
    made = objective()
    same = objective(machine=BF16, model=made.model)
    assert same.validate() == made.validate()
    dropped = lively(form=made.pairs.form, hidden_size=16, dropout=0.5, layers=2)
    rough = objective(model=dropped.train())
    assert rough.validate() == rough.validate()


def test_the_loss_is_that_of_pairs():
    made = objective(padding="masked", batch_size=3)
    other = PairsObjective(made.model, made.pairs, made.options, 0, CPU)
    found = [loss.item() for loss in made.losses(1)]
    assert found == [loss.item() for loss in other.losses(1)]
    assert len(found) == 2


def test_training_makes_the_replies_of_train_likelier():
    data = from_translations(dict.fromkeys(SPLITS, ROWS), ("word", "word"), {})
    model = lively(form=data.form, padding="masked")
    options = replies_options(padding="masked", batch_size=6)
    made = RepliesKind().objective(model, data, options, 0, CPU)
    before = made.validate()["valid_perplexity"]
    for epoch in range(1, 31):
        for loss in made.losses(epoch):
            weights = [p for p in model.parameters() if p.requires_grad]
            with torch.no_grad():
                for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                    weight -= 0.3 * slope
    assert 1 <= made.validate()["valid_perplexity"] < before / 2
