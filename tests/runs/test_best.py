import pytest

from models.toys import corpus_options, labels_options, pairs_options, record
from unroll.errors import DataError
from unroll.runs.record import best, read_documents, seed_folders, write_documents
from unroll.storage.folders import new_folder
from unroll.tasks.brackets import Brackets, BracketsOptions
from unroll.tasks.text import Text, TextOptions

TEXT = Text(TextOptions(kind="text", source="grammar"))
BRACKETS = Brackets(BracketsOptions(kind="brackets"))


def of_pairs(seed: int, *exact: float, **others: list):
    return record(pairs_options(), seed=seed, valid_exact_match=[*exact], **others)


def test_most_exact_matches_at_the_last_epoch_win():
    early = of_pairs(0, 0.9, 0.2, test_exact_match=[1.0, 1.0])
    winner, other = of_pairs(1, 0.1, 0.5), of_pairs(0, 0.3, 0.4)
    assert best([early, winner, other]) is winner
    assert best([other, early, winner]) is winner
    assert winner.chosen_by == 0.5


def test_least_perplexity_at_the_last_epoch_wins():
    runs = [
        record(corpus_options(), TEXT, seed, valid_perplexity=perplexities)
        for seed, perplexities in ((0, [50.0, 120.0]), (10, [300.0, 110.0]), (2, [100.0, 115.0]))
    ]
    assert best(runs) is runs[1]
    assert best(reversed(runs)) is runs[1]


def test_highest_accuracy_of_labels_wins():
    runs = [record(labels_options(), BRACKETS, s, valid_accuracy=[0.1 * s]) for s in (1, 3, 2)]
    assert best(runs) is runs[1]


def test_of_equal_runs_the_first_is_taken():
    runs = [of_pairs(seed, 0.5) for seed in (3, 1, 2)]
    assert best(runs) is runs[0]


def test_seeds_come_in_the_order_of_their_numbers(tmp_path):
    for name in ("seed-10", "seed-9", ".seed-1.tmp", "seed-x", "other"):
        (tmp_path / name).mkdir()
    found = seed_folders(tmp_path)
    assert [folder.name for folder in found] == ["seed-9", "seed-10"]


def test_a_run_without_the_metric_that_decides_is_named(tmp_path):
    with new_folder(tmp_path / "seed-3") as new:
        write_documents(new, record(pairs_options(), seed=3, valid_character_accuracy=[0.5]))
    with pytest.raises(DataError, match=r"seed-3/history\.csv lacks valid_exact_match"):
        read_documents(tmp_path / "seed-3")


def test_a_folder_without_records_is_named(tmp_path):
    with pytest.raises(DataError, match="nothing holds no trained model"):
        seed_folders(tmp_path / "nothing")
