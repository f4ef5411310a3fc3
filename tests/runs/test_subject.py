import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.toys import corpus_options, few_examples, labels_options, pairs_options
from unroll.options import parse_resolved
from unroll.runs.subject import Subject

MAKE = {"pairs": pairs_options, "corpus": corpus_options, "labels": labels_options}


def subject(kind="pairs", **options):
    return Subject(
        "root",
        "peeky",
        MAKE[kind](**{"seeds": [0, 1], **options}),
        "ab" * 32,
        "cd" * 32,
        {"device": "cpu", "precision": "float32", "threads": 1, "torch": "2.13.0"},
    )


OF_ALL = {
    "task": "other",
    "cell": "gru",
    "layers": 2,
    "embedding_size": 5,
    "hidden_size": 6,
    "match_parameters": "plain",
    "dropout": 0.5,
    "init": "default",
    "epochs": 3,
    "batch_size": 5,
    "optimizer": "adam",
    "learning_rate": 0.2,
    "weight_decay": 0.1,
    "schedule": "one_cycle",
    "clip": 1.0,
    "keep": "best",
    "averaged_epochs": 2,
}
OF_ENCODERS = {
    "reverse_source": True,
    "bidirectional": True,
    "padding": "masked",
    "embedding": "one_hot",
    "double_source": True,
}
NEEDED = {
    "attention": {"decoder": "attention"},
    "attention_query": {"decoder": "attention"},
    "averaged_epochs": {"keep": "average"},
}
OTHER_OPTIONS = {
    "pairs": {
        **OF_ALL,
        **OF_ENCODERS,
        "decoder": "attention",
        "attention": "general",
        "attention_query": "before",
        "loss": "sequence",
        "label_smoothing": 0.1,
        "with_replacement": True,
        "curriculum": "mixed",
        "bridge": "state",
        "teacher_forcing": 0.5,
        "teacher_forcing_by": "sequence",
    },
    "labels": {**OF_ALL, **OF_ENCODERS, "pooling": "attention"},
    "corpus": {
        **OF_ALL,
        "time_steps": 7,
        "tie_weights": True,
        "skip_connections": True,
        "variational_dropout": True,
        "input_dropout": 0.1,
        "output_dropout": 0.1,
        "embedding_dropout": 0.1,
        "weight_drop": 0.1,
        "activation_penalty": 1.0,
        "slowness_penalty": 1.0,
        "random_time_steps": True,
        "mogrifier_rounds": 3,
        "softmaxes": 2,
        "evaluation_batch_size": 10,
    },
}

OTHERS = {
    "study": replace(subject(), study="quick"),
    "variant": replace(subject(), variant="plain"),
    "data": replace(subject(), data_digest="ac" * 32),
    "plan": replace(subject(), plan="ce" * 32),
    **{
        f"machine {name}": replace(subject(), machine={**subject().machine, name: other})
        for name, other in {"device": "cuda", "precision": "bfloat16", "threads": 2}.items()
    },
    "more of the machine": replace(subject(), machine={**subject().machine, "cpu": "x86"}),
    **{
        f"{kind} {name}": subject(kind, **{name: value}, **NEEDED.get(name, {}))
        for kind, options in OTHER_OPTIONS.items()
        for name, value in options.items()
    },
}


def test_a_key_is_sixteen_hexadecimal_digits():
    assert re.fullmatch("[0-9a-f]{16}", subject().key())
    assert re.fullmatch("[0-9a-f]{16}", subject().key(0))


@pytest.mark.parametrize("seed", [None, 0])
def test_the_same_content_has_the_same_key(seed):
    turned = dict(reversed(subject().machine.items()))
    options = parse_resolved("pairs", dict(reversed(subject().options.model_dump().items())))
    same = Subject("root", "peeky", options, "ab" * 32, "cd" * 32, turned)
    assert same.key(seed) == subject().key(seed)


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_every_change_of_what_determines_a_result_changes_the_key(other, seed):
    assert other.key(seed) != subject(other.options.kind).key(seed)


# Replies and captions have the options of pairs: what tells them apart is their plans.
@pytest.mark.parametrize("kind", MAKE)
def test_every_option_is_tried(kind):
    assert OTHER_OPTIONS[kind].keys() | {"seeds"} == subject(kind).options.model_dump().keys()


def test_no_two_of_these_share_a_key():
    all_of_them = [*map(subject, MAKE), *OTHERS.values()]
    keys = {s.key(seed) for s in all_of_them for seed in (None, 0, 1)}
    assert len(keys) == 3 * len(all_of_them)


@few_examples
@given(
    seed=st.integers(0, 100),
    one=st.lists(st.integers(0, 100), min_size=1, unique=True),
    other=st.lists(st.integers(0, 100), min_size=1, unique=True),
)
def test_the_key_of_a_seed_does_not_depend_on_the_other_seeds(seed, one, other):
    assert subject(seeds=one).key(seed) == subject(seeds=other).key(seed)
    assert (subject(seeds=one).key() == subject(seeds=other).key()) == (one == other)


def test_the_variant_of_a_single_seed_is_not_the_run_of_that_seed():
    assert subject(seeds=[3]).key() != subject(seeds=[3]).key(3)
