import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import (
    BF16,
    CPU,
    array,
    corpus,
    corpus_options,
    few_examples,
    language_model,
    log_softmax,
)
from training.made import bfloat16_anywhere, corpus_run
from unroll.data.corpus import load_corpus, save_corpus
from unroll.evaluation.perplexity import perplexity
from unroll.models.language_model import LanguageModel
from unroll.training.checkpoint import Unfit
from unroll.training.corpus import CorpusObjective

TOKENS = np.random.default_rng(0).integers(0, 7, size=30)


def objective(train=TOKENS, **changes) -> CorpusObjective:
    return corpus_run(train=train, **{"valid": (0, 1), **changes})[0]


def windows(objective: CorpusObjective) -> list[torch.Tensor]:
    """Return what the model reads in an epoch."""
    found = []
    hook = objective.model.embedding.register_forward_pre_hook(
        lambda _, given: found.append(given[0])
    )
    assert len(list(objective.losses(1))) == objective.steps
    hook.remove()
    return found


@few_examples
@given(length=st.integers(2, 60), batch_size=st.integers(1, 12), time_steps=st.integers(1, 9))
def test_windows_cut_the_corpus_into_streams(length, batch_size, time_steps):
    made = objective(range(length), words=length, batch_size=batch_size, time_steps=time_steps)
    read = windows(made)
    assert all(window.shape[1] == time_steps for window in read[:-1])
    assert 1 <= read[-1].shape[1] <= time_steps
    streams = torch.cat(read, dim=1)
    assert len(streams) == min(batch_size, length - 1)
    # All streams one after the other are the corpus from its first token on ...
    assert streams.flatten().tolist() == list(range(streams.numel()))
    # ... but for the end: the last token has no successor, the rest fills no stream.
    assert 1 <= length - streams.numel() <= len(streams)
    assert torch.equal(made.targets, streams + 1)


def test_on_a_cpu_the_corpus_is_read_from_where_it_is_mapped(tmp_path):
    save_corpus(corpus(TOKENS), tmp_path / "prose")
    kept = load_corpus(tmp_path / "prose")
    made = CorpusObjective(language_model(), kept, corpus_options(batch_size=3), 0, CPU)
    mapped = kept.tokens["train"]
    assert isinstance(mapped, np.memmap)
    assert made.inputs.data_ptr() == mapped.ctypes.data
    assert made.targets.data_ptr() == mapped.ctypes.data + mapped.itemsize
    assert made.valid.data_ptr() == kept.tokens["valid"].ctypes.data
    assert len(list(made.losses(1))) == made.steps


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("time_steps", [1, 4, 5, 100])
def test_windows_with_a_carried_state_are_one_long_pass(cell, time_steps):
    made = objective(cell=cell, layers=2, batch_size=2, time_steps=time_steps)
    costs = [loss.item() for loss in made.losses(1)]
    sizes = [part.numel() for part in made.inputs.split(time_steps, dim=1)]
    logits, _ = made.model(torch.tensor(TOKENS[:28]).view(2, 14))
    costs_of_all = -log_softmax(array(logits).astype(np.float64))[
        np.arange(2)[:, None], np.arange(14), TOKENS[1:29].reshape(2, 14)
    ]
    assert np.average(costs, weights=sizes) == pytest.approx(costs_of_all.mean(), rel=1e-6)


def test_every_epoch_begins_with_a_state_of_zeros():
    made = objective(layers=2, time_steps=3)
    first, second = ([loss.item() for loss in made.losses(epoch)] for epoch in (1, 2))
    assert first == second
    assert len(set(first)) > 1


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_from_a_carried_state_the_windows_that_are_left_cost_the_same(cell):
    changes = {"cell": cell, "layers": 2, "time_steps": 2}
    whole = [loss.item() for loss in objective(**changes).losses(1)]
    assert len(whole) == 4
    for start in range(1, 4):
        made, other = objective(**changes), objective(**changes)
        for _, _loss in zip(range(start), made.losses(1), strict=False):
            state = made.state()
        other.restore(state)
        assert [loss.item() for loss in other.losses(1, start)] == whole[start:]


def test_a_carried_state_of_another_shape_is_unfit():
    made = objective()
    list(made.losses(1))
    state = made.state()
    assert state.keys() == {"carried.0", "carried.1"}
    for wrong in (
        {},
        {"carried.0": state["carried.0"]},
        {**state, "carried.2": state["carried.0"]},
        {**state, "carried.1": state["carried.1"][:, :1]},
    ):
        with pytest.raises(Unfit, match="the carried state is of another shape"):
            made.restore(wrong)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_no_gradient_flows_from_one_window_to_the_one_before(cell):
    made = objective(range(25), words=25, cell=cell, batch_size=2, time_steps=4, layers=2)
    embedding = made.model.embedding.weight
    for window, loss in zip(windows(made), made.losses(1), strict=True):
        (gradient,) = torch.autograd.grad(loss, embedding)
        read = gradient.any(dim=1).nonzero().flatten()
        assert read.tolist() == window.flatten().sort().values.tolist()


def test_a_corpus_is_validated_by_its_exact_perplexity():
    made = objective(machine=BF16, valid=TOKENS[:11])
    expected = perplexity(made.model, torch.tensor(TOKENS[:11]), eos=0)
    assert made.validate() == {"valid_perplexity": expected}


def test_bfloat16_is_near_float32_and_not_the_same():
    exact = [loss.item() for loss in objective().losses(1)]
    with bfloat16_anywhere():
        rough = [loss.item() for loss in objective(machine=BF16).losses(1)]
    assert rough != exact
    assert rough == pytest.approx(exact, rel=2e-2)


def test_weights_stay_in_float32_when_the_forward_pass_does_not():
    made = objective(machine=BF16, init="default")
    with bfloat16_anywhere():
        next(made.losses(1)).backward()
    assert isinstance(made.model, LanguageModel)
    for parameter in made.model.parameters():
        assert parameter.dtype == parameter.grad.dtype == torch.float32
