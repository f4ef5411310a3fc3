"""Params files that are damaged or made up: refused with a message, or a study that holds."""

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from fuzz import damage
from fuzz.trial import attempt, many_examples, numbered
from unroll import study
from unroll.errors import UserError
from unroll.options import OPTIONS, PairsOptions, parse_resolved, resolved
from unroll.study import Study

PROJECT = Path(__file__).parents[2]
FILES = [PROJECT / "params.yaml", PROJECT / "pipeline" / "quick" / "params.yaml"]


@pytest.fixture(scope="module", autouse=True)
def somewhere(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("study"))
        yield


def load(content: bytes | dict[str, Any]) -> Study:
    with Path("params.yaml").open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            YAML(typ="safe").dump(content, file)
    return study.load()


def as_written(study: Study) -> dict[str, Any]:
    """Return the sections of a params file that says all that a study holds."""
    sections = {
        "compute": study.compute.model_dump(),
        "tasks": {n: {"data": task.options.model_dump()} for n, task in study.tasks.items()},
        "variants": {name: options.model_dump() for name, options in study.variants.items()},
        "comparison": study.comparison.model_dump(),
        "checkpoint": study.checkpoint.model_dump(),
    }
    return {**sections, **({"generate": study.generate.model_dump()} if study.generate else {})}


def check_study(study: Study) -> None:
    """Check that values are in range, that names lead somewhere, and that a round trip is one."""
    for name, options in study.variants.items():
        task = study.task(options.task)
        assert type(options) is OPTIONS[task.kind] and study.kind_of(name).name == task.kind
        assert parse_resolved(task.kind, resolved(options)) == options
        json.dumps(resolved(options), allow_nan=False)  # as plans and records keep it
        seeds, rate = options.seeds, options.learning_rate
        assert len(set(seeds)) == len(seeds) > 0
        assert all(type(seed) is int and 0 <= seed < 2**63 for seed in seeds)
        sizes = [options.embedding_size, options.hidden_size, options.layers, options.epochs]
        assert all(type(size) is int and size > 0 for size in [*sizes, options.batch_size])
        assert math.isfinite(rate) and rate > 0 and math.isfinite(options.weight_decay)
        assert 0 <= options.dropout < 1 and (options.clip is None or options.clip > 0)
        if isinstance(options, PairsOptions):
            assert 0 <= options.teacher_forcing <= 1
        if options.match_parameters is not None:
            matched = study.variant(options.match_parameters)
            assert matched.task == options.task and matched.match_parameters is None
        reference = study.reference(name)
        assert reference is None or study.variant(reference).task == options.task
        # Names are names of files: none may lead out of the study's folder.
        for path in (study.model(name), study.size(name), study.plan("train", name)):
            assert path.resolve().is_relative_to(study.data.resolve())
    if study.generate:
        assert math.isfinite(study.generate.temperature) and 0 < study.generate.top_p <= 1
        assert study.generate.length > 0 and study.generate.prompts
    assert 0.5 < study.comparison.confidence < 1
    written = as_written(study)
    assert as_written(load(written)) == written


def test_damaged_params_files():
    wholes = [path.read_text() for path in FILES]
    for path in FILES:
        check_study(load(path.read_bytes()))
    for random in numbered("params files"):
        whole = random.choice(wholes)
        if random.random() < 0.8:
            changed = damage.text(whole, random).encode()
        else:
            changed = damage.content(whole.encode(), random)
        attempt("params files", changed, partial(load, changed), check_study, (UserError,))


# Sections made up: most values are such as a key may take, some are anything.

symbols = st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029")
texts = st.text(symbols, max_size=12)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)


def of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


counts = st.integers(1, 50)
fractions = st.floats(0, 1, exclude_min=True)
names = st.sampled_from(["a", "b", "c", "peeky", "a.b"])
seeds = st.lists(st.integers(0, 9) | of(2**63 - 1, 2**63), min_size=1, max_size=3)


def section(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return a section with its keys, at times another key, or another value of one of them."""
    whole = st.fixed_dictionaries(required, optional=optional)
    keys = of(*required, *optional, "x", "")
    changed = st.builds(lambda whole, key, value: {**whole, key: value}, whole, keys, anything)
    return st.integers(0, 19).flatmap(lambda n: changed if n == 7 else whole)


LEARNED = {
    "seeds": seeds,
    "embedding_size": of(4, 8),
    "hidden_size": of(4, 7, 8),
    "epochs": counts,
    "batch_size": counts,
    "optimizer": of("sgd", "adam", "adamw", "muon"),
    "learning_rate": st.floats(1e-9, 10) | of(1, 1e-320),
}
options = {
    "cell": of("lstm", "gru", "rnn"),
    "layers": counts,
    "match_parameters": st.none() | names,
    "dropout": fractions,
    "init": of("book", "default", "small"),
    "weight_decay": fractions,
    "schedule": of("constant", "one_cycle", "cosine", "on_plateau"),
    "clip": st.none() | fractions,
    "keep": of("last", "best", "average", "average_on_plateau"),
    "averaged_epochs": st.none() | counts,
}
of_pairs = {
    "decoder": of("plain", "peeky", "attention"),
    "bridge": of("hidden", "state"),
    "reverse_source": st.booleans(),
    "bidirectional": st.booleans(),
    "padding": of("plain", "masked"),
    "teacher_forcing": fractions,
    "teacher_forcing_by": of("step", "sequence"),
}
of_labels = {"pooling": of("last", "attention"), "padding": of("plain", "masked")}
of_corpus = {
    "time_steps": counts,
    "tie_weights": st.booleans(),
    "skip_connections": st.booleans(),
    "bidirectional": st.booleans(),
    "input_dropout": st.none() | fractions,
    "weight_drop": fractions,
    "slowness_penalty": fractions,
    "random_time_steps": st.booleans(),
    "mogrifier_rounds": st.integers(-1, 21),
    "softmaxes": counts,
    "evaluation_batch_size": counts,
    "encoder": st.sampled_from(["small", "pretrained"]),
}
additions = section(
    {"kind": of("addition")}, {"max_digits": st.integers(1, 9), "train": counts, "source": texts}
)
written = section(
    {"kind": of("text"), "source": of("ptb", "grammar", "")}, {"sentences": of(300, 1)}
)
sums = section({"data": additions, "defaults": section(LEARNED, {**options, **of_pairs})}, {})
prose = section(
    {"data": written, "defaults": section({**LEARNED, "time_steps": counts}, options)}, {}
)
brackets = section({"kind": of("brackets")}, {"longest": of(2, 9, 501), "train": counts})
judged = section({"data": brackets, "defaults": section(LEARNED, {**options, **of_labels})}, {})
params = section(
    {
        "tasks": section({"sums": sums}, {"prose": prose, "judged": judged}),
        "variants": st.dictionaries(
            names,
            section({"task": of("sums")}, {**options, **of_pairs})
            | section({"task": of("prose", "sums")}, {**options, **of_corpus})
            | section({"task": of("judged")}, {**options, **of_labels}),
            min_size=1,
            max_size=3,
        ),
    },
    {
        "compute": section(
            {}, {"device": of("cpu", "auto"), "workers": of("auto", 1), "threads": counts}
        ),
        "generate": section(
            {"prompts": st.lists(texts, min_size=1, max_size=2)},
            {"length": counts, "temperature": st.floats(0, 9), "top_p": fractions, "seed": counts},
        ),
        "comparison": section(
            {},
            {
                "references": st.dictionaries(names, names, max_size=1),
                "confidence": of(0.9, 0.99),
                "questions": st.dictionaries(names, texts, max_size=1),
            },
        ),
        "checkpoint": section({}, {"every": st.none() | counts}),
    },
)


@many_examples
@given(content=params)
def test_params_that_are_made_up(content):
    attempt("params made up", content, lambda: load(content), check_study, (UserError,))
