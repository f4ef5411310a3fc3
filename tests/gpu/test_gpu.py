"""What must also hold on CUDA; all of it is skipped where there is none."""

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from models.toys import (
    CPU,
    START,
    corpus,
    corpus_options,
    language_model,
    lines,
    lively,
    pairs,
    pairs_options,
    seq2seq,
)
from unroll.options import Compute
from unroll.evaluation.perplexity import perplexity
from unroll.generation.answering import answer
from unroll.generation.sampling import Sampling
from unroll.generation.writing import write
from unroll.models.layers import set_generator
from unroll.models.linear_cross_entropy import linear_cross_entropy
from unroll.seeds import torch_generator
from unroll.training.loop import train
from unroll.training.machine import Machine, choose
from unroll.training.objectives import CorpusObjective, PairsObjective

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]

CUDA, CUDA_BF16 = Machine("cuda", "float32", 1), Machine("cuda", "bfloat16", 1)
SOURCE, INPUTS = lines("12  ", "5678", "903 "), lines("_21 ", "_876", "_309")
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
    model = seq2seq(cell=cell, decoder=decoder, padding=padding, layers=2, bidirectional=True)
    twin = copy.deepcopy(model).cuda()
    expected, found = model(SOURCE, INPUTS), twin(SOURCE.cuda(), INPUTS.cuda())
    near(found, expected)
    for logits in (expected, found):
        logits.square().mean().backward()
    for parameter, other in zip(model.parameters(), twin.parameters(), strict=True):
        near(other.grad, parameter.grad)


def test_answers_and_perplexity_are_those_of_the_cpu():
    model = lively(decoder="attention", padding="masked")
    expected = answer(model, SOURCE, START, 6).symbols
    found = answer(copy.deepcopy(model).cuda(), SOURCE.cuda(), START, 6).symbols
    assert torch.equal(found.cpu(), expected)
    words, tokens = language_model(layers=2), torch.tensor(TOKENS)
    expected_perplexity = perplexity(words, tokens, eos=0)
    found_perplexity = perplexity(copy.deepcopy(words).cuda(), tokens.cuda(), eos=0)
    assert found_perplexity == pytest.approx(expected_perplexity, rel=1e-3)


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
    model, prompt = language_model().cuda(), torch.tensor([0, 3], device="cuda")
    one, same, other = (
        write(model, prompt, 4, 20, Sampling(), torch_generator(seed, "s", device="cuda"))
        for seed in (1, 1, 2)
    )
    assert one.shape == (4, 20)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


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
    sizes = {"decoder": "attention", "dropout": 0.1, "hidden_size": 32, "embedding_size": 16}
    model = seq2seq(**sizes).to(machine.device)
    set_generator(model, torch_generator(0, "dropout", device=machine.device))
    objective = PairsObjective(model, pairs(20), options, 0, machine)
    return train(objective, options, lambda message: None), model.state_dict()


@pytest.mark.parametrize("machine", [CUDA, CUDA_BF16], ids=["float32", "bfloat16"])
def test_a_model_learns_twenty_pairs_by_heart_and_again_in_the_same_bits(machine):
    history, weights = learned(machine)
    assert history[-1]["valid_exact_match"] == 1.0
    again, same = learned(machine)
    assert again == history
    assert all(torch.equal(weights[name], same[name]) for name in weights)


def test_truncated_bptt_costs_what_it_costs_on_the_cpu():
    options = corpus_options(time_steps=7, layers=2)
    model = language_model(layers=2)
    costs = [
        [loss.item() for loss in CorpusObjective(twin, corpus(TOKENS), options, machine).losses()]
        for twin, machine in ((copy.deepcopy(model).cuda(), CUDA), (model, CPU))
    ]
    assert costs[0] == pytest.approx(costs[1], rel=5e-3)


def test_auto_chooses_cuda():
    machine = choose(Compute())
    assert machine.device == "cuda"
    assert machine.facts()["device_name"] == torch.cuda.get_device_name()
