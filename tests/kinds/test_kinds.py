"""What every kind can do with its own data, from the first file to the last answer."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models.toys import COMMON, CPU, pairs_options, trained
from unroll import kinds, tasks
from unroll.data.pairs import Texts
from unroll.data.sequences import SPLITS, encode
from unroll.errors import DataError, UserError
from unroll.evaluation.breakdown import COLUMNS
from unroll.evaluation.items import outcomes
from unroll.generation.answering import answer
from unroll.generation.writing import Continuation
from unroll.kinds.kind import Kind
from unroll.models.initialise import initialise
from unroll.options import OPTIONS, Generate, VariantOptions
from unroll.plans.evaluation import MadeUp
from unroll.plans.training import lively, miniature
from unroll.runs.model import TrainedModel

SOURCES = Path(kinds.__file__).parents[1]
NAMES = sorted(OPTIONS)
OF_ONE_KIND = {"corpus": {"time_steps": 5}}


def options(name: str, **changes) -> VariantOptions:
    section = {**COMMON, **OF_ONE_KIND.get(name, {}), **changes}
    return OPTIONS[name].model_validate(section)


@pytest.fixture(params=NAMES)
def kind(request) -> Kind:
    return kinds.named(request.param)


def model_of(kind: Kind, **changes):
    chosen = options(kind.name, **changes)
    model = kind.build(chosen, kind.form(kind.made_up(chosen)))
    initialise(model, "default", 0)
    return model


def trained_of(kind: Kind) -> TrainedModel:
    chosen = options(kind.name)
    form = kind.form(kind.made_up(chosen))
    return trained(model_of(kind), chosen, form, MadeUp(kind.name))


def arrays(data) -> dict[str, np.ndarray]:
    """Return all arrays of prepared data by their places."""
    found = {}
    for field, of in vars(data).items():
        for split in SPLITS if isinstance(of, dict) and set(of) == set(SPLITS) else ():
            one = of[split]
            if isinstance(one, Texts):
                continue
            parts = {"": one} if isinstance(one, np.ndarray) else vars(one)
            found |= {f"{split} {field} {name}": np.asarray(x) for name, x in parts.items()}
    return found


# Names


def test_each_file_of_the_folder_is_a_kind_and_each_kind_has_options():
    other = {"__init__", "kind", "made_up"}
    assert {path.stem for path in (SOURCES / "kinds").glob("*.py")} - other == set(NAMES)


def test_a_kind_is_found_by_its_name_and_by_its_options(kind):
    assert kinds.named(kind.name) is kind
    assert kinds.kind_of(options(kind.name)) is kind
    assert kind.metrics
    assert kind.main is kind.metrics[0]


def test_every_task_is_learned_by_a_kind():
    assert {tasks.named(name).kind for name in tasks.names()} <= set(NAMES)


def test_scores_are_named_by_split_and_metric(kind):
    assert kind.deciding == f"test_{kind.main.name}"
    assert kind.choosing == f"valid_{kind.main.name}"
    for metric in kind.metrics:
        for split in ("valid", "test"):
            assert kind.metric(f"{split}_{metric.name}") is metric
    name = kind.main.name
    for wrong in (name, f"train_{name}", f"test_{name}_", "test_nothing", "test", "", f"_{name}"):
        with pytest.raises(KeyError):
            kind.metric(wrong)


def test_what_no_plan_can_show_are_files_that_there_are(kind):
    assert kind.unseen
    assert all((SOURCES / name).is_file() for name in kind.unseen)


def test_names_are_read_without_pytorch():
    """Reading options and metrics must not wait for it."""
    code = (
        "import sys; from unroll import kinds\n"
        f"for name in {NAMES}: kinds.named(name).metrics\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# Data


def test_made_up_data_are_always_the_same_and_differ_by_split(kind):
    one, other = (arrays(kind.made_up(options(kind.name))) for _ in range(2))
    assert one
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])
    shapes = {split: {x.shape for n, x in one.items() if n.startswith(split)} for split in SPLITS}
    assert shapes["train"] != shapes["valid"] != shapes["test"]


def test_what_is_saved_is_loaded(kind, tmp_path):
    data = kind.made_up(options(kind.name))
    kind.save(data, tmp_path / "data")
    found = kind.load(tmp_path / "data")
    assert kind.form(found) == kind.form(data)
    saved, loaded = arrays(data), arrays(found)
    assert saved.keys() == loaded.keys()
    for name, array in saved.items():
        np.testing.assert_array_equal(loaded[name], array)
    kind.save(found, tmp_path / "data")  # while its arrays are mapped from there
    assert kind.form(kind.load(tmp_path / "data")) == kind.form(data)


def test_data_of_another_kind_are_refused(kind, tmp_path):
    alike = {"pairs", "replies"} if kind.name in ("pairs", "replies") else {kind.name}
    other = kinds.named(next(name for name in NAMES if name not in alike))
    other.save(other.made_up(options(other.name)), tmp_path / "data")
    kept_as = "pairs" if kind.name == "replies" else kind.name
    with pytest.raises(DataError, match=f"does not hold data of the kind {kept_as}"):
        kind.load(tmp_path / "data")


def test_a_form_is_all_that_a_model_must_know(kind):
    form = kind.form(kind.made_up(options(kind.name)))
    assert type(form) is kind.Form
    again = kind.Form.model_validate(form.model_dump(exclude_none=True))
    assert again == form
    shapes = [
        {name: p.shape for name, p in kind.build(options(kind.name), of).named_parameters()}
        for of in (form, again)
    ]
    assert shapes[0] == shapes[1]


def test_questions_are_the_texts_that_must_not_stand_in_two_splits(kind):
    data = kind.made_up(options(kind.name))
    found = kind.questions(data)
    if kind.continues:
        assert found == {}
        return
    assert found == {split: data.questions(split) for split in SPLITS}
    form = "[a-z]+ [0-9]+" if kind.sees else "[a-f]{1,6}"  # the name of a picture, or a text
    assert all(re.fullmatch(form, text) for of in found.values() for text in of)


# Models


def test_a_model_of_one_seed_is_the_same_each_time(kind):
    one, other = (model_of(kind) for _ in range(2))
    for (name, p), q in zip(one.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q), name
    assert sum(p.numel() for p in one.parameters()) > 0


def test_training_has_a_finite_loss_for_each_step_that_reaches_the_weights(kind):
    chosen, model = options(kind.name), model_of(kind)
    objective = kind.objective(model, kind.made_up(chosen), chosen, 0, CPU)
    losses = []
    for loss in objective.losses(1):
        model.zero_grad()
        loss.backward()
        losses.append(loss.item())
    assert len(losses) == objective.steps > 1
    assert np.isfinite(losses).all()
    assert min(losses) > 0
    reached = [n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()]
    assert reached
    validated = set(objective.validate())
    assert kind.choosing in validated <= {f"valid_{metric.name}" for metric in kind.metrics}


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_an_evaluation_scores_the_same_metrics_on_both_splits(kind, precision):
    chosen, model = options(kind.name), model_of(kind).to(precision)
    data = kind.made_up(chosen)
    found = kind.evaluate(model, data, chosen, MadeUp(kind.name), "cpu")
    assert kind.main.name in found.items
    assert set(found.scores) == {f"{s}_{name}" for s in ("valid", "test") for name in found.items}
    for score, value in found.scores.items():
        metric = kind.metric(score)
        assert metric.clip(value) == value
    assert list(found.breakdown.columns) == COLUMNS
    assert len(found.breakdown)


def test_the_items_of_a_metric_are_on_its_scale(kind):
    """Their mean leads back to the score, and there are some of the metric that decides."""
    chosen = options(kind.name)
    found = kind.evaluate(model_of(kind), kind.made_up(chosen), chosen, MadeUp(kind.name), "cpu")
    assert kind.main.name in found.items
    for name, item in found.items.items():
        scale = kind.metric(f"test_{name}").scale
        mean = scale.back(outcomes([item]).mean())
        assert mean == pytest.approx(found.scores[f"test_{name}"], rel=1e-9)


# Answers


def test_a_model_says_something_to_its_example(kind):
    model = trained_of(kind)
    example = kind.example(model.task, model.form)
    assert example
    request = kind.Request()
    rows = kind.answer(model, [example, example], request)
    assert len(rows) == 2
    for text, log_probability in rows:
        assert isinstance(text, str)
        assert type(log_probability) is float
        assert log_probability < 0
    assert kind.answer(model, [], request) == []


def test_a_task_that_has_an_example_of_its_own_gives_it():
    for data in ({"kind": "addition", "max_digits": 2}, {"kind": "brackets", "longest": 6}):
        found = tasks.named(data["kind"])
        task = found(found.Options.model_validate(data))
        assert kinds.named(task.kind).example(task, None) == task.example != ""


def test_a_text_that_cannot_be_read_is_refused(kind):
    model = trained_of(kind)
    with pytest.raises(UserError, match="row 1 is no picture" if kind.sees else "Ω"):
        kind.answer(model, ["Ω"], kind.Request())


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_k": -1}, {"seed": -1},
     {"temperature": float("nan")}, {"more": 1}, {"seed": "1"}],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused(kind, wrong):
    with pytest.raises(ValidationError):
        kind.Request(**wrong)


def test_only_what_goes_on_with_a_text_writes(kind):
    model = trained_of(kind)
    asked = Generate(prompts=["a", "b c"], samples=3, length=4)
    written = kind.write(model, asked)
    if not kind.continues:
        assert written == {}
        return
    assert list(written) == ["a", "b c"]
    for prompt, found in written.items():
        assert len(found) == 3
        assert all(isinstance(one, Continuation) for one in found)
        assert all(one.text.startswith(prompt) and len(one.words) == 4 for one in found)
        assert all(one.log_probability < 0 for one in found)


def test_only_what_goes_on_with_a_text_goes_on_from_where_it_stood(kind):
    model, request = trained_of(kind), kind.Request()
    if not kind.continues:
        with pytest.raises(UserError, match="answers questions; it does not write"):
            kind.go_on(model, "a", request)
        return
    one = kind.go_on(model, "a", request)
    more = kind.go_on(model, "", request, one.standing)
    whole = kind.go_on(model, "a", request.model_copy(update={"max_length": 120}))
    assert one.text + more.text == whole.text
    assert (one.text, one.log_probability) == kind.answer(model, ["a"], request)[0]


def test_pairs_are_answered_with_symbols_of_the_target():
    kind = kinds.named("pairs")
    model = trained_of(kind)
    texts = ["a", "bcd", "ffff"]
    rows = kind.answer(model, texts, kind.Request())
    assert len(rows) == 3
    assert all(set(text) <= set("uvwxyz") or "<" in text for text, _ in rows)
    one_by_one = [kind.answer(model, [text], kind.Request())[0] for text in texts]
    assert [text for text, _ in rows] == [text for text, _ in one_by_one]
    assert [x for _, x in rows] == pytest.approx([x for _, x in one_by_one], rel=1e-5)


def test_sampled_answers_are_those_of_the_seed():
    kind = kinds.named("pairs")
    model = trained_of(kind)
    asked = [
        kind.answer(model, ["abc"] * 8, kind.Request(temperature=1.0, seed=seed))
        for seed in (1, 1, 2)
    ]
    assert asked[0] == asked[1] != asked[2]
    assert len({text for text, _ in asked[0]}) > 1


def test_a_label_is_answered_with_its_probability():
    kind = kinds.named("labels")
    model = trained_of(kind)
    texts = [*"abcdef", "fed", "abc"]
    source = encode(texts, model.form.source, model.form.source_width, "here")
    ids = torch.as_tensor(source.ids).long()
    with torch.no_grad():  # so that some texts have the one label, some the other
        model.model.affine.bias -= model.model(ids).mean(dim=0)
    rows = kind.answer(model, texts, kind.Request())
    expected = model.model(ids).log_softmax(dim=1)
    for (label, log_probability), of_both in zip(rows, expected.tolist(), strict=True):
        assert label == model.form.labels[int(np.argmax(of_both))]
        assert log_probability == pytest.approx(max(of_both), rel=1e-5)
    assert {label for label, _ in rows} == set(model.form.labels)


def test_a_continuation_is_as_long_as_is_asked_for_and_leaves_out_what_is_skipped():
    kind = kinds.named("corpus")
    model = trained_of(kind)
    request = kind.Request(max_length=30, skip="a b <eos>")
    assert request.words() == 30
    assert kind.Request(max_length=30, temperature=0.0, beam_width=4).words() == 120
    [(text, _)] = kind.answer(model, ["c d"], request)
    words = text.split()
    assert words[:2] == ["c", "d"]
    assert len(words) == 32
    assert not {"a", "b"} & set(words[2:])
    assert kinds.named("pairs").Request().words() == 1


# Who knows which kinds there are

NAMED = re.compile(r"""['\"](pairs|corpus)['\"]|perplexity['\"]""")
KNOW_NO_KIND = [
    *(path for room in ("reporting", "tracking", "stages") for path in (SOURCES / room).rglob("*")),
    SOURCES / "serving.py",
]


def test_reports_tracking_stages_and_serving_do_not_know_which_kinds_there_are():
    read = [path for path in KNOW_NO_KIND if path.suffix in (".py", ".html")]
    assert len(read) > 20
    lines = [
        f"{path.relative_to(SOURCES)}:{number}: {line}"
        for path in read
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if NAMED.search(line)
    ]
    assert lines == []


@pytest.mark.parametrize(
    "line", ['kind == "pairs"', "if kind != 'corpus':", 'table["test_perplexity"]']
)
def test_the_search_would_find_them(line):
    assert NAMED.search(line)


@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
def test_some_answers_to_made_up_questions_end_early_and_some_do_not_at_once(decoder):
    kind, chosen = kinds.named("pairs"), pairs_options(decoder=decoder, padding="masked")
    toy = miniature(chosen)
    model, data = lively(toy), kind.made_up(toy)
    kind.bring_to_end(data, model, toy)
    written = answer(model, data.sources["test"], data.form, "masked").symbols
    ends = (written == data.form.answers["end"]).long()
    early = ends[:, :-1].any(dim=1)
    assert 3 * early.sum() >= len(written)
    assert (ends.argmax(dim=1)[early] > 0).any()


def test_answers_that_end_with_a_blank_go_on_and_the_model_is_left_as_it_is():
    kind, toy = kinds.named("pairs"), miniature(pairs_options(padding="plain"))
    model = lively(toy)
    kind.bring_to_end(kind.made_up(toy), model, toy)
    for found, before in zip(model.parameters(), lively(toy).parameters(), strict=True):
        assert torch.equal(found, before)
