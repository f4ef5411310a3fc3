import pytest

from unroll.errors import DataError
from unroll.evaluation.evaluation import NOTES, SETTINGS, read_notes, read_settings
from unroll.storage.files import write_json

BLEU = {"bleu": "tok:13a|version:2.6.0"}


def folders(tmp_path, *notes):
    found = [tmp_path / f"seed-{seed}" for seed in range(len(notes))]
    for folder, of in zip(found, notes, strict=True):
        if of is not None:
            write_json(folder / NOTES, of)
    return found


@pytest.mark.parametrize(("notes", "expected"), [([None, None], {}), ([BLEU, BLEU], BLEU)])
def test_notes_of_all_seeds_are_one(tmp_path, notes, expected):
    assert read_notes(folders(tmp_path, *notes)) == expected


@pytest.mark.parametrize("other", [None, {"bleu": "tok:char|version:2.6.0"}, {**BLEU, "chrf": ""}])
def test_seeds_whose_metrics_were_computed_otherwise_are_refused(tmp_path, other):
    with pytest.raises(DataError, match=r"seed-2/notes\.json has metrics that were computed other"):
        read_notes(folders(tmp_path, BLEU, BLEU, other))


def test_a_note_that_is_no_text_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"seed-0/notes\.json does not say how metrics were"):
        read_notes(folders(tmp_path, {"bleu": 3}))


def test_settings_are_those_of_a_seed(tmp_path):
    found = {"perplexity_cache": {"flatness": 0.3, "size": 500}, "perplexity_temperature": {}}
    assert read_settings(tmp_path) == {}
    write_json(tmp_path / SETTINGS, found)
    assert read_settings(tmp_path) == found


@pytest.mark.parametrize("setting", [0.3, {"flatness": "much"}, {"flatness": True}, [0.3]], ids=str)
def test_settings_that_are_no_numbers_are_refused(tmp_path, setting):
    write_json(tmp_path / SETTINGS, {"perplexity_cache": setting})
    with pytest.raises(DataError, match=r"settings\.json does not say what methods were tuned to"):
        read_settings(tmp_path)
