"""A fresh run against published results."""

import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from unroll.errors import DataError
from unroll.reporting.check import DIFFERS, MISSING, committed, differences
from unroll.reporting.comparison import COLUMNS


def table(**means: tuple[float, float, int]) -> pd.DataFrame:
    rows = [("addition", v, "test_exact_match", *values) for v, values in means.items()]
    return pd.DataFrame(rows, columns=["task", "variant", "metric", "mean", "std", "seeds"])


def verdicts(fresh: pd.DataFrame, published: pd.DataFrame) -> dict[str, str]:
    found = differences(fresh, published, 0.95)
    return dict(zip(found["variant"], found["verdict"], strict=True))


def test_what_seeds_explain_is_told_from_what_they_do_not():
    published = table(same=(0.5, 0.1, 4), near=(0.5, 0.1, 4), far=(0.5, 0.01, 4))
    fresh = table(same=(0.5, 0.1, 4), near=(0.55, 0.1, 4), far=(0.6, 0.01, 4))
    assert verdicts(fresh, published) == {
        "same": "equal", "near": "within what seeds explain", "far": DIFFERS,
    }  # fmt: skip


def test_what_is_missing_or_new_is_named():
    found = verdicts(table(new=(0.5, 0.1, 4)), table(old=(0.5, 0.1, 4)))
    assert found == {"new": "new", "old": MISSING}


def test_one_seed_has_no_test():
    nan = float("nan")
    found = verdicts(table(one=(0.5, nan, 1)), table(one=(0.6, 0.1, 4)))
    assert found == {"one": "no test: one seed"}


@pytest.mark.parametrize(("mean", "verdict"), [(0.5, "equal"), (0.6, DIFFERS)])
def test_seeds_that_all_agree_allow_no_difference(mean, verdict):
    found = verdicts(table(v=(mean, 0.0, 4)), table(v=(0.5, 0.0, 4)))
    assert found == {"v": verdict}


@pytest.mark.slow
def test_the_command_compares_reports_with_the_last_commit(toy_study, tmp_path):
    study = toy_study.copy(tmp_path / "project")
    check = ("unroll", "--study", "toy", "report", "--check")
    assert "equal" in study.run(*check)
    path = study.folder / "reports/toy/comparison.csv"
    table = pd.read_csv(path)
    table[table["variant"] != "peeky"].to_csv(path, index=False)
    told = study.run(*check, fails=True)
    assert "missing here" in told
    assert told.splitlines()[-1].startswith("error: 4 of ")
    assert "Traceback" not in told
    path.write_text(path.read_text().replace("0.", "0. ± "))
    told = study.run(*check, fails=True)
    assert re.fullmatch(r"error: .*csv: the column \w+ holds more than numbers; .*\n", told)


def test_a_committed_table_of_other_than_numbers_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git = ("git", "-c", "user.name=me", "-c", "user.email=me@example.org")
    table(one=("much", 0.1, 4)).reindex(columns=COLUMNS).to_csv("comparison.csv", index=False)
    for arguments in ("init", "add --all", "commit --message start"):
        subprocess.run([*git, *arguments.split()], check=True, capture_output=True)
    with pytest.raises(DataError, match=r"committed comparison\.csv is no table of results"):
        committed(Path("comparison.csv"))
