"""A text that a grammar has written can be predicted so well and no better."""

import pytest
import torch

from models.toys import CPU, corpus_options
from unroll.evaluation.perplexity import token_losses
from unroll.tasks.text import Text, TextOptions
from unroll.training.loop import train
from unroll.training.run import begin


@pytest.mark.long
def test_a_language_model_comes_within_two_percent_of_the_floor_read_in_any_number_of_streams():
    torch.set_num_threads(1)
    text = Text(TextOptions(kind="text", source="grammar", sentences=20_000, seed=7)).prepare()
    options = corpus_options(
        embedding_size=64,
        hidden_size=64,
        init="default",
        epochs=2,
        batch_size=20,
        time_steps=35,
        optimizer="adamw",
        learning_rate=0.005,
        schedule="one_cycle",
        clip=1.0,
    )
    objective = begin(options, text, 0, CPU)
    train(objective, options, lambda message: None)
    model, tokens = objective.model, torch.as_tensor(text.tokens["test"])
    found = {}
    for model.evaluation_batch_size in (1, 10, 64):
        losses = token_losses(model, tokens, text.eos)
        found[model.evaluation_batch_size] = float(losses.mean().exp())
    floor = text.facts["perplexity_floor"]["test"]
    assert floor < found[1] < 1.02 * floor
    assert found[10] == pytest.approx(found[1], rel=1e-4)
    assert found[64] == pytest.approx(found[1], rel=1e-4)
