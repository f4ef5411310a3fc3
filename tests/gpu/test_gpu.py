"""What must also hold on CUDA; all of it is skipped where there is none."""

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.toys import (
    CPU,
    DIGITS,
    FORM,
    EndsAfter,
    corpus,
    corpus_options,
    labels_options,
    language_model,
    lines,
    lively,
    pairs,
    pairs_options,
    ragged,
    seq2seq,
)
from unroll.data.sequences import encode
from unroll.evaluation.attention import attention_weights
from unroll.evaluation.classification import classify
from unroll.evaluation.perplexity import perplexity
from unroll.generation.answering import answer
from unroll.generation.decoding import decode
from unroll.generation.sampling import Sampling
from unroll.kinds import kind_of
from unroll.models.initialise import initialise
from unroll.models.linear_cross_entropy import linear_cross_entropy
from unroll.options import Compute, VariantOptions
from unroll.seeds import torch_generator
from unroll.training.checkpoint import Checkpoint
from unroll.training.corpus import CorpusObjective
from unroll.training.interruption import Interrupted, Interruption
from unroll.training.loop import Seat, Training, go_on, train
from unroll.training.machine import Machine, choose
from unroll.training.objective import Objective
from unroll.training.run import begin
from unroll.training.stacked import train_together

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]

CUDA, CUDA_BF16 = Machine("cuda", "float32", 1), Machine("cuda", "bfloat16", 1)
SOURCE, INPUTS = lines("12  ", "5678", "903 "), lines("_21 ", "_876", "_309")
LENGTHS = torch.tensor([2, 4, 3])  # on the CPU, as training has them
TOKENS = np.random.default_rng(0).integers(0, 7, size=200)
CELLS = ("lstm", "gru", "rnn")


@pytest.fixture(autouse=True, scope="module")
def prepared_process() -> Iterator[None]:
    """Ask for deterministic algorithms, as a worker does."""
    strict = torch.are_deterministic_algorithms_enabled()
    CUDA.prepare_process()
    yield
    torch.use_deterministic_algorithms(strict)


def near(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Compare as closely as TF32 allows: cuDNN's recurrent layers compute in it."""
    torch.testing.assert_close(found.cpu(), expected.cpu(), rtol=5e-3, atol=1e-3)


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
@pytest.mark.parametrize("cell", CELLS)
def test_logits_and_gradients_are_those_of_the_cpu(cell, decoder, padding):
    model = seq2seq(
        cell=cell,
        decoder=decoder,
        padding=padding,
        layers=2,
        hidden_size=8,
        bidirectional=True,
        reverse_source=True,
        init="default",  # all parameters are trained
    )
    lengths = LENGTHS if padding == "masked" else None
    twin = copy.deepcopy(model).cuda()
    expected, found = model(SOURCE, INPUTS, lengths), twin(SOURCE.cuda(), INPUTS.cuda(), lengths)
    near(found, expected)
    for logits in (expected, found):
        logits.square().mean().backward()
    for parameter, other in zip(model.parameters(), twin.parameters(), strict=True):
        near(other.grad, parameter.grad)


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_layers_compute_in_float32_where_the_rest_is_in_bfloat16(cell):
    model = seq2seq(cell=cell, init="default").cuda()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        x = torch.randn(3, 4, model.encoder.recurrent.layers[0].input_size, device="cuda")
        outputs, state = model.encoder.recurrent(x)
    assert {outputs.dtype, *(part.dtype for part in state)} == {torch.float32}


def test_a_decoder_that_reads_its_own_symbols_reads_those_of_the_cpu():
    model = lively()
    forced = torch.tensor([[True, True, False, False]]).expand(3, 4)
    expected = model(SOURCE, INPUTS, forced=forced)
    found = copy.deepcopy(model).cuda()(SOURCE.cuda(), INPUTS.cuda(), forced=forced.cuda())
    near(found, expected)


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_answers_and_their_probabilities_are_those_of_the_cpu(padding):
    model = lively(decoder="attention", padding=padding)
    sources = encode(["12", "5678", "903", "7"], DIGITS, FORM.source_width, "toy")
    expected = answer(model, sources, FORM, padding)
    found = answer(copy.deepcopy(model).cuda(), sources, FORM, padding, "cuda")
    assert torch.equal(found.symbols, expected.symbols)
    near(found.log_probabilities, expected.log_probabilities)


def test_weights_of_attention_are_those_of_the_cpu():
    model = lively(decoder="attention", padding="masked", reverse_source=True)
    expected = attention_weights(model, SOURCE, LENGTHS, INPUTS, start=0)
    twin = copy.deepcopy(model).cuda()
    near(attention_weights(twin, SOURCE.cuda(), LENGTHS, INPUTS.cuda(), start=0), expected)


@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_labels_are_those_of_the_cpu(pooling):
    options = labels_options(pooling=pooling, padding="masked", hidden_size=16)
    kind = kind_of(options)
    data = kind.made_up(options)
    model = kind.build(options, kind.form(data))
    initialise(model, "default", 0)
    expected = classify(model, data.sources["train"], "masked", "cpu")
    found = classify(model.cuda(), data.sources["train"], "masked", "cuda")
    assert torch.equal(found.labels, expected.labels)
    near(found.log_probabilities, expected.log_probabilities)


def test_perplexity_is_that_of_the_cpu():
    words, tokens = language_model(layers=2), torch.tensor(TOKENS)
    expected = perplexity(words, tokens, eos=0)
    twin = copy.deepcopy(words).cuda()
    for where in (tokens, tokens.cuda()):
        assert perplexity(twin, where, eos=0) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("bf16", [False, True])
def test_the_fused_loss_is_that_of_the_cpu(bf16):
    generator = torch.Generator().manual_seed(0)
    shapes = ((150, 10), (23, 10), (23,))
    parts = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    targets = torch.randint(23, (150,), generator=generator)
    expected = linear_cross_entropy(*parts, targets)
    on_gpu = [part.detach().cuda().requires_grad_() for part in parts]
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=bf16):
        found = linear_cross_entropy(*on_gpu, targets.cuda())
    rtol = 1e-2 if bf16 else 1e-3
    assert found.item() == pytest.approx(expected.item(), rel=rtol)
    gradients = torch.autograd.grad(expected, parts)
    for gradient, exact in zip(torch.autograd.grad(found, on_gpu), gradients, strict=True):
        assert (gradient.cpu() - exact).norm() < 2 * rtol * exact.norm()


def test_samples_are_reproducible():
    model = language_model().cuda().eval()
    first = torch.tensor([[0, 3]], device="cuda").expand(4, -1)
    one, same, other = (
        decode(
            model, first, None, 20, Sampling(), torch_generator(seed, "s", device="cuda")
        ).symbols
        for seed in (1, 1, 2)
    )
    assert one.shape == (4, 20)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def objective_of(options: VariantOptions, machine: Machine, data: object) -> Objective:
    kind = kind_of(options)
    model = kind.build(options, kind.form(data))
    initialise(model, "default", 0)
    return kind.objective(model.to(machine.device), data, options, 0, machine)


def learned(machine: Machine) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    options = pairs_options(
        decoder="attention",
        dropout=0.1,
        hidden_size=32,
        embedding_size=16,
        epochs=100,
        batch_size=10,
        optimizer="adam",
        learning_rate=0.01,
        clip=5.0,
    )
    objective = objective_of(options, machine, pairs(20))
    return train(objective, options, lambda message: None), objective.model.state_dict()


@pytest.mark.parametrize("machine", [CUDA, CUDA_BF16], ids=["float32", "bfloat16"])
def test_a_model_learns_twenty_pairs_by_heart_and_again_in_the_same_bits(machine):
    history, weights = learned(machine)
    assert history[-1]["valid_exact_match"] == 1.0
    again, same = learned(machine)
    assert again == history
    assert all(torch.equal(weights[name], same[name]) for name in weights)


HARD = {"dropout": 0.2, "epochs": 3, "optimizer": "adam", "learning_rate": 0.01}
OF_EACH_KIND = {
    "pairs": pairs_options(
        decoder="attention", padding="masked", reverse_source=True, teacher_forcing=0.5, **HARD
    ),
    "labels": labels_options(pooling="attention", padding="masked", bidirectional=True, **HARD),
    "corpus": corpus_options(layers=2, variational_dropout=True, **HARD),
}


@pytest.mark.parametrize("machine", [CUDA, CUDA_BF16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("options", OF_EACH_KIND.values(), ids=OF_EACH_KIND)
def test_a_training_goes_on_from_its_checkpoint_in_the_same_bits(options, machine, tmp_path: Path):
    data = kind_of(options).made_up(options)
    unbroken, broken = (objective_of(options, machine, data) for _ in range(2))
    expected = train(unbroken, options, lambda message: None)
    checkpoint = Checkpoint(tmp_path, 0, "key", every=None)
    with pytest.raises(Interrupted):
        train(broken, options, lambda message: None, checkpoint, EndsAfter(5))
    assert checkpoint.path.exists()
    taken_up = objective_of(options, machine, data)
    assert train(taken_up, options, lambda message: None, checkpoint) == expected
    parameters = zip(unbroken.model.parameters(), taken_up.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in parameters)


def test_sequences_of_many_lengths_cost_what_they_cost_on_the_cpu():
    options = pairs_options(decoder="attention", padding="masked", reverse_source=True)
    costs = [
        [loss.item() for loss in objective_of(options, machine, ragged()).losses(1)]
        for machine in (CUDA, CPU)
    ]
    assert costs[0] == pytest.approx(costs[1], rel=5e-3)


def test_truncated_bptt_costs_what_it_costs_on_the_cpu():
    options = corpus_options(time_steps=7, layers=2)
    model = language_model(layers=2)
    costs = [
        [
            loss.item()
            for loss in CorpusObjective(twin, corpus(TOKENS), options, 0, machine).losses(1)
        ]
        for twin, machine in ((copy.deepcopy(model).cuda(), CUDA), (model, CPU))
    ]
    assert costs[0] == pytest.approx(costs[1], rel=5e-3)


def test_auto_chooses_cuda():
    machine = choose(Compute())
    assert machine.device == "cuda"
    assert machine.environment()["device_name"] == torch.cuda.get_device_name()


@pytest.mark.parametrize("options", OF_EACH_KIND.values(), ids=OF_EACH_KIND)
def test_seeds_in_one_program_learn_what_they_learn_alone(options):
    data = kind_of(options).made_up(options)
    alone, together = (
        [Training(begin(options, data, seed, CUDA, torch.float64), options) for seed in (0, 1, 2)]
        for _ in range(2)
    )
    for training in alone:
        go_on([Seat(training, lambda message: None)], training, Interruption())
    train_together([Seat(training, lambda message: None) for training in together], Interruption())
    for one, other in zip(together, alone, strict=True):
        weights, expected = (of.objective.model.state_dict() for of in (one, other))
        torch.testing.assert_close(weights, expected, rtol=1e-5, atol=1e-8)
