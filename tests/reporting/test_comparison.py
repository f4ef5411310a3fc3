import pandas as pd
import pytest

from models.toys import DIGITS, pairs_options, subject
from unroll.record import Record
from unroll.reporting.comparison import curves, markdown, show
from unroll.reporting.figures import learning_curves


def test_fractions_are_shown_as_percent_and_perplexity_is_not():
    assert show("test_exact_match", 0.1234, 0.02) == "12.3 ± 2.0 %"
    assert show("test_perplexity", 136.07, 0.44) == "136.1 ± 0.4"


def test_one_seed_has_no_spread():
    assert show("test_exact_match", 0.5, float("nan")) == "50.0 %"


def test_markdown_has_a_row_per_variant_in_the_order_of_the_study():
    rows = [
        ("zebra", "valid_exact_match", 1000, 2, 0.4, 0.1),
        ("zebra", "test_exact_match", 1000, 2, 0.5, 0.1),
        ("ape", "test_exact_match", 2000, 2, 0.9, 0.0),
        ("ape", "valid_exact_match", 2000, 2, 0.8, 0.0),
    ]
    columns = ["variant", "metric", "parameters", "seeds", "mean", "std"]
    assert markdown(pd.DataFrame(rows, columns=columns)) == (
        "| variant | parameters | seeds | test exact match | valid exact match |\n"
        "| --- | ---: | ---: | ---: | ---: |\n"
        "| zebra | 1,000 | 2 | 50.0 ± 10.0 % | 40.0 ± 10.0 % |\n"
        "| ape | 2,000 | 2 | 90.0 ± 0.0 % | 80.0 ± 0.0 % |\n"
    )


@pytest.fixture
def records():
    options = pairs_options(seeds=[0, 1])
    form = {"source_length": 4, "target_length": 5, "start": "_"}

    def record(seed: int, values: list[float]) -> Record:
        history = pd.DataFrame({"epoch": [1, 2], "valid_exact_match": values})
        return Record(subject(options), seed, 1, form, DIGITS, history)

    return {"peeky": [record(0, [0.2, 0.6]), record(1, [0.4, 1.0])]}


def test_curves_hold_mean_and_range_of_the_seeds(records):
    table = curves(records)
    assert table["valid_exact_match"].tolist() == pytest.approx([0.3, 0.8])
    assert table["min"].tolist() == [0.2, 0.6]
    assert table["max"].tolist() == [0.4, 1.0]
    assert table["variant"].tolist() == ["peeky", "peeky"]


def test_a_figure_has_the_same_bytes_each_time_and_names_its_variants(records, tmp_path):
    learning_curves(records, "addition", tmp_path / "one.svg")
    learning_curves(records, "addition", tmp_path / "two.svg")
    one = (tmp_path / "one.svg").read_bytes()
    assert one == (tmp_path / "two.svg").read_bytes()
    assert b"<!-- peeky -->" in one
