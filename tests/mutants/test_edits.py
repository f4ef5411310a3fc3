"""Edits of the sources by hand: each changes the plans of those it concerns, and of no others."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from mutants.edits import EVALUATION, OPTION_EDITS, Edit
from mutants.house import Asked, House
from mutants.variants import VARIANTS, asked
from unroll.options import OPTIONS, Compute
from unroll.plans.plan import plan_digest
from unroll.plans.training import training_plan

# An edit takes seconds, and there are many.
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with House() as house:
        house.warm([*asked("train", "plain", "words", "last"), *asked("generate", "words")])
        yield house


class Known:
    """The plans of the sources as they are, each made when it is first asked for."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.plans: dict[str, Any] = {}

    def of(self, questions: list[Asked]) -> dict[str, Any]:
        """Return the plans that are asked for, and all that are known already."""
        missing = [question for question in questions if question.name not in self.plans]
        if missing:
            self.plans |= self.house.plans(missing)["plans"]
        return self.plans


@pytest.fixture(scope="module")
def known(house: House) -> Known:
    return Known(house)


def replaced(house: House, file: str, before: str, after: str) -> dict[str, str]:
    """Return the text of a file, with one place in it edited."""
    text = house.text(file)
    assert text.count(before) == 1, f"{file} has {text.count(before)} times {before!r}"
    return {file: text.replace(before, after)}


def changed(house: House, known: Known, edit: dict[str, str], questions: list[Asked]) -> set[str]:
    """Return which plans are other ones after an edit."""
    before = known.of(questions)
    with house.edited(edit):
        answer = house.plans(questions)
    assert "crash" not in answer, answer
    return {name for name, plan in answer["plans"].items() if plan != before[name]}


def test_the_plans_of_another_process_are_the_same(known: Known) -> None:
    names = ("attention-modern", "own-steps", "last-modern", "words-modern")
    plans = known.of(asked("train", *names))
    for name in names:
        kind, options = VARIANTS[name]
        plan = training_plan(OPTIONS[kind].model_validate(options), Compute())
        assert plan_digest(plan) == plans[f"train/{name}"]["plan"]


@pytest.mark.parametrize("edit", OPTION_EDITS, ids=lambda edit: edit.breaks)
def test_a_wrong_edit_trains_those_again_whom_it_concerns(
    house: House, known: Known, edit: Edit
) -> None:
    found = changed(
        house,
        known,
        replaced(house, edit.file, edit.before, edit.after),
        asked("train", *edit.those, *edit.not_those),
    )
    assert found == {f"train/{name}" for name in edit.those}


def test_an_edit_of_what_a_toy_does_not_run_changes_who_uses_it(house: House, known: Known) -> None:
    """The blocks of the loss, and what machines can do: there are digests of the text."""
    questions = asked("train", "plain", "last", "words")
    edit = replaced(house, "models/linear_cross_entropy.py", "BLOCK = 64", "BLOCK = 32")
    assert changed(house, known, edit, questions) == {"train/words"}
    edit = replaced(house, "training/machine.py", "allow_tf32 = False", "allow_tf32 = True")
    everyone = {question.name for question in questions}
    assert changed(house, known, edit, questions) == everyone


@pytest.mark.parametrize("edit", EVALUATION, ids=lambda edit: edit.breaks)
def test_a_wrong_edit_of_an_evaluation_evaluates_again(
    house: House, known: Known, edit: Edit
) -> None:
    questions = asked("evaluate", *edit.those, *edit.not_those)
    found = changed(house, known, replaced(house, edit.file, edit.before, edit.after), questions)
    assert found == {f"evaluate/{name}" for name in edit.those}


def test_scores_of_texts_are_computed_again_where_a_task_keeps_them(
    house: House, known: Known
) -> None:
    questions = [
        *asked("evaluate", "attention-modern", "last", "words"),
        *asked("evaluate_texts", "attention-modern"),
        *asked("train", "attention-modern"),
    ]
    for before, after in [("BLEU(", "CHRF() or BLEU("), (" * counts)", ")")]:
        edit = replaced(house, "evaluation/texts.py", before, after)
        found = changed(house, known, edit, questions)
        assert found == {"evaluate_texts/attention-modern"}, before
    # What an item brings to a score that is no mean: F1 of labels is such a one too.
    edit = replaced(house, "evaluation/items.py", "N - 1) *", "N) *")
    found = changed(house, known, edit, questions)
    assert found == {"evaluate_texts/attention-modern", "evaluate/last"}


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("cache", "(before >= now)", "(before > now)"),
        ("cache", "(1 - share) * own + share * cached", "(1 - share) * cached + share * own"),
        ("dynamic", 'alpha=setting["rate"]', 'alpha=2 * setting["rate"]'),
        ("dynamic", 'value=-setting["rate"]', 'value=-2 * setting["rate"]'),
        ("mc_dropout", "torch_generator(reading,", "torch_generator(0,"),
        ("temperature", 'logits / setting["temperature"]', 'logits * setting["temperature"]'),
        ("method", "best = min(", "best = max("),
    ],
)
def test_a_wrong_edit_of_a_method_evaluates_again_where_it_is_asked_for(
    house: House, known: Known, file: str, before: str, after: str
) -> None:
    questions = [
        *asked("evaluate_methods", "variational"),
        *asked("evaluate", "variational"),
        *asked("train", "variational"),
    ]
    edit = replaced(house, f"evaluation/methods/{file}.py", before, after)
    assert changed(house, known, edit, questions) == {"evaluate_methods/variational"}


def test_mending_what_is_written_trains_and_evaluates_nothing(house: House, known: Known) -> None:
    questions = [
        *asked("train", "words", "plain"),
        *asked("evaluate", "words"),
        *asked("generate", "words"),
    ]
    edit = replaced(
        house,
        "generation/sampling.py",
        "kept = logits.topk(k, dim=1)",
        "kept = logits.topk(1, dim=1)",
    )
    assert changed(house, known, edit, questions) == {"generate/words"}


def test_an_edit_of_a_task_evaluates_its_variants_again_and_trains_none(
    house: House, known: Known
) -> None:
    questions = [*asked("train", "plain"), *asked("evaluate", "plain", "last", "words")]
    text = house.text("tasks/addition.py")
    assert (
        changed(house, known, {"tasks/addition.py": text + "\n# a comment\n"}, questions) == set()
    )
    edit = {"tasks/addition.py": text + "\nNEW = 1\n"}
    assert changed(house, known, edit, questions) == {"evaluate/plain"}


# Edits that change nothing


def _comments(text: str) -> str:
    """Put a comment before every statement, and another docstring in every function."""
    text = re.sub(
        r"^( *)(return|if|for|with|def|class) ", r"\1# a comment\n\1\2 ", text, flags=re.M
    )
    return re.sub(r'"""(\w)', r'"""Really: \1', text)


COMPUTES = (
    "data/batches.py",
    "evaluation/accuracy.py",
    "evaluation/perplexity.py",
    "generation/decoding.py",
    "models/classifier.py",
    "models/decoders.py",
    "models/dropout.py",
    "models/encoder.py",
    "models/initialise.py",
    "models/language_model.py",
    "models/layers.py",
    "models/linear_cross_entropy.py",
    "models/padding.py",
    "models/seq2seq.py",
    "training/corpus.py",
    "training/loop.py",
    "training/machine.py",
    "training/optimisation.py",
    "training/pairs.py",
    "training/schedules.py",
    "tasks/addition.py",
)
SOME = [
    *asked("train", "attention-modern", "own-steps", "pooled-masked", "words-modern"),
    *asked("evaluate", "attention-modern", "pooled-masked", "words-modern"),
    *asked("generate", "words-modern"),
]


def test_comments_and_docstrings_change_no_plan(house: House, known: Known) -> None:
    edit = {name: _comments(house.text(name)) for name in COMPUTES}
    assert all(text != house.text(name) for name, text in edit.items())
    assert changed(house, known, edit, SOME) == set()


def test_another_name_of_a_variable_changes_no_plan(house: House, known: Known) -> None:
    edit = {
        "models/dropout.py": re.sub(r"\bkeep\b", "left", house.text("models/dropout.py")),
        "models/decoders.py": re.sub(r"\bembedded\b", "x", house.text("models/decoders.py")),
        "training/loop.py": re.sub(r"\breported\b", "told", house.text("training/loop.py")),
        "data/batches.py": re.sub(r"\bby_length\b", "sorted_", house.text("data/batches.py")),
        "evaluation/accuracy.py": re.sub(
            r"\bexpected\b", "t", house.text("evaluation/accuracy.py")
        ),
    }
    assert all(text != house.text(name) for name, text in edit.items())
    assert changed(house, known, edit, SOME) == set()


def test_a_function_that_is_moved_changes_no_plan(house: House, known: Known) -> None:
    layers, padding = house.text("models/layers.py"), house.text("models/padding.py")
    # Within its file, from the end to the beginning of what is defined.
    moved = layers[layers.index("def _of_layer") : layers.index("def _run")]
    edit = {
        "models/layers.py": layers.replace(moved, "").replace(
            "class RecurrentStack", f"{moved}class RecurrentStack"
        )
    }
    # To a file of its own.
    begins = padding.index("def before(")
    edit["models/masks.py"] = f"import torch\nfrom torch import Tensor\n\n\n{padding[begins:]}"
    edit["models/padding.py"] = padding[:begins].replace(
        "from torch import Tensor\n",
        "from torch import Tensor\n\nfrom unroll.models.masks import before, reverse\n"
        '\n__all__ = ["before", "reverse"]\n',
    )
    assert changed(house, known, edit, SOME) == set()


def test_an_option_that_is_added_changes_no_plan(house: House, known: Known) -> None:
    edit = replaced(
        house,
        "options.py",
        "    clip: Positive | None = None\n",
        "    clip: Positive | None = None\n    zoneout: Annotated[Share, Neutral(0.0)] = 0.0\n",
    )
    assert changed(house, known, edit, SOME) == set()
    # Who asks for it is another variant; who writes that nothing is done is not.
    kind, options = VARIANTS["plain"]
    with house.edited(edit):
        plans = house.plans(
            [
                Asked("train/plain", "train", kind, {**options, "zoneout": 0.0}),
                Asked("asks", "train", kind, {**options, "zoneout": 0.1}),
            ]
        )["plans"]
    before = known.of(asked("train", "plain"))["train/plain"]
    assert plans["train/plain"] == before
    assert plans["asks"]["plan"] != before["plan"]


def test_another_default_changes_the_plans_of_those_who_rely_on_it(
    house: House, known: Known
) -> None:
    edit = replaced(
        house,
        "options.py",
        '"cosine", "on_plateau"] = "constant"',
        '"cosine", "on_plateau"] = "one_cycle"',
    )
    questions = asked("train", "plain", "words", "modern", "words-modern")
    assert changed(house, known, edit, questions) == {"train/plain", "train/words"}
