import pandas as pd
import pytest

from unroll.tracking.table import as_text, choose

TABLE = pd.DataFrame(
    [
        ["sums", "plain", 0, "*", "FINISHED", 0.5, None, "", 100, "c1", "r1"],
        ["sums", "plain", 1, "", "FINISHED", 0.25, None, "cell gru", 100, "c1", "r2"],
        ["sums", "peeky", 0, "", "FAILED", None, None, "decoder peeky", 120, "c1", "r3"],
        ["prose", "writer", 0, "*", "FINISHED", None, 112.765, "", 300, "c2", "r4"],
    ],
    columns=[
        "task",
        "variant",
        "seed",
        "now",
        "status",
        "test_exact_match",
        "test_perplexity",
        "differs by",
        "parameters",
        "commit",
        "run",
    ],
)
FIRST = ["task", "variant", "seed", "now", "status"]


def runs(table):
    return list(table["run"])


def test_nothing_named_means_all():
    assert choose(TABLE, [], [], []).equals(TABLE)


@pytest.mark.parametrize(
    ("tasks", "variants", "expected"),
    [
        (["sums"], [], ["r1", "r2", "r3"]),
        (["prose", "sums"], [], ["r1", "r2", "r3", "r4"]),
        ([], ["plain"], ["r1", "r2"]),
        ([], ["writer", "peeky"], ["r3", "r4"]),
        (["sums"], ["peeky", "writer"], ["r3"]),
    ],
)
def test_rows_of_the_tasks_and_variants_are_chosen_in_their_order(tasks, variants, expected):
    assert runs(choose(TABLE, tasks, variants, [])) == expected


def test_columns_of_the_metrics_are_chosen_beside_those_that_say_what_a_row_is():
    found = choose(TABLE, [], [], ["test_exact_match"])
    assert list(found.columns) == [*FIRST, "test_exact_match", "differs by"]
    both = choose(TABLE, [], [], ["test_perplexity", "test_exact_match"])
    assert list(both.columns) == [*FIRST, "test_exact_match", "test_perplexity", "differs by"]


def test_a_column_that_is_empty_in_all_chosen_rows_is_left_out():
    assert "test_perplexity" not in choose(TABLE, ["sums"], [], [])
    assert "test_exact_match" not in choose(TABLE, ["sums"], ["peeky"], [])
    assert "test_exact_match" in choose(TABLE, ["sums"], [], [])
    found = choose(TABLE, ["prose"], [], ["test_exact_match"])
    assert list(found.columns) == [*FIRST, "differs by"]


@pytest.mark.parametrize(
    ("tasks", "variants"), [(["sum"], []), ([], ["x"]), (["prose"], ["plain"])]
)
def test_what_no_run_is_of_gives_an_empty_table(tasks, variants):
    assert choose(TABLE, tasks, variants, []).empty


def test_the_table_itself_is_not_changed():
    before = TABLE.copy()
    choose(TABLE, ["sums"], ["plain"], ["test_exact_match"])
    as_text(TABLE, 200)
    assert TABLE.equals(before)


def test_each_task_is_a_block_with_its_own_columns():
    columns = ["task", "variant", "test_exact_match", "test_perplexity"]
    assert as_text(TABLE[columns], 80) == (
        "task variant  test_exact_match\n"
        "sums   plain              0.50\n"
        "sums   plain              0.25\n"
        "sums   peeky                  \n"
        "\n"
        " task variant  test_perplexity\n"
        "prose  writer          112.765"
    )


def test_blocks_stand_in_the_order_of_their_first_rows():
    turned = TABLE.iloc[::-1]
    blocks = as_text(turned, 200).split("\n\n")
    first_columns = [block.splitlines()[1].split()[0] for block in blocks]
    assert first_columns == ["prose", "sums"]


def test_every_row_is_a_line():
    lines = [line for line in as_text(TABLE, 200).splitlines() if line]
    assert len(lines) == len(TABLE) + 2
    assert [line.split()[-1] for line in lines] == ["run", "r1", "r2", "r3", "run", "r4"]


@pytest.mark.parametrize("width", [20, 40, 60, 100, 200])
def test_no_line_is_wider_than_the_terminal_and_what_is_missing_is_named(width):
    text = as_text(TABLE[TABLE["task"] == "sums"], width)
    first, *rows = text.splitlines()
    shown = first.replace("differs by", "differs_by").split()
    assert shown[:3] == ["task", "variant", "seed"]
    left = len(TABLE.columns) - 1 - len(shown)  # less the column that is empty
    if left:
        assert rows[-1].startswith("(wider, or in --csv: ")
        assert len(rows[-1].split(": ")[1].split(",")) == left
    assert len(first) <= max(width, len("task variant  seed"))


def test_what_all_runs_are_is_not_said():
    lines = as_text(TABLE[TABLE["task"] == "prose"], 200).splitlines()
    assert "status" not in lines[0] and "FINISHED" not in lines[1]


def test_long_differences_are_cut():
    long = TABLE.assign(**{"differs by": "layers 2, " * 10})
    assert "layers 2, layers 2, layers 2, layers 2, layers …" in as_text(long, 200)
