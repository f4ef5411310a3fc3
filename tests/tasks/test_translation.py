import pytest
from num2words import num2words
from pydantic import ValidationError

from unroll.data.sequences import SPLITS
from unroll.errors import DataError, UserError
from unroll.tasks.translation import Translation, TranslationOptions

FEW = {"train": 30, "valid": 5, "test": 5}


def translation(**options):
    return Translation(TranslationOptions.model_validate({"kind": "translation", **options}))


def rows(data, *splits):
    return [row for s in splits for row in zip(data.questions(s), data.answers(s), strict=True)]


def test_known_seed_gives_known_numbers():
    data = translation(train=400, valid=2, test=1, to_language="ko", to_unit="character").prepare()
    assert rows(data, "valid", "test") == [
        (
            "two hundred and forty-six thousand, nine hundred and fifty-three",
            "이십사만 육천구백오십삼",
        ),
        (
            "eight hundred and nine thousand, seven hundred and thirty-eight",
            "팔십만 구천칠백삼십팔",
        ),
        ("forty-seven thousand, six hundred and seventy-three", "사만 칠천육백칠십삼"),
    ]
    assert data.sources["test"].texts(data.form.source) == data.questions("test")
    assert data.targets["test"].texts(data.form.answers) == data.answers("test")


@pytest.mark.parametrize("language", ["en", "fr", "ko"])
def test_no_two_numbers_are_written_alike(language):
    """Every number below a thousand, and how thousands are put before them, gives all others."""
    task, found = translation(), {}
    numbers = [*range(2000), *range(2000, 1_000_000, 997), *range(1000, 1_000_000, 1000)]
    for number in dict.fromkeys(numbers):
        written = task._written(number, language)
        assert found.setdefault(written, number) == number
    assert found[task.options.plain(num2words(1984, lang=language))] == 1984


def test_numbers_of_different_splits_are_different_and_translated():
    task = translation(from_language="fr", to_language="ko", to_unit="character", **FEW)
    data = task.prepare()
    questions = {split: data.questions(split) for split in SPLITS}
    assert {split: len(of) for split, of in questions.items()} == FEW
    assert len({q for of in questions.values() for q in of}) == sum(FEW.values())


def test_one_language_twice_is_refused():
    with pytest.raises(UserError, match="both en"):
        translation(to_language="en").prepare()


def test_more_numbers_than_there_are_are_refused():
    with pytest.raises(UserError, match="exceed the 1,000,000 numbers"):
        translation(train=999_999).prepare()


@pytest.mark.parametrize(
    ("options", "plain"),
    [
        ({}, "Va, l'été !"),
        ({"punctuation": "strip"}, "Va l'été"),
        ({"lower_case": True}, "va, l'été !"),
        ({"accents": "strip"}, "Va, l'ete !"),
    ],
)
def test_a_text_is_made_as_the_options_say(options, plain):
    assert translation(**options).question("Va,  l'e\u0301te\u0301\u202f!") == plain


@pytest.mark.parametrize("text", ["안녕하세요 ?", "हिन्दी", "がんばれ", "ไทย"])
def test_signs_that_are_no_accents_and_no_punctuation_stay(text):
    plain = translation(accents="strip", punctuation="strip").question(text)
    assert plain == text.removesuffix(" ?")


@pytest.mark.parametrize(
    ("options", "idle"),
    [
        ({"minimum_count": 2}, "minimum_count: only of a file"),
        ({"longest_source": 9, "from_column": 3}, "from_column, longest_source: only of a file"),
        ({"source": "a.tsv", "train": 9}, "train: only of numbers"),
        ({"source": "a.tsv", "to_language": "ko"}, "to_language: only of numbers"),
    ],
)
def test_an_option_that_does_nothing_is_refused(options, idle):
    with pytest.raises(ValidationError, match=idle):
        translation(**options)


@pytest.fixture
def file(tmp_path):
    """Return a file of 100 sources of few letters, one of which has three translations."""
    path = tmp_path / "pairs.tsv"
    words = [f"{a}{b}" for a in "abcdefghij" for b in "abcdefghij"]
    lines = [f"{word}\t{word[::-1]}\tCC-BY" for word in words]
    lines += ["ab\tbba\tx", "Ab\tba a\tx", "cd\tdc\tx", "a long source\td\tx", ""]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_file_is_split_by_source_and_translations_stay_together(file):
    options = {"from_unit": "character", "to_unit": "character", "longest_source": 5}
    options |= {"lower_case": True, "valid": 4, "test": 4}
    data = translation(source=str(file), **options).prepare()
    sources = {split: set(data.questions(split)) for split in SPLITS}
    assert not sources["train"] & sources["valid"] and not sources["train"] & sources["test"]
    assert not sources["valid"] & sources["test"]
    assert [len(sources[split]) for split in SPLITS] == [92, 4, 4]
    texts = {split: of for split in SPLITS for of in [data.texts[split]] if "ab" in of.questions}
    ((split, of),) = texts.items()
    together = [r for q, r in zip(of.questions, of.references, strict=True) if q == "ab"]
    assert together == (
        [["ba"], ["bba"], ["ba a"]] if split == "train" else [["ba", "bba", "ba a"]]
    )
    assert len(data.sources[split]) == len(of.questions)
    assert data.facts["pairs"] == 104
    assert data.facts["different"] == 103
    assert data.facts["too long"] == 1
    assert data.facts["a side empty"] == 0


def test_pairs_of_which_a_side_is_empty_are_left_out_and_counted(file):
    file.write_text(file.read_text() + "word\t \tx\n\tmot\tx\nxyz\t...\tx\n￭\tz\tx\n")
    data = translation(source=str(file), punctuation="strip", valid=4, test=4).prepare()
    assert data.facts["a side empty"] == 4
    assert not {"word", "xyz", "￭"} & {q for split in SPLITS for q in data.questions(split)}


def test_a_count_that_leaves_no_symbol_is_refused(file):
    with pytest.raises(
        DataError, match=r"minimum_count: no symbol of .*pairs\.tsv stands so often"
    ):
        translation(source=str(file), minimum_count=1000, valid=4, test=4).prepare()


def test_rare_words_are_unknown(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"the{i % 3} w{i}\tle{i % 3} m{i}\n" for i in range(40)))
    data = translation(source=str(path), minimum_count=2, valid=2, test=2).prepare()
    assert set(data.form.source.symbols) == {"<pad>", "<unk>", "the0", "the1", "the2"}
    assert data.sources["test"].texts(data.form.source)[0].endswith("<unk>")
    assert all(" w" in question for question in data.questions("test"))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("alone", "1 columns, but column 2 is asked for; mend the line, or from_column"),
        ("word\tsay <eos> now", "<eos> has a meaning here"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, fault):
    path = tmp_path / "pairs.tsv"
    path.write_text(f"word\tmot\n{line}\n")
    with pytest.raises(DataError, match=rf"pairs.tsv, line 2: .*{fault}"):
        translation(source=str(path), to_unit="word").prepare()


def test_too_few_sources_are_refused(file):
    with pytest.raises(DataError, match="valid and test ask for"):
        translation(source=str(file), valid=60, test=60).prepare()


@pytest.mark.parametrize(
    ("answered", "name"),
    [
        ("un deux trois quatre", "half of it right, or more"),
        ("deux un trois", "all in another order"),
        ("cinq", "nothing right"),
        ("un", "less than half of it right"),
    ],
)
def test_mistakes_are_named_by_how_much_is_right(answered, name):
    assert translation().mistake("un deux trois", answered) == name


def test_its_example_is_a_question():
    for language in ("en", "fr", "ko"):
        task = translation(from_language=language)
        assert task.question(task.example) == task.example
    assert translation(source="pairs.tsv").example == ""
