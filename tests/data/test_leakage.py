import pytest

from models.toys import addition, pairs
from unroll.data.leakage import check_leakage
from unroll.errors import DataError

same = addition().same


def test_splits_without_a_common_question_pass():
    check_leakage({"train": ["1+2", "3+4"], "valid": ["5+6"], "test": ["7+8"]}, same)


@pytest.mark.parametrize("twin", ["1+23", "23+1", "01+23"])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_question_that_stands_in_two_splits_is_named_with_both(split, twin):
    splits = {"train": ["9+9", "1+23"], "valid": ["2+2"], "test": ["3+3"]}
    splits[split] = [twin, *splits[split]]
    with pytest.raises(DataError) as caught:
        check_leakage(splits, same)
    assert str(caught.value) == (
        f"1 of the 2 {split} questions stand in another split: {twin}, for one, stands in train "
        "as 1+23; take them out of the source"
    )
    assert caught.value.exit_code == 1


def test_where_the_key_is_the_text_only_equal_texts_are_the_same_question():
    check_leakage({"train": ["1+23"], "valid": ["23+1"], "test": ["3+3"]}, str)
    data = pairs()  # all of its splits are alike
    with pytest.raises(DataError, match="20 of the 20 valid questions"):
        check_leakage({split: data.questions(split) for split in ("train", "valid")}, str)


def test_what_stands_twice_in_one_split_is_no_leak():
    check_leakage({"train": ["7", "7"], "valid": ["8"], "test": ["9"]}, str)


def test_data_without_questions_have_no_leak():
    check_leakage({}, str)
