from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import (
    BF16,
    BLANK_ID,
    FORM,
    array,
    few_examples,
    lengths_of,
    lines,
    lively,
    log_softmax,
    pairs,
    pairs_options,
    ragged,
    step,
)
from training.made import bfloat16_anywhere, pairs_run, ragged_run
from unroll import study as params
from unroll.data.pairs import Pairs, from_texts
from unroll.data.sequences import SPLITS, Sequences
from unroll.errors import UserError
from unroll.evaluation.accuracy import accuracy
from unroll.training.pairs import PairsObjective

DIRECTIONS = {
    "forward": {},
    "reversed": {"reverse_source": True},
    "bidirectional": {"bidirectional": True},
}


def objective(**changes) -> PairsObjective:
    return pairs_run(**changes)[0]


def alike(sources: Sequences, targets: Sequences, form=FORM) -> Pairs:
    """Return pairs whose splits are alike."""
    return Pairs(form, dict.fromkeys(SPLITS, sources), dict.fromkeys(SPLITS, targets), {})


def given_to(objective: PairsObjective, epoch: int = 1) -> list[tuple]:
    """Return what the model is given at each step of an epoch."""
    found: list[tuple] = []
    hook = objective.model.register_forward_pre_hook(lambda _, given: found.append(given))
    assert len(list(objective.losses(epoch))) == objective.steps
    hook.remove()
    return found


def batches(objective: PairsObjective, epoch: int = 1) -> list[list[tuple[int, ...]]]:
    """Return the sources of each batch of an epoch, as the model reads them."""
    return [[tuple(row) for row in given[0].tolist()] for given in given_to(objective, epoch)]


def test_an_epoch_reads_whole_batches_of_different_pairs():
    made = objective(batch_size=6)
    assert made.steps == 3
    found = batches(made)
    assert [len(batch) for batch in found] == [6, 6, 6]
    everything = {tuple(source) for source in made.pairs.sources["train"].ids.tolist()}
    assert len(everything) == 20
    read = [source for batch in found for source in batch]
    assert len(set(read)) == 18 and set(read) <= everything


def test_the_order_is_new_at_every_epoch_and_that_of_the_seed():
    one, same = objective(seed=1), objective(seed=1, decoder="peeky", layers=2)
    first, second = batches(one, 1), batches(one, 2)
    assert first != second
    assert [batches(same, 1), batches(same, 2)] == [first, second]
    assert batches(objective(seed=2)) != first


def test_steps_that_were_taken_are_passed_over():
    made = objective(batch_size=4)
    whole = [loss.item() for loss in made.losses(2)]
    for start in range(made.steps + 1):
        assert [loss.item() for loss in made.losses(2, start)] == whole[start:]


def test_a_batch_is_never_larger_than_the_data():
    made = objective(batch_size=50)
    assert (made.batch_size, made.steps) == (20, 1)


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_a_batch_is_as_wide_as_its_padding_says_and_masked_batches_are_of_like_length(padding):
    made, _ = ragged_run(padding=padding, batch_size=4)
    shapes = [(source.shape[1], lengths) for source, _, lengths, _ in given_to(made)]
    width = made.pairs.form.source_width
    if padding == "plain":
        assert shapes == [(width, None)] * 3
    else:
        assert all(lengths.max() == T for T, lengths in shapes)
        assert min(T for T, _ in shapes) < width
        # Sorted by length, two batches have at most one length in common.
        ranges = sorted((lengths.min().item(), lengths.max().item()) for _, lengths in shapes)
        assert all(one[1] <= other[0] for one, other in pairwise(ranges))


def test_with_replacement_batches_are_drawn_from_all_pairs_each_time():
    made = objective(batch_size=6, with_replacement=True, seed=1)
    first, second = batches(made, 1), batches(made, 2)
    assert [len(batch) for batch in first] == [6, 6, 6]
    assert first != second and batches(made, 1) == first
    assert batches(objective(batch_size=6, with_replacement=True, seed=2), 1) != first
    read = [source for epoch in range(1, 9) for batch in batches(made, epoch) for source in batch]
    everything = {tuple(source) for source in made.pairs.sources["train"].ids.tolist()}
    assert set(read) == everything and len(set(first[0] + first[1] + first[2])) < 18


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_of_sequences_is_the_mean_of_their_sums(padding, smoothing):
    changes = {"padding": padding, "label_smoothing": smoothing, "batch_size": 3}
    made, _ = ragged_run(loss="sequence", **changes)
    found = [loss.item() for loss in made.losses(1)]
    expected = []
    for rows in made._batches(1):
        sums = []
        for row in rows.tolist():
            one = torch.tensor([row])
            target, length = made.target.batch(one)
            source, lengths = made.source.read(one)
            with torch.no_grad():
                logits = made.model(source, target[:, :-1], lengths)[0]
            counts = made.padding.counts(length - 1, target.shape[1] - 1)[0]
            logs = logits.log_softmax(dim=1)[counts]
            wanted = logs.gather(1, target[0, 1:][counts][:, None])[:, 0]
            smooth = (1 - smoothing) * wanted + smoothing * logs.mean(dim=1)
            sums.append(-smooth.sum().item())
        expected.append(np.mean(sums))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_the_loss_is_the_mean_cross_entropy_of_the_symbols_that_count(padding):
    sources, targets = lines("12  ", "345 "), lines("_21  ", "_5432")
    lengths = lengths_of("12  ", "345 ")
    data = alike(
        Sequences(sources.numpy(), lengths.numpy()), Sequences(targets.numpy(), np.array([4, 5]))
    )
    made = objective(data=data, padding=padding)
    logits = made.model(sources, targets[:, :-1], None if padding == "plain" else lengths)
    scores = log_softmax(array(logits).astype(np.float64))
    counted = {"plain": [4, 4], "masked": [3, 4]}[padding]  # 2 1 end filling; 5 4 3 2
    costs = [
        -scores[n, t, targets[n, t + 1]] for n, count in enumerate(counted) for t in range(count)
    ]
    (loss,) = made.losses(1)
    assert loss.item() == pytest.approx(np.mean(costs), rel=1e-6)


def gradients(loss: torch.Tensor, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return dict(zip(trained, torch.autograd.grad(loss, trained.values()), strict=True))


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_ragged_batch_costs_what_its_sequences_cost_each_alone(cell, decoder, direction, padding):
    options = pairs_options(
        cell=cell, decoder=decoder, padding=padding, batch_size=13, init="default",
        **DIRECTIONS[direction],
    )  # fmt: skip
    data = ragged()
    model = lively(form=data.form, **options.model_dump(include=options.model_fields_set)).double()
    sources, targets = data.sources["train"], data.targets["train"]
    assert len(set(sources.lengths.tolist())) > 4 < len(set(targets.lengths.tolist()))

    def loss_of(rows: slice) -> torch.Tensor:
        part = alike(sources.part(rows), targets.part(rows), data.form)
        made, _ = pairs_run(data=part)
        (loss,) = PairsObjective(model, part, options, 0, made.machine).losses(1)
        return loss

    found = loss_of(slice(None))
    counted = {"plain": np.full(13, targets.width), "masked": targets.lengths}[padding] - 1
    alone = torch.stack([loss_of(slice(n, n + 1)) for n in range(13)])
    expected = (alone * torch.from_numpy(counted)).sum() / counted.sum()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    by_name = gradients(expected, model)
    for name, gradient in gradients(found, model).items():
        scale = by_name[name].abs().max().item()
        assert scale > 0, name
        torch.testing.assert_close(gradient, by_name[name], rtol=1e-5, atol=1e-9 * scale)


@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention", "input_feeding"])
def test_the_embedding_of_what_fills_is_never_trained(decoder):
    rows = [("a", "x y z"), ("a b c", "x"), ("b", "y z")]
    data = from_texts(dict.fromkeys(("train", "valid", "test"), rows), ("word", "word"))
    made, _ = pairs_run(data=data, padding="masked", decoder=decoder, batch_size=3)
    (loss,) = made.losses(1)
    found = gradients(loss, made.model)
    for side, vocabulary in (("encoder", data.form.source), ("decoder", data.form.answers)):
        embedding = found[f"{side}.embedding.weight"]
        assert embedding[vocabulary["pad"]].abs().max() == 0
        assert embedding.abs().max() > 0


@few_examples
@given(st.integers(1, 4), st.integers(0, 4), st.sampled_from(["plain", "peeky", "attention"]))
def test_more_filling_changes_no_masked_loss(source_blanks, target_blanks, decoder):
    data = pairs(8)

    def longer(sequences: Sequences, blanks: int) -> Sequences:
        ids = np.pad(sequences.ids, ((0, 0), (0, blanks)), constant_values=BLANK_ID)
        return Sequences(ids, sequences.lengths)

    more = alike(
        longer(data.sources["train"], source_blanks), longer(data.targets["train"], target_blanks)
    )
    one, other = (
        [loss.item() for loss in objective(data=d, padding="masked", decoder=decoder).losses(1)]
        for d in (data, more)
    )
    assert len(one) == 2
    assert other == pytest.approx(one, rel=1e-6)


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_pairs_are_validated_in_float32_whatever_the_precision(padding):
    data, model = pairs(20), lively(decoder="attention")
    options = pairs_options(decoder="attention", padding=padding)
    made = PairsObjective(model, data, options, 0, BF16)
    expected = accuracy(model, data, "valid", padding, "cpu").scores()
    assert 0 < expected["character_accuracy"] < 1
    assert made.validate() == {f"valid_{name}": value for name, value in expected.items()}


def test_bfloat16_is_near_float32_and_not_the_same():
    exact = [loss.item() for loss in objective().losses(1)]
    with bfloat16_anywhere():
        rough = [loss.item() for loss in objective(machine=BF16).losses(1)]
    assert rough != exact
    assert rough == pytest.approx(exact, rel=2e-2)


# Teacher forcing


def forced(made: PairsObjective, epoch: int = 1) -> list[torch.Tensor | None]:
    """Return where the decoder reads the target, at each step of an epoch."""
    return [given[3] for given in given_to(made, epoch)]


@pytest.mark.parametrize("by", ["step", "sequence"])
def test_a_share_of_one_is_the_parallel_pass_and_draws_nothing(by):
    made = objective(teacher_forcing=1.0, teacher_forcing_by=by)
    assert made.generators.keys() == {"dropout"}
    assert forced(made) == [None] * made.steps
    # As near to one as can be: step by step, every coin falls on the target's side.
    near = objective(teacher_forcing=1 - 1e-16, teacher_forcing_by=by, dtype=torch.float64)
    assert near.options.teacher_forcing < 1
    assert all(mask.all() for mask in forced(near))
    exact = objective(dtype=torch.float64)
    losses = [loss.item() for loss in near.losses(1)]
    assert losses == pytest.approx([loss.item() for loss in exact.losses(1)], rel=1e-10)


@pytest.mark.parametrize("by", ["step", "sequence"])
@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_a_share_of_zero_is_running_free(padding, by):
    """The loss by hand: every symbol but the first is the one that was found likeliest."""
    data = ragged()
    options = {"padding": padding, "batch_size": 4, "hidden_size": 16}
    made = objective(
        data=data, dtype=torch.float64, teacher_forcing=0.0, teacher_forcing_by=by, **options
    )
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter.mul_(3)
    plain = objective(data=data, **options)  # the same batches
    order = [given[:3] for given in given_to(plain)]
    targets = {
        tuple(source): (target, length)
        for source, target, length in zip(
            data.sources["train"].ids.tolist(),
            data.targets["train"].ids,
            data.targets["train"].lengths.tolist(),
            strict=True,
        )
    }
    decoder, differs = made.model.decoder, False
    for (source, _, lengths), loss in zip(order, made.losses(1), strict=True):
        full = [tuple(row + [0] * (6 - len(row))) for row in source.tolist()]
        wanted = np.stack([targets[row][0] for row in full])
        _, state = made.model.encode(source, lengths)
        now, read, costs = tuple(array(part[0]) for part in state), wanted[:, 0], []
        for t in range(1, wanted.shape[1]):
            x = array(decoder.embedding.weight)[read]
            now = step("lstm", decoder.recurrent.layers[0], x, now)
            logits = now[0] @ array(decoder.affine.weight).T + array(decoder.affine.bias)
            for n, row in enumerate(full):
                if padding == "plain" or t < targets[row][1]:
                    costs.append(-log_softmax(logits)[n, wanted[n, t]])
            read = logits.argmax(axis=1)
            differs |= bool((read != wanted[:, t]).any())
        assert loss.item() == pytest.approx(np.mean(costs), rel=1e-10)
    assert differs


def test_by_step_each_step_of_each_sequence_has_a_coin_of_its_own():
    masks = torch.cat(forced(objective(teacher_forcing=0.5)))
    assert masks.shape == (20, 4) and masks.dtype == torch.bool
    assert len(masks.unique(dim=0)) > 8
    assert all(len(column.unique()) == 2 for column in masks.T)


def test_by_sequence_one_coin_decides_for_all_steps():
    masks = torch.cat(forced(objective(teacher_forcing=0.5, teacher_forcing_by="sequence")))
    assert torch.equal(masks, masks[:, :1].expand_as(masks))
    assert len(masks[:, 0].unique()) == 2


@pytest.mark.parametrize("by", ["step", "sequence"])
@pytest.mark.parametrize("share", [0.25, 0.9])
def test_the_share_is_that_of_the_target(share, by):
    made = objective(teacher_forcing=share, teacher_forcing_by=by, batch_size=20)
    drawn = torch.cat([mask for epoch in range(1, 41) for mask in forced(made, epoch)])
    coins = (drawn if by == "step" else drawn[:, 0]).double()
    assert coins.numel() >= 800
    spread = (share * (1 - share) / coins.numel()) ** 0.5
    assert abs(coins.mean().item() - share) < 5 * spread


def test_the_seed_decides_which_coins_fall_and_nothing_else_does():
    def drawn(**changes):
        torch.manual_seed(changes.get("layers", 0))
        made = objective(**{"teacher_forcing": 0.5, "seed": 1, **changes})
        return torch.stack(forced(made))

    first = drawn()
    assert torch.equal(drawn(), first)
    assert torch.equal(drawn(layers=2, dropout=0.5, decoder="peeky"), first)
    assert not torch.equal(drawn(seed=2), first)
    made = objective(teacher_forcing=0.5, seed=1)
    assert not torch.equal(torch.stack(forced(made)), torch.stack(forced(made, 2)))


def test_coins_are_no_draws_of_dropout():
    made = objective(teacher_forcing=0.5, dropout=0.3)
    assert made.generators.keys() == {"dropout", "teacher_forcing"}
    before = {name: generator.get_state() for name, generator in made.generators.items()}
    assert torch.equal(before["dropout"], objective(dropout=0.3).generators["dropout"].get_state())
    made.model.eval()  # so that only coins are drawn
    list(made.losses(1))
    assert torch.equal(made.generators["dropout"].get_state(), before["dropout"])
    drawn = made.generators["teacher_forcing"].get_state()
    assert not torch.equal(drawn, before["teacher_forcing"])


# Curricula

LEVELS = np.repeat([1, 2, 3, 4], [2, 6, 4, 8])  # of twenty pairs


def taught(curriculum: str, seed: int = 0, **changes) -> PairsObjective:
    """Return an objective of pairs that say how hard they are."""
    data = replace(pairs(20), levels=LEVELS)
    given = {"batch_size": 4, "epochs": 8, **changes}
    return objective(data=data, curriculum=curriculum, seed=seed, **given)


def rows_of(made: PairsObjective, epoch: int) -> list[int]:
    """Return which pairs an epoch has, in the order in which the model reads them."""
    sources = [tuple(row) for row in made.pairs.sources["train"].ids.tolist()]
    return [sources.index(source) for batch in batches(made, epoch) for source in batch]


@pytest.mark.parametrize(
    ("curriculum", "levels"),
    [
        ("hardest", [[4] * 8] * 8),
        ("naive", [[1] * 8, [2] * 8, [3] * 8, *[[4] * 8] * 5]),
        ("mixed", [[1, 1, 2, 2, 3, 3, 4, 4]] * 8),
        (
            "combined",
            [
                [1, 1, 1, 1, 1, 2, 3, 4],
                [1, 2, 2, 2, 2, 2, 3, 4],
                [1, 2, 3, 3, 3, 3, 3, 4],
                *[[1, 2, 3, 4, 4, 4, 4, 4]] * 5,
            ],
        ),
    ],
)
def test_an_epoch_has_the_pairs_that_its_curriculum_chooses(curriculum, levels):
    made = taught(curriculum)
    assert made.steps == 2  # of eight pairs, as many as the hardest level has
    assert [sorted(LEVELS[rows_of(made, epoch)].tolist()) for epoch in range(1, 9)] == levels


def test_without_a_curriculum_an_epoch_has_all_pairs_whatever_their_levels():
    made = taught("all")
    assert made.steps == 5
    assert sorted(rows_of(made, 1)) == list(range(20))
    plain = objective(batch_size=4, epochs=8)
    assert batches(made, 3) == batches(plain, 3)


def test_a_curriculum_chooses_the_same_pairs_for_all_seeds_and_each_seed_orders_them():
    one, same, other = (taught("mixed", seed=seed) for seed in (1, 1, 2))
    for epoch in (1, 2):
        assert rows_of(one, epoch) == rows_of(same, epoch) != rows_of(other, epoch)
        assert sorted(rows_of(one, epoch)) == sorted(rows_of(other, epoch))
    assert sorted(rows_of(one, 1)) != sorted(rows_of(one, 2))


def test_a_batch_is_never_larger_than_the_hardest_level():
    made = taught("naive", batch_size=50)
    assert (made.batch_size, made.steps) == (8, 1)
    assert len(rows_of(made, 1)) == 8


def test_steps_that_were_taken_of_a_curriculum_are_passed_over():
    made = taught("combined")
    whole = [loss.item() for loss in made.losses(3)]
    assert [loss.item() for loss in made.losses(3, 1)] == whole[1:]


def test_what_a_curriculum_chooses_comes_in_batches_of_like_length():
    data = ragged()
    data = replace(data, levels=np.arange(len(data.sources["train"])) % 2 + 1)
    made, _ = pairs_run(data=data, padding="masked", curriculum="naive", batch_size=2, epochs=8)
    hardest = np.flatnonzero(data.levels == 2)
    for epoch in (5, 6):
        read = [given[2] for given in given_to(made, epoch)]
        ranges = sorted((lengths.min().item(), lengths.max().item()) for lengths in read)
        assert all(one[1] <= other[0] for one, other in pairwise(ranges))
        lengths = sorted(int(length) for of in read for length in of)
        assert lengths == sorted(data.sources["train"].lengths[hardest].tolist())


def test_pairs_without_levels_are_taught_by_no_curriculum():
    with pytest.raises(UserError) as caught:
        objective(curriculum="naive")
    assert str(caught.value) == ("curriculum: the pairs of this task have no levels; leave it out")


STUDY = """\
tasks:
  programs:
    data: {kind: programs}
    defaults: &defaults
      seeds: [0]
      embedding_size: 4
      hidden_size: 4
      epochs: 1
      batch_size: 4
      optimizer: sgd
      learning_rate: 0.1
  addition:
    data: {kind: addition}
    defaults: *defaults
variants:
  taught: {task: programs, curriculum: naive}
  sums: {task: addition, curriculum: all}
"""


def test_a_curriculum_is_of_a_task_with_levels_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(STUDY)
    assert params.load().variant("taught").curriculum == "naive"
    Path("params.yaml").write_text(STUDY.replace("curriculum: all", "curriculum: mixed"))
    with pytest.raises(UserError) as caught:
        params.load()
    assert str(caught.value) == (
        "params.yaml cannot be used:\n"
        "  variants.sums.curriculum: the pairs of addition have no levels"
    )


def test_pairs_that_a_curriculum_chooses_are_not_drawn_with_replacement():
    with pytest.raises(ValueError, match="with_replacement: a curriculum chooses pairs itself"):
        pairs_options(with_replacement=True, curriculum="mixed")
