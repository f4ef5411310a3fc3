import math

import numpy as np
import pytest
import torch

from training.made import corpus_run, labels_run, pairs_run, ragged_run
from unroll.errors import TrainingError
from unroll.options import VariantOptions
from unroll.training import loop
from unroll.training.loop import Epoch, Step, train
from unroll.training.objective import Objective


def trained(objective: Objective, options: VariantOptions) -> tuple[list, list, dict]:
    """Return history, messages and weights of a training."""
    messages: list[Step | Epoch] = []
    history = train(objective, options, messages.append)
    return history, messages, objective.model.state_dict()


@pytest.mark.parametrize("run", [pairs_run, corpus_run, labels_run])
def test_a_seed_gives_the_same_bits_every_time_and_another_seed_does_not(run):
    changes = {"dropout": 0.3, "layers": 2, "optimizer": "adam", "clip": 1.0}
    torch.manual_seed(1)
    history, _, weights = trained(*run(**changes))
    torch.manual_seed(2)
    other_run = run(**changes)
    before = torch.get_rng_state()
    again, _, same_weights = trained(*other_run)
    assert torch.equal(torch.get_rng_state(), before)
    assert again == history
    assert all(torch.equal(weights[name], same_weights[name]) for name in weights)
    _, _, other_weights = trained(*run(seed=1, **changes))
    assert not any(torch.equal(weights[name], other_weights[name]) for name in weights)


def test_a_seed_decides_the_coins_of_teacher_forcing_too():
    changes = {"teacher_forcing": 0.5, "epochs": 3}
    history, _, weights = trained(*ragged_run(**changes))
    again, _, same_weights = trained(*ragged_run(**changes))
    assert again == history
    assert all(torch.equal(weights[name], same_weights[name]) for name in weights)
    by_sequence, _, _ = trained(*ragged_run(**changes, teacher_forcing_by="sequence"))
    forced, _, _ = trained(*ragged_run(epochs=3))
    assert len({rows[0]["train_loss"] for rows in (history, by_sequence, forced)}) == 3


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("decoder", ["plain", "attention"])
def test_a_model_learns_twenty_pairs_by_heart(decoder, padding):
    objective, options = pairs_run(
        decoder=decoder,
        padding=padding,
        hidden_size=32,
        embedding_size=16,
        epochs=100,
        batch_size=10,
        optimizer="adam",
        learning_rate=0.01,
        clip=5.0,
    )
    history, _, _ = trained(objective, options)
    assert history[0]["valid_exact_match"] < 0.2
    assert history[-1]["valid_exact_match"] == 1.0
    assert history[-1]["valid_character_accuracy"] == 1.0


@pytest.mark.parametrize("by", ["step", "sequence"])
def test_a_model_learns_ragged_pairs_by_heart_though_it_often_reads_its_own_answers(by):
    objective, options = ragged_run(
        hidden_size=32,
        embedding_size=16,
        epochs=100,
        batch_size=13,
        optimizer="adam",
        learning_rate=0.01,
        clip=5.0,
        teacher_forcing=0.5,
        teacher_forcing_by=by,
    )
    splits = objective.pairs.sources, objective.pairs.targets
    for side in splits:
        side["valid"] = side["train"]
    history, _, _ = trained(objective, options)
    assert history[0]["valid_exact_match"] < 0.2
    assert history[-1]["valid_exact_match"] == 1.0


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_a_classifier_learns_what_the_first_letter_says(pooling, padding):
    objective, options = labels_run(
        pooling=pooling,
        padding=padding,
        hidden_size=16,
        embedding_size=8,
        epochs=30,
        optimizer="adam",
        learning_rate=0.02,
    )
    for side in (objective.data.sources, objective.data.labels):
        side["valid"] = side["train"]
    assert objective.validate()["valid_accuracy"] < 0.9
    history, _, _ = trained(objective, options)
    assert history[0]["train_loss"] > 0.3 > 0.1 > history[-1]["train_loss"]
    assert history[-1]["valid_accuracy"] == 1.0


def test_a_language_model_learns_what_always_follows():
    circle = np.tile(np.arange(7), 30)
    changes = {"hidden_size": 16, "optimizer": "adam", "learning_rate": 0.02, "epochs": 15}
    history, _, _ = trained(*corpus_run(train=circle, **changes))
    assert history[-1]["valid_perplexity"] < 1.05 < 2 < history[0]["valid_perplexity"]


def test_the_history_has_a_row_per_epoch_with_mean_loss_and_validation():
    objective, options = pairs_run(learning_rate=1e-30, epochs=3, batch_size=6)
    history, messages, _ = trained(objective, options)
    fresh, _ = pairs_run(batch_size=6)  # what is learned is too little to see
    for number, row in enumerate(history, 1):
        expected = np.mean([loss.item() for loss in fresh.losses(number)])
        assert list(row) == ["epoch", "train_loss", *fresh.validate()]
        assert row == {
            "epoch": number,
            "train_loss": pytest.approx(expected, rel=1e-6),
            **fresh.validate(),
        }
    assert [(m.epoch, m.metrics) for m in messages] == list(enumerate(history, 1))
    assert all(m.train_seconds > 0 and m.valid_seconds > 0 for m in messages)


def test_steps_are_reported_with_the_mean_loss_so_far(monkeypatch):
    monkeypatch.setattr(loop, "REPORT_SECONDS", -1.0)
    objective, options = pairs_run(learning_rate=1e-30, epochs=2, batch_size=6)
    _, messages, _ = trained(objective, options)
    fresh, _ = pairs_run(batch_size=6)
    for epoch in (1, 2):
        costs = [loss.item() for loss in fresh.losses(epoch)]
        for step in (1, 2, 3):
            mean = pytest.approx(np.mean(costs[:step]), rel=1e-6)
            assert messages.pop(0) == Step(epoch, step, 3, mean)
        assert isinstance(messages.pop(0), Epoch)


def test_every_epoch_is_trained_with_dropout_and_validated_without():
    objective, options = corpus_run(dropout=0.5, epochs=3, learning_rate=1e-30)
    modes = []
    for dropout in (objective.model.input_dropout, objective.model.output_dropout):
        dropout.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    history, _, _ = trained(objective, options)
    one_epoch = [True] * 2 * objective.steps + [False] * 2
    assert modes == one_epoch * 3
    assert len({row["train_loss"] for row in history}) == 3
    assert len({row["valid_perplexity"] for row in history}) == 1


def test_a_loss_that_is_not_finite_ends_the_training():
    objective, options = pairs_run(learning_rate=1e38, batch_size=5)
    with pytest.raises(
        TrainingError, match=r"train_loss became (inf|nan) in epoch 1, by step 4; lower learning_"
    ):
        train(objective, options, print)


def test_the_step_at_which_the_loss_breaks_is_named(monkeypatch):
    monkeypatch.setattr(loop, "REPORT_SECONDS", -1.0)
    tokens = np.arange(60) % 6
    tokens[43] = 6  # read at the fourth place of the ninth window
    objective, options = corpus_run(train=tokens, batch_size=1)
    with torch.no_grad():
        objective.model.embedding.weight[6] = math.nan
    reported: list[Step | Epoch] = []
    with pytest.raises(TrainingError, match=r"train_loss became nan in epoch 1, by step 9; "):
        train(objective, options, reported.append)
    assert len(reported) == 8
    assert all(math.isfinite(step.loss) for step in reported)


@pytest.mark.parametrize("learning_rate", [1e3, 1e38])
def test_a_language_model_whose_perplexity_is_not_finite_ends_the_training(learning_rate):
    objective, options = corpus_run(
        optimizer="sgd", learning_rate=learning_rate, batch_size=5, epochs=5
    )
    with pytest.raises(TrainingError, match=r"became (inf|nan) in epoch \d"):
        train(objective, options, print)
