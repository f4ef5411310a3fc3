"""Programs: what `run` says of a text is what Python itself prints for it."""

import contextlib
import io
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.toys import few_examples
from unroll import tasks
from unroll.data.sequences import SPLITS
from unroll.errors import UserError
from unroll.seeds import numpy_generator
from unroll.tasks import programs as module
from unroll.tasks.programs import (
    ALPHABETS,
    LONGEST,
    MOST_ROUNDS,
    OPERATIONS,
    Programs,
    ProgramsOptions,
    digits_of,
    draw,
    operations_of,
    parse,
    run,
    split_of,
)

SIZES = {"train": 30, "valid": 4, "test": 6}


def programs(**options) -> Programs:
    return Programs(ProgramsOptions.model_validate({"kind": "programs", **options}))


def printed(text: str) -> str:
    """Return what Python prints for a program, each statement on a line of its own."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(text.replace(";", "\n"), {})
    return said.getvalue().removesuffix("\n")


def drawn(digits: int, operations: int, random: np.random.Generator, *allowed: str) -> str:
    return draw(digits, operations, allowed or list(OPERATIONS), random)


def rows(data, *splits):
    return [row for s in splits for row in zip(data.questions(s), data.answers(s), strict=True)]


def difficulty(text: str) -> tuple[int, int]:
    """Count digits and operations by the signs of a program alone."""
    signs = re.findall(r"(?<=[\w)])[-+*](?!=)", text)
    given_names = re.findall(r"(?:^|;)[a-z]=", text)  # a loop is one with its assignment
    digits = max(len(number) for number in re.findall(r"\d+", text))
    return digits, len(signs) + text.count(" if ") + len(given_names)


@pytest.fixture(scope="module")
def small():
    return programs(**SIZES).prepare()


def test_programs_are_found_by_their_name():
    assert tasks.named("programs") is Programs
    assert (Programs.kind, Programs.has_levels) == ("pairs", True)


# What programs print


def test_answers_are_what_python_prints(small):
    found = rows(small, *SPLITS)
    assert [answer for _, answer in found] == [printed(text) for text, _ in found]
    assert any(answer.startswith("-") for _, answer in found)


difficulties = {"digits": st.integers(1, 9), "operations": st.integers(1, 8)}


@few_examples
@given(**difficulties, seed=st.integers(0, 2**32))
def test_what_a_drawn_program_prints_is_what_python_prints(digits, operations, seed):
    random = np.random.default_rng(seed)
    for _ in range(20):
        text = drawn(digits, operations, random)
        assert run(text) == printed(text)


def test_a_program_is_read_and_nothing_is_printed(capsys):
    assert run("a=7;print((a+5))") == "12"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("print(1)", "1"),
        ("print(2-3*4)", "-10"),
        ("print((2-3)*4)", "-4"),
        ("print((1 if 2<3 else 4))", "1"),
        ("print((1 if 3<3 else 4))", "4"),
        ("print((1 if 2>3 else 4))", "4"),
        ("print((1 if 3>3 else 4))", "4"),
        ("a=1;b=a;a=5;print((a-b))", "4"),
        ("a=1;for x in range(3):a+=2;print(a)", "7"),
        ("a=1;for x in range(0):a+=2;print(a)", "1"),
        ("a=2;b=3;for x in range(4):a+=(b*5);print((a+b))", "65"),
        (f"a=1;for x in range({MOST_ROUNDS}):a+=1;print(a)", str(MOST_ROUNDS + 1)),
        (f"print({'9' * 28}*2)", "1" + "9" * 27 + "8"),
        ("a=1\nprint(a)", "1"),
    ],
)
def test_programs_by_hand(text, answer):
    assert run(text) == answer == printed(text)


names = st.sampled_from("abx")
values = st.recursive(
    st.integers(0, 20).map(str) | names,
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda of: f"({''.join(of)})")
        | st.tuples(inner, inner, st.sampled_from("<>"), inner, inner).map(
            lambda of: f"({of[0]} if {of[1]}{of[2]}{of[3]} else {of[4]})"
        )
    ),
    max_leaves=4,
)
statements = st.one_of(
    st.tuples(names, values).map("=".join),
    st.tuples(names, st.integers(0, 5), names, values).map(
        lambda of: f"for {of[0]} in range({of[1]}):{of[2]}+={of[3]}"
    ),
)


def answered(text: str) -> str | None:
    """Return what `run` says; None where it refuses a program."""
    try:
        return run(text)
    except UserError:
        return None


@settings(deadline=None, max_examples=60)
@given(st.lists(statements, max_size=5), values)
def test_a_program_that_people_write_is_refused_or_prints_what_python_prints(lines, value):
    text = ";".join(["a=1", "b=2", *lines, f"print({value})"])
    assert answered(text) in (None, printed_or_nothing(text))


def printed_or_nothing(text: str) -> str | None:
    """Return what Python prints; None where it stops at a fault."""
    try:
        return printed(text)
    except Exception:
        return None


@pytest.mark.parametrize(
    "text",
    [
        "a=1;for x in range(3):a+=a;print(a)",
        "a=1;x=5;for x in range(3):a+=x;print(a)",
        "x=5;a=1;for x in range(3):a+=1;print(x)",
        "a=1;for a in range(3):a+=1;print(a)",
        "a=1;for x in range(3,y=1):a+=1;print(a)",
        "a=1;for x in range(True):a+=1;print(x)",
        "range=1;a=1;for x in range(2):a+=1;print(a)",
        "print=5;print(print)",
    ],
)
def test_a_loop_that_python_reads_otherwise_is_refused_or_read_like_python(text):
    assert answered(text) in (None, printed_or_nothing(text))


# What is no program


NO_PROGRAMS = [
    "import os",
    "import os;print(1)",
    "from os import *;print(1)",
    "print(a.b)",
    "a=1;print(a.real)",
    "print((1).real)",
    "print(abs(1))",
    "print(print(1))",
    "print(9**9)",
    "print(9//2)",
    "print(9/3)",
    "print(9%2)",
    "print(1<<9)",
    "print(True)",
    "a=True;print(a)",
    "a=1;for x in range(True):a+=1;print(a)",
    "print(None)",
    "print(1.5)",
    "print(1e3)",
    "print(1j)",
    "print('a')",
    "print([1])",
    "print(-1)",
    "print(not 1)",
    "print(1 and 2)",
    "print(b)",
    "a=b;b=1;print(a)",
    "print((1 if 2<=3 else 4))",
    "print((1 if 2==3 else 4))",
    "print((1 if 1<2<3 else 4))",
    "print((1 if 1 else 2))",
    "print(1<2)",
    "print((a:=1))",
    "print(1,2)",
    "print()",
    "print(1,end='')",
    "print(*[1])",
    "a=1",
    "1",
    "pass",
    "print(1);print(2)",
    "print(1);a=1",
    "a=b=1;print(a)",
    "a,b=1,2;print(a)",
    "a:int=1;print(a)",
    "a=1;a+=1;print(a)",
    "if 1<2:print(1)",
    "while 1:pass",
    "def f():pass",
    "for x in range(2):b+=1;print(1)",
    "a=1;for x in range(2):a-=1;print(a)",
    "a=1;for x in range(1,2):a+=1;print(a)",
    "a=1;for x in a:a+=1;print(a)",
    f"a=1;for x in range({MOST_ROUNDS + 1}):a+=1;print(a)",
    "a=1;for x in range(10**9):a+=1;print(a)",
    "a=1;for x in range(2):print(1)",
    "lambda:1",
    "hello",
    "what is 1+1?",
    "print(1",
    "(" * 250 + "1" + ")" * 249,
    "print(" + "(" * 240 + "1" + ")" * 240 + ")",
    "[" * LONGEST,
    "#",
    "",
    " ",
    ";",
    "\n",
    "\0",
    "print(1)\0",
    "\ud800",
]


@pytest.mark.parametrize("text", NO_PROGRAMS)
def test_what_is_no_program_of_the_language_is_refused_with_what_one_is(text):
    for read in (run, programs().question):
        with pytest.raises(UserError) as caught:
            read(text)
        assert str(caught.value).endswith("a=7;print((a+5))")
        assert caught.value.exit_code == 2


def test_a_text_that_is_too_long_is_refused_before_it_is_read():
    text = "print(1" + " " * (LONGEST - 8) + ")"
    assert run(text) == "1"
    for longer in (text + " ", "(" * 10**6):
        with pytest.raises(UserError, match=rf"may have {LONGEST} characters, not {len(longer)}$"):
            run(longer)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('pathlib').Path({path!r}).touch()",
        "print(__import__('pathlib').Path({path!r}).touch())",
        "a=open({path!r},'w');print(1)",
        "print((1 if open({path!r},'w')<2 else 3))",
        "print((1 if 1<2 else open({path!r},'w')))",
        "a=1;for x in range(2):a+=len(str(open({path!r},'w')));print(a)",
        "print(1)\nopen({path!r},'w')",
    ],
)
def test_nothing_of_a_text_is_run(tmp_path, text):
    path = tmp_path / "f"
    text = text.format(path=str(path))
    with contextlib.suppress(UserError):
        assert run(text) == "1"
    with contextlib.suppress(UserError):
        programs().question(text)
    assert not path.exists()


@pytest.mark.parametrize("times", [13, 80])
def test_numbers_that_grow_without_end_are_refused(times):
    """Six characters more make a number twice as long: it must be bounded on the way."""
    with pytest.raises(UserError):
        run("a=9;" + "a=a*a;" * times + "print(a)")


def test_many_signs_before_a_number_are_refused():
    with pytest.raises(UserError):
        run("print(" + "-" * 480 + "1)")


# Data


def test_known_seed_gives_known_programs():
    data = programs(train=2, valid=1, test=1, beyond=0).prepare()
    assert rows(data, "train") == [
        ("print((5+0))", "5"),
        ("print((5 if 5<7 else 5))", "5"),
        ("h=44;print(h)", "44"),
        ("print((84 if 37<67 else 38))", "84"),
        ("c=(0-0);print(c)", "0"),
        ("print((3+(7 if 2>5 else 0)))", "3"),
        ("e=(11 if 55>76 else 16);print(e)", "16"),
        ("h=(51 if 92<26 else 10);print(h)", "10"),
    ]
    assert rows(data, "valid") == [("print(((33+76) if 98>16 else 51))", "109")]


def test_the_same_seed_draws_the_same_programs_and_another_others(small):
    assert rows(programs(**SIZES).prepare(), *SPLITS) == rows(small, *SPLITS)
    other = programs(**SIZES, seed=1).prepare()
    assert not {text for text, _ in rows(other, "valid")} & {
        text for text, _ in rows(small, "valid")
    }


@settings(deadline=None, max_examples=8)
@given(digits=st.integers(1, 3), operations=st.integers(1, 3), seed=st.integers(0, 2**40))
def test_no_program_stands_in_two_splits_or_twice_in_one(digits, operations, seed):
    data = programs(digits=digits, operations=operations, beyond=1, seed=seed, **SIZES).prepare()
    texts = [text for text, _ in rows(data, *SPLITS)]
    assert len(set(texts)) == len(texts)
    for split in SPLITS:
        assert {split_of(text) for text in data.questions(split)} == {split}


def test_a_tenth_of_programs_are_of_test_and_a_twentieth_of_valid():
    found = Counter(split_of(f"print({i})") for i in range(20_000))
    assert found["test"] / 20_000 == pytest.approx(0.1, abs=0.01)
    assert found["valid"] / 20_000 == pytest.approx(0.05, abs=0.01)
    assert set(found) == set(SPLITS)


@pytest.mark.parametrize(("digits", "operations", "beyond"), [(2, 2, 1), (1, 3, 2), (2, 1, 0)])
def test_every_difficulty_has_its_programs(digits, operations, beyond):
    data = programs(digits=digits, operations=operations, beyond=beyond, **SIZES).prepare()
    found = {s: Counter(difficulty(text) for text in data.questions(s)) for s in SPLITS}
    taught = [(d, o) for o in range(1, operations + 1) for d in range(1, digits + 1)]
    tested = [
        (d, o) for o in range(1, operations + beyond + 1) for d in range(1, digits + beyond + 1)
    ]
    assert found["train"] == dict.fromkeys(taught, 30)
    assert found["valid"] == {(digits, operations): 4}
    assert found["test"] == dict.fromkeys(tested, 6)
    assert data.facts["drawn"] == {
        f"{d} digits, {o} operations": {
            "test": 6,
            **({"train": 30} if (d, o) in taught else {}),
            **({"valid": 4} if (d, o) == (digits, operations) else {}),
        }
        for d, o in tested
    }
    assert data.facts["counts"] == {s: found[s].total() for s in SPLITS}


def test_levels_go_from_few_digits_to_many_and_then_from_few_operations_to_many(small):
    in_order = [(1, 1), (2, 1), (1, 2), (2, 2)]
    assert small.levels.shape == (120,)
    for level, text in zip(small.levels, small.questions("train"), strict=True):
        assert in_order[level - 1] == difficulty(text)
    assert Counter(small.levels.tolist()) == {1: 30, 2: 30, 3: 30, 4: 30}


def test_of_easy_programs_there_may_be_fewer():
    sizes = {"train": 1, "valid": 1, "test": 100}
    data = programs(digits=2, operations=1, beyond=0, allowed=["add"], **sizes).prepare()
    found = Counter(difficulty(text) for text in data.questions("test"))
    assert found[1, 1] < found[2, 1] == 100


@few_examples
@given(**difficulties, seed=st.integers(0, 2**32))
def test_drawn_programs_have_the_digits_and_operations_that_are_asked_for(digits, operations, seed):
    random = np.random.default_rng(seed)
    for _ in range(20):
        text = drawn(digits, operations, random)
        assert difficulty(text) == (digits, operations)
        tree = parse(text)
        assert (digits_of(tree), len(operations_of(tree))) == (digits, operations)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_programs_of_the_most_operations_that_are_tested_can_be_drawn(operation):
    """Of eight operations, and three beyond, each may want a name of its own."""
    text = drawn(1, 11, np.random.default_rng(0), operation)
    assert difficulty(text) == (1, 11)
    assert run(text) == printed(text)


def test_all_operations_are_drawn_about_equally_often():
    random, found = numpy_generator(0, "test"), Counter()
    for _ in range(2_000):
        found.update(operations_of(parse(drawn(2, 1, random))))
    assert found.keys() == {"+", "-", "*", "if", "=", "for"}
    shares = [found["+"] + found["-"], found["*"], found["if"], found["="], found["for"]]
    assert min(shares) > 330 and max(shares) < 470  # 400, with a standard deviation of 18


@pytest.mark.parametrize(
    ("allowed", "signs"),
    [
        (["add"], {"+", "-"}),
        (["multiply"], {"*"}),
        (["choose"], {"if"}),
        (["assign"], {"="}),
        (["loop"], {"for"}),
        (["loop", "add"], {"for", "+", "-"}),
    ],
)
def test_only_operations_that_are_allowed_are_drawn(allowed, signs):
    data = programs(allowed=allowed, digits=3, operations=2, beyond=1, **SIZES).prepare()
    found = {
        sign
        for split in SPLITS
        for text in data.questions(split)
        for sign in operations_of(parse(text))
    }
    assert found == signs
    assert all(answer == printed(text) for text, answer in rows(data, *SPLITS))


def test_all_operations_are_allowed_where_none_is_named(small):
    named = programs(allowed=["add", "multiply", "choose", "assign", "loop"], **SIZES).prepare()
    assert rows(named, *SPLITS) == rows(small, *SPLITS)


def test_every_symbol_of_programs_and_numbers_is_known_however_few_are_drawn():
    form = programs(train=1, valid=1, test=1, operations=1, beyond=0).prepare().form
    for vocabulary, alphabet in zip((form.source, form.answers), ALPHABETS, strict=True):
        assert set(vocabulary.symbols) == {*alphabet, *vocabulary.special.values()}
    random, known = np.random.default_rng(0), set(form.source.symbols)
    assert all(set(drawn(6, 8, random)) <= known for _ in range(200))


@pytest.mark.parametrize(("split", "wanted"), [("train", 900), ("valid", 90)])
def test_too_few_programs_are_refused_with_the_way_out(monkeypatch, split, wanted):
    monkeypatch.setattr(module, "FRUITLESS", 1)
    sizes = {"train": 1, "valid": 1, "test": 1, split: wanted}
    with pytest.raises(UserError) as caught:
        programs(digits=1, operations=1, beyond=0, **sizes).prepare()
    assert re.fullmatch(
        rf"{split}: of the greatest difficulty only \d+ programs could be drawn, not {wanted}; "
        f"lower {split}, or raise digits or operations",
        str(caught.value),
    )


def test_after_many_tries_without_a_new_program_it_ends():
    sizes = {"train": 1, "test": 1, "valid": 60}
    with pytest.raises(UserError, match=r"valid: .* only \d+ programs could be drawn, not 60"):
        programs(digits=1, operations=1, beyond=0, allowed=["add"], **sizes).prepare()


@pytest.mark.parametrize(
    "wrong",
    [{"digits": 0}, {"digits": 7}, {"operations": 0}, {"operations": 9}, {"beyond": -1},
     {"beyond": 4}, {"train": 0}, {"valid": 0}, {"test": 0}, {"seed": -1}, {"allowed": []},
     {"allowed": ["divide"]}, {"more": 1}],
)  # fmt: skip
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        programs(**wrong)


# What it knows of questions and answers


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("a=7;print((a+5))", "a=7;print((a+5))"),
        (" a = 7 ; print ( ( a + 5 ) ) ", "a=7;print((a+5))"),
        ("a=7\nprint((a+5))\n", "a=7;print((a+5))"),
        ("a=7\r\nprint((a+5))\r\n", "a=7;print((a+5))"),
        ("\ta\t=\t7;\tprint((a - 5))", "a=7;print((a-5))"),
        (
            "a=1\nfor  x  in  range( 3 ) : a += 2\nprint( a )",
            "a=1;for x in range(3):a+=2;print(a)",
        ),
        ("print((1  if  2 < 3  else  4))", "print((1 if 2<3 else 4))"),
        ("print((1 if 2>3 else(4*5)))", "print((1 if 2>3 else (4*5)))"),
        ("print((1 if(2)>3 else 4))", "print((1 if (2)>3 else 4))"),
    ],
)
def test_a_question_has_single_blanks_and_its_statements_on_one_line(text, question):
    assert programs().question(text) == question
    assert run(question) == printed(question)


def test_programs_of_the_data_are_questions_as_they_stand(small):
    task = programs()
    changed = {
        text: task.question(text) for text, _ in rows(small, *SPLITS) if task.question(text) != text
    }
    assert changed == {}


@pytest.mark.parametrize(
    "text", ["a=7\n\nprint((a+5))", "a=7;\nprint((a+5));", "a=7;;print((a+5))"]
)
def test_empty_lines_are_no_statements(text):
    assert programs().question(text) == "a=7;print((a+5))"


@few_examples
@given(
    **difficulties,
    seed=st.integers(0, 2**32),
    blanks=st.lists(st.sampled_from(["", " ", "  ", "\t"]), min_size=4, max_size=4),
)
def test_blanks_change_no_meaning(digits, operations, seed, blanks):
    text = drawn(digits, operations, np.random.default_rng(seed))
    spaced, of = "", iter(blanks * len(text))
    for symbol in re.findall(r"\+=|[^\s\w]| |\w+", text):
        if symbol == ";":
            spaced += "\n"  # a blank at the start of a line means something to Python
        elif symbol == " ":
            spaced += " " + next(of)
        else:
            spaced += symbol if spaced.endswith("\n") or not spaced else next(of) + symbol
    question = programs().question(spaced)
    assert run(question) == printed(text)
    assert question == programs().question(text)


def test_its_example_is_a_question():
    task = programs()
    assert task.question(task.example) == task.example
    assert run(task.example) == printed(task.example) == "12"


def classes(found):
    return [found.labels[code] for code in found.codes]


def test_programs_are_classed_by_digits_and_operations_and_by_the_one_operation():
    grid, alone = programs().properties(
        [
            "print((1+23))",
            "a=4;print(a)",
            "a=345;for x in range(2):a+=6;print((a*7))",
            "a=1;for x in range(2):a+=3;print(a)",
            "print((1 if 2>34 else 5))",
        ]
    )
    assert grid.name == "digits × operations"
    assert grid.labels == tuple(f"{d} × {o}" for d in (1, 2, 3) for o in (1, 2))
    assert classes(grid) == ["2 × 1", "1 × 1", "3 × 2", "1 × 1", "2 × 1"]
    assert alone.name == "digits × the one operation"
    assert classes(alone) == ["2 × +", "1 × =", "3 × several", "1 × for", "2 × if"]
    for found in (grid, alone):
        assert set(found.name.split(" × ")) <= Programs.axes.keys()


@pytest.mark.parametrize(
    ("text", "operations"),
    [
        ("print(7)", []),
        ("print(((1+2)-(3*4)))", ["*", "+", "-"]),
        ("a=1;b=a;print(b)", ["=", "="]),
        ("a=1;b=a;for x in range(2):b+=3;print(b)", ["=", "for"]),
        ("a=1;for x in range(2):a+=3;b=a;print(b)", ["=", "for"]),
        ("a=1;for x in range(2):a+=3;b=a;for x in range(2):b+=3;print(b)", ["for", "for"]),
    ],
)
def test_operations_are_counted_with_the_assignment_of_a_loop_in_the_loop(text, operations):
    assert sorted(operations_of(parse(text))) == operations


@pytest.mark.parametrize(
    ("expected", "answered", "name"),
    [
        ("12", "", "no number"),
        ("12", "1-", "no number"),
        ("12", "--", "no number"),
        ("12", "1", "another number of digits"),
        ("12", "-12", "another number of digits"),
        ("12", "012", "another number of digits"),
        ("12", "13", "one digit wrong"),
        ("12", "22", "one digit wrong"),
        ("-12", "-13", "one digit wrong"),
        ("12", "21", "several digits wrong"),
        ("-12", "112", "one digit wrong"),
        ("1234", "1324", "several digits wrong"),
    ],
)
def test_mistakes_are_named_by_how_far_they_are_off(expected, answered, name):
    assert programs().mistake(expected, answered) == name
