import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.toys import few_examples, pairs_options
from unroll.options import parse_variant
from unroll.runs.subject import Subject


def subject(**options):
    return Subject(
        "root",
        "peeky",
        pairs_options(**{"seeds": [0, 1], **options}),
        "ab" * 32,
        "cd" * 32,
        {"device": "cpu", "precision": "float32", "threads": 1, "torch": "2.13.0"},
    )


OTHER_OPTIONS = {
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
    "decoder": "peeky",
    "bridge": "state",
    "reverse_source": True,
    "bidirectional": True,
    "padding": "masked",
}

OTHERS = {
    "study": replace(subject(), study="quick"),
    "variant": replace(subject(), variant="plain"),
    "data": replace(subject(), data_digest="ac" * 32),
    "code": replace(subject(), sources_digest="ce" * 32),
    **{
        f"environment {name}": replace(
            subject(), environment={**subject().environment, name: other}
        )
        for name, other in {"device": "cuda", "precision": "bfloat16", "threads": 2}.items()
    },
    "more environment": replace(subject(), environment={**subject().environment, "cpu": "x86"}),
    **{name: subject(**{name: value}) for name, value in OTHER_OPTIONS.items()},
}


def test_a_key_is_sixteen_hexadecimal_digits():
    assert re.fullmatch("[0-9a-f]{16}", subject().key())
    assert re.fullmatch("[0-9a-f]{16}", subject().key(0))


@pytest.mark.parametrize("seed", [None, 0])
def test_the_same_content_has_the_same_key(seed):
    turned = dict(reversed(subject().environment.items()))
    options = parse_variant("pairs", dict(reversed(subject().options.model_dump().items())))
    same = Subject("root", "peeky", options, "ab" * 32, "cd" * 32, turned)
    assert same.key(seed) == subject().key(seed)


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_every_change_of_what_determines_a_result_changes_the_key(other, seed):
    assert other.key(seed) != subject().key(seed)


def test_every_option_is_tried():
    assert OTHER_OPTIONS.keys() | {"seeds"} == subject().options.model_dump().keys()


def test_no_two_of_these_share_a_key():
    keys = {s.key(seed) for s in (subject(), *OTHERS.values()) for seed in (None, 0, 1)}
    assert len(keys) == 3 * (1 + len(OTHERS))


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
