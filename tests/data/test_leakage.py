import numpy as np
import pytest

from models.toys import DIGITS, pairs
from unroll.data.leakage import check_leakage
from unroll.data.pairs import Pairs, encode_lines
from unroll.tasks import addition
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError


def split_into(train: list[str], valid: list[str], test: list[str]) -> Pairs:
    vocabulary = Vocabulary(tuple(addition.ALPHABET))
    sources = {
        name: encode_lines(lines, 7, vocabulary, name)
        for name, lines in (("train", train), ("valid", valid), ("test", test))
    }
    return Pairs(vocabulary, sources, sources, {})


def test_splits_without_a_common_question_pass():
    check_leakage(split_into(["1+2", "3+4"], ["5+6"], ["7+8"]), addition.same)


@pytest.mark.parametrize("twin", ["1+23", "23+1", "01+23"])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_question_that_stands_in_two_splits_is_named_with_both(split, twin):
    splits = {"train": ["9+9", "1+23"], "valid": ["2+2"], "test": ["3+3"]}
    splits[split] = [twin, *splits[split]]
    with pytest.raises(DataError) as caught:
        check_leakage(split_into(**splits), addition.same)
    assert str(caught.value).startswith(
        f"1 of the 2 {split} questions stand in another split: {twin}, for one, stands in train "
        "as 1+23"
    )
    assert caught.value.exit_code == 1


def test_without_a_key_of_the_task_only_equal_texts_are_the_same_question():
    check_leakage(split_into(["1+23"], ["23+1"], ["3+3"]))
    data = pairs()  # all of its splits are alike
    with pytest.raises(DataError, match="20 of the 20 valid questions"):
        check_leakage(data)


def test_what_stands_twice_in_one_split_is_no_leak():
    sources = np.array([[DIGITS.ids["7"]]] * 2)
    rest = {"valid": sources[:1] + 1, "test": sources[:1] + 2}
    check_leakage(Pairs(DIGITS, {"train": sources, **rest}, {}, {}))
