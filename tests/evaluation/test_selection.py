from pathlib import Path

import pandas as pd
import pytest

from models.toys import DIGITS, corpus_options, language_model, pairs_options, seq2seq, subject
from unroll.data.corpus import EOS
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError
from unroll.evaluation.selection import best
from unroll.runs.record import Record, seed_folder, seed_folders, write_record

REMEDY = "run: dvc repro train"
FORM = {"source_length": 4, "target_length": 5, "start": "_"}
WORDS = Vocabulary((EOS, "you", "the", "a"))


def write(folder: Path, seed: int, history: dict[str, list[float]]) -> Path:
    pairs = "valid_exact_match" in history
    options = pairs_options() if pairs else corpus_options()
    model = seq2seq() if pairs else language_model(len(WORDS))
    epochs = len(next(iter(history.values())))
    table = pd.DataFrame({"epoch": range(1, epochs + 1), **history})
    form, vocabulary = (FORM, DIGITS) if pairs else ({}, WORDS)
    record = Record(subject(options), seed, 1, form, vocabulary, table)
    write_record(seed_folder(folder, seed), record, model)
    return seed_folder(folder, seed)


def test_most_exact_matches_at_the_last_epoch_win(tmp_path):
    write(tmp_path / "a", 0, {"valid_exact_match": [0.9, 0.2], "test_exact_match": [1.0, 1.0]})
    winner = write(tmp_path / "a", 1, {"valid_exact_match": [0.1, 0.5]})
    write(tmp_path / "b", 0, {"valid_exact_match": [0.3, 0.4]})
    assert best([tmp_path / "a", tmp_path / "b"], REMEDY) == winner
    assert best([tmp_path / "b", tmp_path / "a"], REMEDY) == winner


def test_least_perplexity_at_the_last_epoch_wins(tmp_path):
    write(tmp_path / "a", 0, {"valid_perplexity": [50.0, 120.0]})
    winner = write(tmp_path / "b", 10, {"valid_perplexity": [300.0, 110.0]})
    write(tmp_path / "b", 2, {"valid_perplexity": [100.0, 115.0]})
    assert best([tmp_path / "a", tmp_path / "b"], REMEDY) == winner


def test_seeds_come_in_the_order_of_their_numbers(tmp_path):
    for name in ("seed-10", "seed-9", ".seed-1.tmp", "seed-x", "other"):
        (tmp_path / name).mkdir()
    found = seed_folders(tmp_path, REMEDY)
    assert [folder.name for folder in found] == ["seed-9", "seed-10"]


def test_a_run_without_the_metric_that_decides_is_named(tmp_path):
    write(tmp_path / "a", 3, {"valid_x": [0.5]})
    with pytest.raises(DataError, match="v, seed 3 lacks valid_perplexity; train it again"):
        best([tmp_path / "a"], REMEDY)


def test_a_variant_without_records_is_named(tmp_path):
    with pytest.raises(DataError, match=f"nothing.*{REMEDY}"):
        best([tmp_path / "nothing"], REMEDY)
