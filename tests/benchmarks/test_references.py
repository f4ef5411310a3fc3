"""What the benchmark measures against computes what it should."""

import numpy as np
import pytest
import torch

from made_up import corpus, ragged
from measurements.addition import answers_in_numpy, epochs_in_numpy
from references import attention, language_model, one_pair
from references.numpy_seq2seq import Seq2Seq
from trainings import training
from unroll.evaluation.accuracy import accuracy
from unroll.generation.answering import answer
from unroll.tasks.addition import Addition, AdditionOptions

DATA = AdditionOptions(kind="addition", max_digits=2, train=60, valid=10, test=5)
OPTIONS = {
    "embedding_size": 5,
    "hidden_size": 7,
    "batch_size": 20,
    "init": "book",
    "optimizer": "adam",
    "learning_rate": 0.01,
    "clip": 0.5,
}
LAYERS = {
    "Wx": "recurrent.layers.0.weight_ih_l0",
    "Wh": "recurrent.layers.0.weight_hh_l0",
    "b": "recurrent.layers.0.bias_ih_l0",  # by `book` the other one stays zero
}


@pytest.fixture
def pairs():
    return Addition(DATA).prepare()


def named() -> dict[str, tuple[str, bool]]:
    """Return, for each array of NumPy's, which parameter it is, and whether it is turned."""
    of_both = {
        f"{side}.{short}": (f"{side}.{name}", short != "b")
        for side in ("encoder", "decoder")
        for short, name in LAYERS.items()
    }
    embeddings = {
        f"{s}.embedding": (f"{s}.embedding.weight", False) for s in ("encoder", "decoder")
    }
    affine = {
        "affine.W": ("decoder.affine.weight", True),
        "affine.b": ("decoder.affine.bias", False),
    }
    return of_both | embeddings | affine


def in_numpy(model: torch.nn.Module) -> Seq2Seq:
    """Return the model in NumPy with the weights of one of ours, in float64."""
    found = Seq2Seq(13, OPTIONS["embedding_size"], OPTIONS["hidden_size"])
    ours = dict(model.double().named_parameters())
    for name, (other, turned) in named().items():
        values = ours[other].detach().numpy()
        found.parameters[name] = (values.T if turned else values).copy()
    assert sum(p.size for p in found.parameters.values()) == sum(
        p.numel() for p in model.parameters() if p.requires_grad
    )
    return found


def test_numpy_has_our_loss_and_our_gradients(pairs):
    one = training("pairs", pairs, **OPTIONS)
    plain = in_numpy(one.objective.model)
    for number in range(3):
        rows = torch.arange(20 * number, 20 * number + 20)
        source, target = (
            np.asarray(of["train"].ids)[rows] for of in (pairs.sources, pairs.targets)
        )
        loss, gradients = plain.gradients(source, target)
        sources, lengths = one.objective.source.read(rows)
        targets, target_lengths = one.objective.target.batch(rows)
        ours, _ = one.objective.loss(sources, lengths, targets, target_lengths, None)
        one.objective.model.zero_grad()
        ours.backward()
        assert loss == pytest.approx(ours.item(), rel=1e-12)
        parameters = dict(one.objective.model.named_parameters())
        assert gradients.keys() == plain.parameters.keys()
        for name, (other, turned) in named().items():
            expected = parameters[other].grad.numpy()
            np.testing.assert_allclose(
                gradients[name], expected.T if turned else expected, rtol=1e-9, atol=1e-13
            )


def test_numpy_takes_our_steps(pairs):
    """The clip is such that some of them are clipped."""
    one = training("pairs", pairs, **OPTIONS)
    plain = in_numpy(one.objective.model)
    for read in one.objective.reads(1, 0):
        source, _, target, *_ = read
        loss, _ = one.objective.loss(*read)
        one.step(loss)
        theirs = plain.step(source.numpy(), target.numpy(), 0.01, 0.5)
        assert theirs == pytest.approx(loss.item(), rel=1e-9)
    for name, (other, turned) in named().items():
        ours = dict(one.objective.model.named_parameters())[other].detach().numpy()
        np.testing.assert_allclose(plain.parameters[name], ours.T if turned else ours, rtol=1e-6)


def test_numpy_gives_our_answers(pairs):
    one = training("pairs", pairs, **OPTIONS)
    plain, form = in_numpy(one.objective.model), pairs.form
    sources = pairs.sources["valid"]
    expected = answer(one.objective.model, sources, form, "plain").symbols.numpy()
    found = plain.answer(np.asarray(sources.ids), form.answers["start"], form.target_width - 1)
    np.testing.assert_array_equal(found, expected)


def test_numpy_learns_in_float32(pairs):
    options = training("pairs", pairs, **OPTIONS).objective.options
    plain = Seq2Seq(13, 5, 7)
    source, target = (np.asarray(of["train"].ids) for of in (pairs.sources, pairs.targets))
    before, _ = plain.gradients(source, target)
    take = epochs_in_numpy(plain, pairs, options)
    assert [take() for _ in range(30)] == [60] * 30
    after, _ = plain.gradients(source, target)
    assert after < 0.8 * before
    assert {p.dtype for p in plain.parameters.values()} == {np.dtype("float32")}
    assert answers_in_numpy(plain, pairs)() == 10


def test_the_plain_language_model_learns_and_says_what_it_has_read():
    data = corpus({"train": 2 * 5 * 4 + 1, "valid": 5, "test": 5}, 20)
    options = {"embedding_size": 8, "hidden_size": 8, "batch_size": 2, "time_steps": 5}
    more = {"optimizer": "sgd", "learning_rate": 1.0, "clip": 1.0, "tie_weights": True}
    one = training("corpus", data, **options, **more)
    read, losses = [], []

    def noted(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        read.append(targets.numel())
        losses.append(torch.nn.functional.nll_loss(logits.log_softmax(1), targets))
        return losses[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language_model.F, "cross_entropy", noted)
        take = language_model.epochs_of(data, one.objective.options)
        assert [take() for _ in range(20)] == [40] * 20
    assert read == [10] * 80  # four windows an epoch: every token once
    assert losses[-1] < 0.8 * losses[0]


def test_the_plain_loop_with_attention_says_how_far_it_is():
    data = ragged(40, 20)
    options = training("pairs", data, **{**OPTIONS, "batch_size": 16}).objective.options
    loop = attention.PlainLoop(data, options)
    assert list(loop.epoch(0)) == pytest.approx([16 / 48, 32 / 48, 1])
    assert loop.train(seconds=0.0) == pytest.approx(1 / 3)  # it looks at the clock behind a step


def test_one_pair_at_a_time_trains_the_same_loss_and_gives_the_same_answers(pairs):
    one = training("pairs", pairs, **OPTIONS)
    objective, row = one.objective, torch.tensor([0])
    target, lengths = objective.target.batch(row)
    at_once, _ = objective.loss(*objective.source.read(row), target, lengths, None)
    assert one_pair.trained(one)() == pairs.form.source_width + pairs.form.target_width - 1
    assert one.history == [] and one.mean_loss() == pytest.approx(at_once.item(), rel=1e-5)
    together = accuracy(objective.model, pairs, "valid", "plain", "cpu").written.symbols
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one_pair, "answer", lambda *of: said.append(answer(*of)) or said[-1])
        take = one_pair.answered(one, pairs)
        assert [take() for _ in range(10)] == [1] * 10
    assert torch.equal(torch.cat([of.symbols for of in said]), together)
