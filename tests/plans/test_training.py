"""The plan of a variant's training: what it depends on, and what not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from models.toys import corpus_options, labels_options, pairs_options
from mutants.variants import COMMON, VARIANTS
from unroll.data import batches
from unroll.evaluation.accuracy import accuracy
from unroll.generation.answering import texts_of
from unroll.kinds import kind_of
from unroll.models.initialise import initialise
from unroll.options import (
    OPTIONS,
    Compute,
    VariantOptions,
    neutral_values,
    parse_resolved,
    resolved,
)
from unroll.plans import training
from unroll.plans.plan import plan_digest
from unroll.plans.training import in_parts, miniature, training_plan
from unroll.training import run
from unroll.training.loop import train
from unroll.training.sources import tokens_digest

Plan = dict[str, Any]


def variant(name: str, **changes: Any) -> VariantOptions:
    kind, options = VARIANTS[name]
    return OPTIONS[kind].model_validate({**options, **changes})


def plan_of(options: VariantOptions, **compute: Any) -> Plan:
    return training_plan(options, Compute(**compute))


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    return {name: plan_of(variant(name)) for name in VARIANTS}


def text(plan: Plan) -> str:
    return json.dumps(plan)


# The same


@pytest.mark.parametrize("name", ["attention-modern", "own-steps", "last-modern", "words-modern"])
def test_a_plan_is_the_same_twice(plans: dict[str, Plan], name: str) -> None:
    torch.manual_seed(7)  # nobody's randomness but that of the named generators is asked
    assert text(plan_of(variant(name))) == text(plans[name])


@pytest.mark.parametrize("name", ["plain", "last", "words"])
def test_the_order_of_a_params_file_is_no_part_of_it(plans: dict[str, Plan], name: str) -> None:
    kind, options = VARIANTS[name]
    other = OPTIONS[kind].model_validate(dict(reversed(options.items())))
    assert text(plan_of(other)) == text(plans[name])


@pytest.mark.parametrize("name", ["plain", "last", "words"])
def test_a_default_that_is_written_out_changes_nothing(plans: dict[str, Plan], name: str) -> None:
    options = variant(name)
    written = type(options).model_validate(options.model_dump())
    assert len(written.model_fields_set) > len(options.model_fields_set)
    assert text(plan_of(written)) == text(plans[name])


def test_seeds_stand_in_the_plan_but_not_in_its_digest(plans: dict[str, Plan]) -> None:
    more = plan_of(variant("plain", seeds=[0, 5]))
    assert more["seeds"] == [0, 5]
    assert plan_digest(more) == plan_digest(plans["plain"])
    assert "seeds" not in more["options"]


def test_how_many_workers_there_are_is_no_part_of_it(plans: dict[str, Plan]) -> None:
    assert text(plan_of(variant("plain"), workers=3)) == text(plans["plain"])


@pytest.mark.parametrize(
    "change", [{"device": "cpu"}, {"precision": "bfloat16"}, {"threads": 2}], ids=str
)
def test_what_decides_the_bits_is_part_of_it(
    plans: dict[str, Plan], change: dict[str, Any]
) -> None:
    other = plan_of(variant("plain"), **change)
    assert plan_digest(other) != plan_digest(plans["plain"])
    assert other["behaviour"] == plans["plain"]["behaviour"]


# Not the same


def test_all_variants_behave_in_ways_of_their_own(plans: dict[str, Plan]) -> None:
    behaviour = {name: text(plan["behaviour"]) for name, plan in plans.items()}
    assert len(set(behaviour.values())) == len(behaviour)


CHANGES: dict[str, list[dict[str, Any]]] = {
    "modern": [
        {"cell": "gru"},
        {"cell": "rnn"},
        {"layers": 3},
        {"dropout": 0.4},
        {"init": "book"},
        {"optimizer": "adam"},
        {"optimizer": "sgd"},
        {"learning_rate": 0.02},
        {"weight_decay": 0.2},
        {"schedule": "constant"},
        {"clip": None},
        {"clip": 0.5},
        {"reverse_source": True},
        {"bidirectional": True},
        {"padding": "plain"},
        {"decoder": "peeky"},
        {"decoder": "attention"},
        {"bridge": "hidden"},
        {"teacher_forcing": 0.5},
        {"teacher_forcing": 0.5, "teacher_forcing_by": "sequence"},
        {"teacher_forcing": 0.0},
    ],
    "pooled-masked": [{"pooling": "last"}, {"padding": "plain"}, {"reverse_source": False}],
    "words-modern": [
        {"tie_weights": False},
        {"skip_connections": False},
        {"variational_dropout": False},
    ],
}


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, of in CHANGES.items() for change in of], ids=str
)
def test_each_option_shows_in_the_behaviour(
    plans: dict[str, Plan], name: str, change: dict[str, Any]
) -> None:
    assert plan_of(variant(name, **change))["behaviour"] != plans[name]["behaviour"]


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 3},
        {"batch_size": 5},
        {"hidden_size": 5},
        {"embedding_size": 5},
        {"match_parameters": "other"},
        {"learning_rate": 3.0},
        {"task": "other"},
    ],
    ids=str,
)
def test_what_a_toy_cannot_show_stands_among_the_options(
    plans: dict[str, Plan], change: dict[str, Any]
) -> None:
    other = plan_of(variant("plain", **change))
    assert plan_digest(other) != plan_digest(plans["plain"])
    for key, value in change.items():
        assert other["options"][key] == value


@pytest.mark.parametrize("name", ["plain", "words"])
def test_another_default_is_another_plan(plans: dict[str, Plan], name: str) -> None:
    known = type(variant(name))

    class Later(known):  # type: ignore[misc, valid-type]
        weight_decay: float = 0.1

    kind, options = VARIANTS[name]
    assert kind == Later.kind
    later = plan_of(Later.model_validate(options))
    assert later["options"]["weight_decay"] == 0.1
    assert plan_digest(later) != plan_digest(plans[name])
    # Who wrote down what was the default is not concerned.
    said = plan_of(Later.model_validate({**options, "weight_decay": 0.0}))
    assert text(said) == text(plans[name])


# Options that came later


@pytest.mark.parametrize("kind", OPTIONS)
def test_options_at_which_nothing_is_done_are_left_out(kind: str) -> None:
    common = {**COMMON, "time_steps": 5} if kind == "corpus" else COMMON
    options, neutral = OPTIONS[kind], neutral_values(OPTIONS[kind])
    plan = plan_of(options.model_validate(common))
    assert not neutral.keys() & plan["options"].keys()
    written = plan_of(options.model_validate({**common, **neutral}))
    assert text(written) == text(plan)


def test_a_default_is_neutral_where_nobody_asks_for_it() -> None:
    for options in OPTIONS.values():
        for name, value in neutral_values(options).items():
            assert options.model_fields[name].default == value


def test_options_that_do_something_are_named() -> None:
    plan = plan_of(variant("own-sequences"))
    assert plan["options"]["teacher_forcing"] == 0.5
    assert plan["options"]["teacher_forcing_by"] == "sequence"


@pytest.mark.parametrize("name", VARIANTS)
def test_resolved_options_are_read_as_what_they_were(name: str) -> None:
    options = variant(name)
    written = json.loads(json.dumps(resolved(options)))
    assert parse_resolved(options.kind, written) == options


def test_a_plan_has_the_resolved_options(plans: dict[str, Plan]) -> None:
    for name, plan in plans.items():
        wanted = resolved(variant(name))
        assert {**plan["options"], "seeds": plan["seeds"]} == wanted


# What is in it


def test_all_numbers_are_rounded(plans: dict[str, Plan]) -> None:
    for plan in plans.values():
        for number in _numbers(plan["behaviour"]):
            assert float(f"{number:.6g}") == number


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, float):
        yield value


def test_a_toy_is_as_its_variant_but_small() -> None:
    options = variant("tied-book", layers=3, epochs=40, batch_size=100)
    toy = miniature(options)
    sizes = {"hidden_size", "embedding_size", "epochs", "batch_size", "time_steps", "learning_rate"}
    assert toy.model_dump(exclude=sizes) == options.model_dump(exclude=sizes)
    assert toy.hidden_size == toy.embedding_size == 8  # tied
    assert type(toy).model_validate(toy.model_dump()) == toy  # it is one that a file may hold


def test_what_a_cpu_cannot_show_is_there_by_its_tokens(plans: dict[str, Plan]) -> None:
    machine = {"training/machine.py": tokens_digest("training/machine.py")[:16]}
    assert plans["plain"]["unseen"] == machine
    assert plans["last"]["unseen"] == machine
    assert plans["words"]["unseen"].keys() - machine.keys() == {"models/linear_cross_entropy.py"}


def test_the_version_of_pytorch_is_there_without_its_build(plans: dict[str, Plan]) -> None:
    assert plans["plain"]["torch"] == torch.__version__.split("+")[0]


def test_recurrent_layers_read_and_affine_ones_write_bfloat16(plans: dict[str, Plan]) -> None:
    found = plans["attention-modern"]["behaviour"]["bfloat16"]
    assert found["decoder.affine writes"] == ["torch.bfloat16"]
    assert found["loss"] == ["torch.float32"]
    layers = [name for name in found if name.endswith(" reads")]
    assert sorted(layers) == [
        f"{side}.recurrent.layers.{i} reads" for side in ("decoder", "encoder") for i in (0, 1)
    ]


def test_a_plan_leaves_the_settings_of_pytorch_alone() -> None:
    before = (torch.get_num_threads(), torch.backends.mkldnn.enabled, torch.get_default_dtype())
    plan_of(variant("words-modern"))
    after = (torch.get_num_threads(), torch.backends.mkldnn.enabled, torch.get_default_dtype())
    assert after == before


# Broken off and taken up again


def test_every_variant_is_resumed_to_the_same(plans: dict[str, Plan]) -> None:
    assert {plan["behaviour"]["resumed"] for plan in plans.values()} == {"to the same"}


def _choices(**values: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: st.sampled_from(of) for name, of in values.items()})


EVERY = {
    "cell": ["lstm", "gru", "rnn"],
    "layers": [1, 2],
    "dropout": [0.0, 0.5],
    "init": ["book", "default", "small"],
    "optimizer": ["sgd", "adam", "adamw", "muon"],
    "learning_rate": [0.001, 20.0],
    "weight_decay": [0.0, 0.1],
    "schedule": ["constant", "one_cycle", "cosine", "on_plateau"],
    "keep": ["last", "best", "average_on_plateau"],
    "clip": [None, 0.25],
}
READS = {
    "reverse_source": [False, True],
    "bidirectional": [False, True],
    "padding": ["plain", "masked"],
}
COMBINATIONS = st.one_of(
    _choices(
        **EVERY,
        **READS,
        decoder=["plain", "peeky", "attention"],
        bridge=["hidden", "state"],
        teacher_forcing=[0.0, 0.5, 1.0],
        teacher_forcing_by=["step", "sequence"],
    ).map(lambda of: pairs_options(**of)),
    _choices(**EVERY, **READS, pooling=["last", "attention"]).map(lambda of: labels_options(**of)),
    _choices(
        **EVERY,
        tie_weights=[False, True],
        skip_connections=[False, True],
        variational_dropout=[False, True],
        weight_drop=[0.0, 0.5],
        embedding_dropout=[0.0, 0.1],
        slowness_penalty=[0.0, 1.0],
        random_time_steps=[False, True],
        softmaxes=[1, 2],
    ).map(lambda of: corpus_options(**of)),
)


@settings(max_examples=40)
@given(COMBINATIONS)
def test_every_combination_of_options_is_resumed_to_the_same(options: VariantOptions) -> None:
    assert training._trained(miniature(options))["resumed"] == "to the same"


def test_a_resume_to_something_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = train

    def forgetful(objective: Any, *others: Any) -> Any:
        resumed = len(others) == 3  # with a checkpoint, and without an interruption
        if resumed:
            objective.seed += 1  # another order of the data
        return real(objective, *others)

    monkeypatch.setattr(training, "train", forgetful)
    found = training._trained(miniature(variant("plain")))["resumed"]
    assert found.keys() == {"history", "weights"}


# Bits


# Optimisers count their steps in float32; and evenly drawn numbers have no rounding.
WHOLE = {"aten.zeros.default", "aten.rand.generator"}
COUNTS = {"adam": "aten._fused_adam_.default", "rmsprop": "aten.add_.Tensor"}


class Types(TorchDispatchMode):
    """Notes the types of the floating numbers that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[torch.dtype, set[str]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else [made]:
            if isinstance(one, torch.Tensor) and one.is_floating_point():
                self.seen.setdefault(one.dtype, set()).add(str(func))
        return made


@pytest.mark.parametrize("name", VARIANTS)
def test_no_number_of_a_training_is_less_than_float64(name: str) -> None:
    # A float32 tanh is not the same on every processor.
    toy = miniature(variant(name))
    objective = training._objective(toy)
    with Types() as types:
        train(objective, toy, lambda message: None)
    less = {str(kind): made for kind, made in types.seen.items() if kind != torch.float64}
    assert set().union(*less.values()) <= {*WHOLE, COUNTS.get(toy.optimizer)}, less


@contextmanager
def shaken(share: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have first weights that are off by up to a share, as those of another processor may be."""

    def draw(model: nn.Module, scheme: str, seed: int) -> None:
        initialise(model, scheme, seed)
        random = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in model.parameters():
                off = torch.rand(parameter.shape, dtype=torch.float64, generator=random)
                parameter.mul_(1 + share * (2 * off - 1))

    with monkeypatch.context() as patched:
        patched.setattr(run, "initialise", draw)
        yield


def test_a_plan_does_not_know_the_last_bits(
    plans: dict[str, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    with shaken(1e-13, monkeypatch):
        for name, plan in plans.items():
            assert plan_of(variant(name)) == plan, name


def test_but_it_knows_more_than_the_first_ones(
    plans: dict[str, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    with shaken(1e-4, monkeypatch):
        for name in ("plain", "last", "words"):
            assert plan_of(variant(name)) != plans[name], name


def test_a_plan_begins_in_float64_as_a_training_does() -> None:
    toy = miniature(variant("attention-modern"))
    theirs = run.begin(toy, kind_of(toy).made_up(toy), training.SEED, training.MACHINE).model
    for (name, ours), (other, their) in zip(
        training._objective(toy).model.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert (name, ours.dtype, their.dtype) == (other, torch.float64, torch.float32)
        assert torch.equal(ours.detach().float(), their.detach())


# What is scored


@pytest.mark.parametrize("name", ["modern", "book", "attention-modern"])
def test_answers_are_lively_and_some_are_right(plans: dict[str, Plan], name: str) -> None:
    toy = miniature(variant(name))
    kind, model = kind_of(toy), training.lively(toy)
    data = kind.half_right(kind.made_up(toy), model, toy)
    found = accuracy(model, data, "valid", toy.padding, "cpu")
    texts = texts_of(found.written.symbols, data.form, toy.padding)
    assert len(set(texts)) > 1
    assert found.right[::2].all()
    assert 0 < found.right.mean() < 1
    assert plans[name]["behaviour"]["validated"]["valid_exact_match"] == found.right.mean()


def test_what_is_scored_is_scored_in_parts() -> None:
    before = batches.LARGEST
    with in_parts():
        assert batches.rows_at_once(7, 9) == 2 < 5
    assert before == batches.LARGEST
