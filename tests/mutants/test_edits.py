"""Edits of the sources by hand: each changes the plans of those it concerns, and of no others."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

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


class Edit(NamedTuple):
    """A wrong edit: what it breaks, where, and whose trainings must and must not notice."""

    breaks: str
    file: str
    before: str
    after: str
    those: tuple[str, ...]
    not_those: tuple[str, ...] = ()


OPTION_EDITS = [
    Edit("cell", "models/layers.py", '"gru": nn.GRU', '"gru": nn.RNN', ("gru", "pooled"), ("rnn",)),
    Edit(
        "layers",
        "models/layers.py",
        "_of_layer(state, i)",
        "_of_layer(state, 0)",
        ("modern",),
        ("plain", "words"),
    ),
    Edit(
        "bidirectional",
        "models/layers.py",
        "part.transpose(0, 1).reshape",
        "part.reshape",
        ("both-ways", "last-modern"),
        ("plain",),
    ),
    Edit(
        "decoder: peeky",
        "models/decoders.py",
        "_beside(memory.summary, hidden), None",
        "_beside(0 * memory.summary, hidden), None",
        ("peeky",),
        ("plain", "attention"),
    ),
    Edit(
        "decoder: attention",
        "models/decoders.py",
        "weights = scores.softmax(dim=-1)",
        "weights = scores.softmax(dim=1)",
        ("attention",),
        ("plain", "peeky"),
    ),
    Edit(
        "decoder: plain",
        "models/decoders.py",
        "return hidden, None",
        "return 2 * hidden, None",
        ("plain",),
        ("peeky", "attention"),
    ),
    Edit(
        "bridge: hidden",
        "models/seq2seq.py",
        "torch.zeros_like(part) for",
        "part for",
        ("plain",),
        ("state", "last"),
    ),
    Edit(
        "bridge: state",
        "models/seq2seq.py",
        "        return memory, state",
        "        return memory, (state[0], *(part / 2 for part in state[1:]))",
        ("state",),
        ("rnn", "plain"),
    ),
    Edit(
        "reverse_source",
        "models/padding.py",
        "return x.flip(1)",
        "return x",
        ("reversed",),
        ("plain", "masked-reversed"),
    ),
    Edit(
        "reverse_source of lengths",
        "models/padding.py",
        "lengths[:, None] - 1 - steps, steps)",
        "steps, steps)",
        ("masked-reversed", "pooled-masked"),
        ("reversed", "masked"),
    ),
    Edit(
        "padding: loss",
        "training/pairs.py",
        "target_lengths - 1, expected",
        "target_lengths, expected",
        ("masked",),
        ("plain", "last"),
    ),
    Edit(
        "padding: encoder",
        "models/encoder.py",
        "lengths=lengths)",
        "lengths=None)",
        ("masked", "last-modern"),
        ("plain", "words"),
    ),
    Edit(
        "padding: attention",
        "models/decoders.py",
        "if memory.present is not None:",
        "if False:",
        ("attention-modern",),
        ("attention", "masked"),
    ),
    Edit(
        "padding: pooling",
        "models/classifier.py",
        "if memory.present is not None:",
        "if False:",
        ("pooled-masked",),
        ("pooled", "last-modern"),
    ),
    Edit(
        "padding: plain",
        "models/padding.py",
        "return lengths.new_ones((len(lengths), steps), dtype=torch.bool)",
        "return before(lengths, steps)",
        ("plain",),
        ("masked",),
    ),
    Edit(
        "dropout",
        "models/layers.py",
        "return x * keep / (1 - self.rate)",
        "return x * keep",
        ("modern", "words-gru", "last-modern"),
        ("plain", "words"),
    ),
    Edit(
        "dropout between layers",
        "models/layers.py",
        "x = self.dropout(x)",
        "pass",
        ("modern", "words-gru"),
        ("plain", "skipping"),
    ),
    Edit(
        "dropout before the affine layer",
        "models/language_model.py",
        "return self.dropout(hidden), state",
        "return hidden, state",
        ("words-gru",),
        ("words",),
    ),
    Edit(
        "dropout of a classifier",
        "models/classifier.py",
        "self.dropout(self.pooling(memory)[:, None])[:, 0]",
        "self.pooling(memory)",
        ("last-modern",),
        ("last",),
    ),
    Edit(
        "variational_dropout",
        "models/layers.py",
        "(x.shape[0], 1, x.shape[2])",
        "(1, x.shape[1], x.shape[2])",
        ("variational", "words-modern"),
        ("words-gru", "modern"),
    ),
    Edit(
        "tie_weights",
        "models/language_model.py",
        "self.embedding.weight = self.affine.weight",
        "pass",
        ("tied", "tied-book"),
        ("words",),
    ),
    Edit(
        "tie_weights: first weights",
        "models/initialise.py",
        'last = {"book": nn.Embedding, "default": nn.Linear}',
        'last = {"book": nn.Linear, "default": nn.Linear}',
        ("tied-book",),
        ("tied", "words-book"),
    ),
    Edit(
        "skip_connections",
        "models/layers.py",
        "outputs + x if i and",
        "outputs + x if i > 1 and",
        ("skipping", "words-modern"),
        ("words", "gru"),
    ),
    Edit(
        "init: book",
        "models/initialise.py",
        "normal_(0, 0.01,",
        "normal_(0, 0.011,",
        ("book", "words-book"),
        ("plain", "words"),
    ),
    Edit(
        "init: default",
        "models/initialise.py",
        "bound = 1 / math.sqrt(fan_in)",
        "bound = 1.01 / math.sqrt(fan_in)",
        ("plain", "words", "last"),
        ("book", "words-book"),
    ),
    Edit(
        "init: bias that is not trained",
        "models/initialise.py",
        'scheme != "book"',
        "True",
        ("book", "words-book"),
        ("plain", "words"),
    ),
    Edit(
        "optimizer: adamw",
        "training/optimisation.py",
        '"adamw": torch.optim.AdamW',
        '"adamw": torch.optim.Adam',
        ("modern", "words-modern"),
        ("plain", "book"),
    ),
    Edit(
        "learning_rate",
        "training/optimisation.py",
        "rate = self.options.learning_rate *",
        "rate = 1.01 * self.options.learning_rate *",
        ("plain", "book", "words", "last"),
    ),
    Edit(
        "schedule: one_cycle",
        "training/optimisation.py",
        "0.5 * (1 + math.cos",
        "0.5 * (1 - math.cos",
        ("modern", "last-modern", "words-modern"),
        ("plain", "words"),
    ),
    Edit(
        "schedule: its rise",
        "training/optimisation.py",
        "WARM_UP = 0.1",
        "WARM_UP = 0.11",
        ("modern", "last-modern", "words-modern"),
        ("plain", "words"),
    ),
    Edit(
        "clip",
        "training/optimisation.py",
        "clip_grad_norm_(self.parameters, self.options.clip)",
        "clip_grad_value_(self.parameters, self.options.clip)",
        ("book", "modern", "words-book"),
        ("plain", "words"),
    ),
    Edit(
        "clip: none",
        "training/optimisation.py",
        "if self.options.clip is not None:",
        "if False:",
        ("book", "modern", "last-modern"),
        ("plain", "words"),
    ),
    Edit(
        "weight_decay",
        "training/optimisation.py",
        '"weight_decay": options.weight_decay',
        '"weight_decay": 0.0',
        ("modern", "last-modern", "words-modern"),
        ("plain", "words"),
    ),
    Edit(
        "order of the data",
        "data/batches.py",
        'torch_generator(seed, "order", str(epoch))',
        'torch_generator(seed, "order", "1")',
        ("plain", "masked", "last"),
        ("words",),
    ),
    Edit(
        "batches of like length",
        "data/batches.py",
        "for side in reversed(lengths)",
        "for side in lengths",
        ("masked",),
        ("plain", "words"),
    ),
    Edit(
        "order of the batches",
        "data/batches.py",
        "for i in order.tolist()",
        "for i in range(steps)",
        ("plain", "masked", "last"),
        ("words",),
    ),
    Edit(
        "batch_size",
        "training/pairs.py",
        "min(options.batch_size, len(",
        "min(options.batch_size - 1, len(",
        ("plain", "masked"),
        ("last", "words"),
    ),
    Edit(
        "batch_size of streams",
        "training/corpus.py",
        "min(options.batch_size, len(",
        "min(options.batch_size - 1, len(",
        ("words",),
        ("plain", "last"),
    ),
    Edit(
        "time_steps",
        "training/corpus.py",
        "self.time_steps = options.time_steps",
        "self.time_steps = options.time_steps - 1",
        ("words",),
        ("plain", "last"),
    ),
    Edit(
        "carried state",
        "training/corpus.py",
        "tuple(part.detach() for part in after)",
        "tuple(0 * part.detach() for part in after)",
        ("words", "words-gru"),
        ("plain", "last"),
    ),
    Edit(
        "carried state: beginning of an epoch",
        "training/corpus.py",
        "        if not start:\n            self.carried = None\n",
        "",
        ("words",),
        ("plain",),
    ),
    Edit(
        "teacher_forcing",
        "training/pairs.py",
        "return (drawn < share)",
        "return (drawn > share)",
        ("own-steps", "own-sequences"),
        ("plain", "masked"),
    ),
    Edit(
        "teacher_forcing: what it reads",
        "models/seq2seq.py",
        "torch.where(forced[:, step], read, own)",
        "torch.where(forced[:, step], own, read)",
        ("own-steps", "own-sequences"),
        ("plain",),
    ),
    Edit(
        "teacher_forcing_by: step",
        "training/pairs.py",
        "else (N, 1)",
        "else (1, T)",
        ("own-sequences",),
        ("own-steps", "plain"),
    ),
    Edit(
        "teacher_forcing_by: sequence",
        "training/pairs.py",
        "draws = (N, T) if",
        "draws = (1, T) if",
        ("own-steps",),
        ("own-sequences", "plain"),
    ),
    Edit(
        "pooling: last",
        "models/classifier.py",
        "return memory.summary",
        "return memory.states[:, 0]",
        ("last", "last-modern"),
        ("pooled", "plain"),
    ),
    Edit(
        "pooling: attention",
        "models/classifier.py",
        "(memory.states).tanh())",
        "(memory.states))",
        ("pooled", "pooled-masked"),
        ("last", "attention"),
    ),
    Edit(
        "resume: weights",
        "training/loop.py",
        'parameter.copy_(_take(tensors, f"model.{name}", parameter.shape))',
        "pass",
        ("plain", "last", "words"),
    ),
    Edit(
        "resume: optimiser",
        "training/optimisation.py",
        'self.optimizer.load_state_dict({"state": moments, "param_groups": groups})',
        "pass",
        ("plain", "modern", "words"),
        ("book",),
    ),
    Edit(
        "resume: schedule",
        "training/optimisation.py",
        "        self.taken = taken\n",
        "",
        ("modern", "words-modern"),
        ("plain", "book"),
    ),
    Edit(
        "resume: dropout",
        "training/loop.py",
        'generator.set_state(_take(tensors, f"generator.{name}", state.shape).to("cpu"))',
        "pass",
        ("modern", "own-steps", "variational"),
        ("plain", "words"),
    ),
    Edit(
        "resume: carried state",
        "training/loop.py",
        'self.objective.restore(_part(tensors, "objective."))',
        "pass",
        ("words", "words-modern"),
        ("plain", "last"),
    ),
    Edit(
        "resume: place in the epoch",
        "training/pairs.py",
        "self.seed, epoch)[start:]",
        "self.seed, epoch)",
        ("plain",),
        ("last", "words"),
    ),
    Edit(
        "resume: loss so far",
        "training/loop.py",
        'self.total = _take(tensors, "total", torch.Size()).to(device)',
        "self.total = None",
        ("plain", "last", "words"),
    ),
    Edit(
        "validation",
        "evaluation/accuracy.py",
        "~self.wrong.any(axis=1)",
        "~self.wrong.all(axis=1)",
        ("plain", "masked"),
        ("last", "words"),
    ),
    Edit(
        "validation without dropout",
        "evaluation/perplexity.py",
        "model.eval()",
        "pass",
        ("variational",),
        ("words", "plain"),
    ),
    Edit(
        "validation in windows",
        "evaluation/perplexity.py",
        "last = expected[-1:]",
        "pass",
        ("words",),
        ("plain", "last"),
    ),
    Edit(
        "validation: carried state",
        "evaluation/perplexity.py",
        "expected[:-1]])[None], state)",
        "expected[:-1]])[None], None)",
        ("words",),
        ("plain",),
    ),
    Edit(
        "a model that is never drawn",
        "training/run.py",
        "    initialise(model, options.init, seed)\n",
        "",
        ("book", "words-book"),
    ),
]


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


EVALUATION = [
    Edit(
        "items",
        "evaluation/pairs.py",
        "(test.counts & ~test.wrong).sum(axis=1)",
        "(~test.wrong).sum(axis=1)",
        ("masked",),
        ("last", "words"),
    ),
    Edit(
        "maps",
        "evaluation/attention.py",
        ".numpy().round(4)",
        ".numpy().round(2)",
        ("attention", "attention-modern"),
        ("plain", "words"),
    ),
    Edit(
        "ends of answers",
        "generation/decoding.py",
        "ended |= chosen == end",
        "ended = ended",
        ("masked", "attention-modern"),
        ("plain", "last", "words"),
    ),
    Edit(
        "samples",
        "evaluation/pairs.py",
        "Q {question}",
        "Question {question}",
        ("plain", "last"),
        ("words",),
    ),
    Edit(
        "perplexity",
        "evaluation/perplexity.py",
        "last = expected[-1:]",
        "pass",
        ("words",),
        ("plain", "last"),
    ),
    Edit(
        "classes",
        "evaluation/classification.py",
        ".max(dim=1)",
        ".min(dim=1)",
        ("last", "pooled"),
        ("plain", "words"),
    ),
]


@pytest.mark.parametrize("edit", EVALUATION, ids=lambda edit: edit.breaks)
def test_a_wrong_edit_of_an_evaluation_evaluates_again(
    house: House, known: Known, edit: Edit
) -> None:
    questions = asked("evaluate", *edit.those, *edit.not_those)
    found = changed(house, known, replaced(house, edit.file, edit.before, edit.after), questions)
    assert found == {f"evaluate/{name}" for name in edit.those}


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
        "models/layers.py": re.sub(r"\bkeep\b", "kept", house.text("models/layers.py")),
        "models/decoders.py": re.sub(r"\bembedded\b", "x", house.text("models/decoders.py")),
        "training/loop.py": re.sub(r"\bdetached\b", "loss_now", house.text("training/loop.py")),
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
            "class Dropout", f"{moved}class Dropout"
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
        'schedule: Literal["constant", "one_cycle"] = "constant"',
        'schedule: Literal["constant", "one_cycle"] = "one_cycle"',
    )
    questions = asked("train", "plain", "words", "modern", "words-modern")
    assert changed(house, known, edit, questions) == {"train/plain", "train/words"}
