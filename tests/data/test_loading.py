import numpy as np
import pytest

from models.toys import corpus, pairs
from unroll.data.corpus import Corpus, save_corpus
from unroll.data.loading import LOADERS, load
from unroll.data.pairs import Pairs, save_pairs
from unroll.errors import DataError

REMEDY = "run: dvc repro prepare@toy"


@pytest.fixture
def folders(tmp_path):
    save_pairs(pairs(), tmp_path / "pairs")
    save_corpus(corpus([0, 1, 2, 3]), tmp_path / "corpus")
    return tmp_path


def same(found, expected):
    return found.keys() == expected.keys() and all(
        np.array_equal(found[split], expected[split]) for split in expected
    )


def test_pairs_are_loaded_as_pairs(folders):
    found, expected = load("pairs", folders / "pairs", REMEDY), pairs()
    assert isinstance(found, Pairs)
    assert found.vocabulary == expected.vocabulary
    assert same(found.sources, expected.sources)
    assert same(found.targets, expected.targets)


def test_a_corpus_is_loaded_as_a_corpus(folders):
    found, expected = load("corpus", folders / "corpus", REMEDY), corpus([0, 1, 2, 3])
    assert isinstance(found, Corpus)
    assert found.vocabulary == expected.vocabulary
    assert same(found.tokens, expected.tokens)


@pytest.mark.parametrize(("kind", "other"), [("pairs", "corpus"), ("corpus", "pairs")])
def test_data_of_the_other_kind_are_refused_with_the_way_out(folders, kind, other):
    with pytest.raises(DataError, match=f"does not hold data of the kind {kind}; {REMEDY}$"):
        load(kind, folders / other, REMEDY)


@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_missing_data_are_refused_with_the_way_out(tmp_path, kind):
    with pytest.raises(DataError, match=f"missing or incomplete; {REMEDY}$"):
        load(kind, tmp_path / "nowhere", REMEDY)


@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_damaged_data_are_refused_with_the_way_out(folders, kind):
    (folders / kind / "arrays.safetensors").write_bytes(b"rubbish")
    with pytest.raises(DataError, match=f"arrays.safetensors is damaged.*{REMEDY}$"):
        load(kind, folders / kind, REMEDY)
