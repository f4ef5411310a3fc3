import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import (
    BF16,
    BLANK_ID,
    CPU,
    DIGITS,
    array,
    corpus,
    corpus_options,
    few_examples,
    language_model,
    lines,
    lively,
    log_softmax,
    pairs,
    pairs_options,
    seq2seq,
)
from unroll.data.pairs import Pairs
from unroll.evaluation.accuracy import accuracy
from unroll.evaluation.perplexity import perplexity
from unroll.models.language_model import LanguageModel
from unroll.training.objectives import CorpusObjective, PairsObjective


def pairs_objective(seed: int = 0, data: Pairs | None = None, machine=CPU, **options):
    model = seq2seq(**options)
    return PairsObjective(model, data or pairs(20), pairs_options(**options), seed, machine)


def batches(objective: PairsObjective) -> list[list[tuple[int, ...]]]:
    """Return the sources of each batch of an epoch, as the model reads them."""
    found = []
    hook = objective.model.register_forward_pre_hook(
        lambda _, given: found.append([tuple(source) for source in given[0].tolist()])
    )
    assert len(list(objective.losses())) == objective.steps
    hook.remove()
    return found


def test_an_epoch_reads_whole_batches_of_different_pairs():
    objective = pairs_objective(batch_size=6)
    assert objective.steps == 3
    found = batches(objective)
    assert [len(batch) for batch in found] == [6, 6, 6]
    everything = {tuple(source) for source in objective.sources["train"].tolist()}
    assert len(everything) == 20
    read = [source for batch in found for source in batch]
    assert len(set(read)) == 18 and set(read) <= everything


def test_the_order_is_new_at_every_epoch_and_that_of_the_seed():
    one, same = pairs_objective(seed=1), pairs_objective(seed=1, decoder="peeky", layers=2)
    first, second = batches(one), batches(one)
    assert first != second
    assert [batches(same), batches(same)] == [first, second]
    assert batches(pairs_objective(seed=2)) != first


def test_a_batch_is_never_larger_than_the_data():
    objective = pairs_objective(batch_size=50)
    assert (objective.batch_size, objective.steps) == (20, 1)


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_the_loss_is_the_mean_cross_entropy_of_the_symbols_that_count(padding):
    sources, targets = lines("12  ", "345 "), lines("_21  ", "_5432")
    splits = ("train", "valid", "test")
    data = Pairs(
        DIGITS, dict.fromkeys(splits, sources.numpy()), dict.fromkeys(splits, targets.numpy()), {}
    )
    objective = pairs_objective(data=data, padding=padding)
    logits = log_softmax(array(objective.model(sources, targets[:, :-1])).astype(np.float64))
    counted = {"plain": [4, 4], "masked": [3, 4]}[padding]  # 2 1 blank blank; 5 4 3 2
    costs = [
        -logits[n, t, targets[n, t + 1]] for n, count in enumerate(counted) for t in range(count)
    ]
    (loss,) = objective.losses()
    assert loss.item() == pytest.approx(np.mean(costs), rel=1e-6)


@few_examples
@given(st.integers(1, 4), st.integers(0, 4), st.sampled_from(["plain", "peeky", "attention"]))
def test_more_blanks_change_no_masked_loss(source_blanks, target_blanks, decoder):
    data = pairs(8)

    def longer(arrays, blanks):
        return {
            split: np.pad(a, ((0, 0), (0, blanks)), constant_values=BLANK_ID)
            for split, a in arrays.items()
        }

    more = Pairs(
        DIGITS, longer(data.sources, source_blanks), longer(data.targets, target_blanks), {}
    )
    one, other = (
        [
            loss.item()
            for loss in pairs_objective(data=d, padding="masked", decoder=decoder).losses()
        ]
        for d in (data, more)
    )
    assert len(one) == 2
    assert other == pytest.approx(one, rel=1e-6)


def test_pairs_are_validated_in_float32_whatever_the_precision():
    data, model = pairs(20), lively(decoder="attention")
    objective = PairsObjective(model, data, pairs_options(decoder="attention"), 0, BF16)
    sources, targets = (torch.as_tensor(a["valid"]) for a in (data.sources, data.targets))
    expected = accuracy(model, sources, targets, BLANK_ID, "plain")
    assert expected.character_accuracy > 0
    assert objective.validate() == {
        "valid_exact_match": expected.exact_match,
        "valid_character_accuracy": expected.character_accuracy,
    }


def corpus_objective(train, machine=CPU, valid=(0, 1), words=7, model=None, **options):
    model = model or language_model(words, **options)
    data = corpus(train, valid, words)
    return CorpusObjective(model, data, corpus_options(**options), machine)


def windows(objective: CorpusObjective) -> list[torch.Tensor]:
    """Return what the model reads in an epoch."""
    found = []
    hook = objective.model.embedding.register_forward_pre_hook(
        lambda _, given: found.append(given[0])
    )
    assert len(list(objective.losses())) == objective.steps
    hook.remove()
    return found


@few_examples
@given(length=st.integers(2, 60), batch_size=st.integers(1, 12), time_steps=st.integers(1, 9))
def test_windows_cut_the_corpus_into_streams(length, batch_size, time_steps):
    objective = corpus_objective(
        range(length), words=length, batch_size=batch_size, time_steps=time_steps
    )
    read = windows(objective)
    assert all(window.shape[1] == time_steps for window in read[:-1])
    assert 1 <= read[-1].shape[1] <= time_steps
    streams = torch.cat(read, dim=1)
    assert len(streams) == min(batch_size, length - 1)
    # All streams one after the other are the corpus from its first token on ...
    assert streams.flatten().tolist() == list(range(streams.numel()))
    # ... but for the end: the last token has no successor, the rest fills no stream.
    assert 1 <= length - streams.numel() <= len(streams)
    assert torch.equal(objective.targets, streams + 1)


TOKENS = np.random.default_rng(0).integers(0, 7, size=30)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("time_steps", [1, 4, 5, 100])
def test_windows_with_a_carried_state_are_one_long_pass(cell, time_steps):
    objective = corpus_objective(TOKENS, cell=cell, layers=2, batch_size=2, time_steps=time_steps)
    costs = [loss.item() for loss in objective.losses()]
    sizes = [part.numel() for part in objective.inputs.split(time_steps, dim=1)]
    logits, _ = objective.model(torch.tensor(TOKENS[:28]).view(2, 14))
    costs_of_all = -log_softmax(array(logits).astype(np.float64))[
        np.arange(2)[:, None], np.arange(14), TOKENS[1:29].reshape(2, 14)
    ]
    assert np.average(costs, weights=sizes) == pytest.approx(costs_of_all.mean(), rel=1e-6)


def test_every_epoch_begins_with_a_state_of_zeros():
    objective = corpus_objective(TOKENS, layers=2, time_steps=3)
    first, second = ([loss.item() for loss in objective.losses()] for _ in range(2))
    assert first == second
    assert len(set(first)) > 1


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_no_gradient_flows_from_one_window_to_the_one_before(cell):
    objective = corpus_objective(
        range(25), words=25, cell=cell, batch_size=2, time_steps=4, layers=2
    )
    embedding = objective.model.embedding.weight
    for window, loss in zip(windows(objective), objective.losses(), strict=True):
        (gradient,) = torch.autograd.grad(loss, embedding)
        read = gradient.any(dim=1).nonzero().flatten()
        assert read.tolist() == window.flatten().sort().values.tolist()


def test_a_corpus_is_validated_by_its_exact_perplexity():
    objective = corpus_objective(TOKENS, machine=BF16, valid=TOKENS[:11])
    expected = perplexity(objective.model, torch.tensor(TOKENS[:11]), eos=0)
    assert objective.validate() == {"valid_perplexity": expected}


def test_bfloat16_is_near_float32_and_not_the_same():
    for build, data in ((corpus_objective, TOKENS), (pairs_objective, 0)):
        exact, rough = (
            [loss.item() for loss in build(data, machine=machine).losses()]
            for machine in (CPU, BF16)
        )
        assert rough != exact
        assert rough == pytest.approx(exact, rel=2e-2)


def test_weights_stay_in_float32_when_the_forward_pass_does_not():
    objective = corpus_objective(TOKENS, machine=BF16)
    next(objective.losses()).backward()
    assert isinstance(objective.model, LanguageModel)
    for parameter in objective.model.parameters():
        assert parameter.dtype == parameter.grad.dtype == torch.float32
