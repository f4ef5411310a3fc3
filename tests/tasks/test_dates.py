from datetime import date

import pytest
from babel.dates import format_date
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.toys import few_examples
from unroll.data.leakage import check_leakage
from unroll.data.sequences import SPLITS
from unroll.errors import DataError, UserError
from unroll.tasks.dates import Dates, DatesOptions

LANGUAGES = ["en", "fr", "de", "ko", "ja", "pt_BR", "ru", "nl", "sv", "it"]
STYLES = ["short", "medium", "long", "full"]
FEW = {"train": 60, "valid": 10, "test": 10}


def dates(**options):
    return Dates(DatesOptions.model_validate({"kind": "dates", **options}))


def rows(data, *splits):
    return [row for s in splits for row in zip(data.questions(s), data.answers(s), strict=True)]


def test_known_seed_gives_known_dates():
    data = dates(train=40, valid=3, test=2).prepare()
    assert rows(data, "valid", "test") == [
        ("13.12.1999", "1999-12-13"),
        ("10 janvier 1972", "1972-01-10"),
        ("24.02.00", "2000-02-24"),
        ("30.06.1994", "1994-06-30"),
        ("t<unk>ursday, october 14, 2010", "2010-10-14"),
    ]


@few_examples
@given(
    languages=st.lists(st.sampled_from(["en", "fr", "de", "ko"]), min_size=1, unique=True),
    sizes=st.tuples(st.integers(200, 300), *[st.integers(1, 60)] * 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_date_stands_in_two_splits_however_written(languages, sizes, seed):
    counts = dict(zip(SPLITS, sizes, strict=True))
    task = dates(languages=languages, seed=seed, **counts)
    data = task.prepare()
    assert {split: len(data.questions(split)) for split in SPLITS} == counts
    of = {split: {answer for _, answer in rows(data, split)} for split in SPLITS}
    assert not of["train"] & of["test"] and not of["train"] & of["valid"]
    assert not of["valid"] & of["test"]
    check_leakage({split: data.questions(split) for split in SPLITS}, task.same)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("style", STYLES)
def test_every_day_of_four_years_is_read_as_babel_writes_it(language, style):
    task = dates(languages=[language])
    days = [date(year, month, day) for year in (1970, 1999, 2000, 2017)
            for month in range(1, 13) for day in (1, 9, 12, 28)]  # fmt: skip
    for day in days:
        text = format_date(day, format=style, locale=language)
        for written in (text, text.upper(), text.lower(), f"  {text} "):
            assert task.same(written) == (day,), written


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  27   Mai  1994 ", "27 Mai 1994"),
        ("27\u00a0mai\u202f1994", "27 mai 1994"),
        ("２７ mai １９９４", "27 mai 1994"),
        ("27 MAI 1994", "27 MAI 1994"),
    ],
)
def test_a_question_has_single_blanks_and_digits_of_ascii(text, plain):
    assert dates(languages=["fr"]).question(text) == plain


@pytest.mark.parametrize(
    "text", ["", "soon", "27 mai", "30 février 1999", "27 mai 1969", "27 mai 2018", "27 may 1994"]
)
def test_what_is_no_date_is_refused_with_what_is(text):
    with pytest.raises(UserError, match="it reads dates of 1970 to 2017, such as: 03/05/2017"):
        dates(languages=["fr"]).question(text)


def test_its_example_is_a_question():
    for language in LANGUAGES:
        task = dates(languages=[language], first_year=2001, last_year=2003)
        assert task.question(task.example) == task.example


def test_two_digits_are_the_year_within_the_hundred():
    task = dates(languages=["en"], first_year=1950, last_year=2049)
    assert task.same("1/2/50") == (date(1950, 1, 2),)
    assert task.same("1/2/49") == (date(2049, 1, 2),)


def test_languages_that_read_a_text_as_two_dates_are_refused():
    with pytest.raises(UserError, match="take languages whose short forms differ"):
        dates(languages=["en", "es"], **FEW | {"train": 400}).prepare()


@pytest.mark.parametrize("language", ["xx", "", "English", "en-"])
def test_a_language_that_babel_does_not_know_is_named(language):
    with pytest.raises(UserError, match="no language that babel knows"):
        dates(languages=[language], **FEW).prepare()


def test_a_part_that_is_not_known_is_named():
    with pytest.raises(UserError, match=r"dates in th have a part that is not known here \(G\)"):
        dates(languages=["th"], **FEW).prepare()


@pytest.mark.parametrize(
    "options",
    [
        {"first_year": 1900, "last_year": 2000},
        {"first_year": 2001, "last_year": 2000},
        {"languages": []},
        {"split": "book"},
        {"train": 0},
    ],
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(ValidationError):
        dates(**options)


def test_more_texts_than_there_are_is_refused():
    with pytest.raises(UserError, match="could be written for train; lower its share"):
        dates(first_year=2000, last_year=2000, languages=["en"], train=6_000).prepare()


def test_properties_are_language_and_style():
    language, style = dates().properties(["27.05.94", "SEP 2, 1994", "1994년 5월 27일", "soon"])
    assert [language.labels[code] for code in language.codes] == ["de", "en", "ko", "other"]
    assert [style.labels[code] for code in style.codes] == ["short", "medium", "long", "other"]


@pytest.mark.parametrize(
    ("answered", "name"),
    [
        ("1994-05-28", "another day"),
        ("1994-06-28", "another month and day"),
        ("1995-05-27", "another year"),
        ("1994-5-27", "no date"),
        ("1994-05-27", "symbols after the date"),
        ("", "no date"),
    ],
)
def test_mistakes_are_named_by_what_is_wrong(answered, name):
    assert dates().mistake("1994-05-27", answered) == name


# A file in the book's format


def line(question, answer):
    return f"{question:29}_{answer}"


@pytest.fixture
def file(tmp_path):
    """Return a file of 40 dates in two forms each, one of them twice."""
    days = [date(2000, 1, day) for day in range(1, 21)] + [date(2001, 2, d) for d in range(1, 21)]
    lines = [line(f"{day:%B} {day.day}, {day.year}", day.isoformat()) for day in days]
    lines += [line(f"{day.month}/{day.day}/{day:%y}", day.isoformat()) for day in days]
    path = tmp_path / "date.txt"
    path.write_text("\n".join([*lines, lines[0]]) + "\n")
    return path


def test_a_file_is_split_by_dates_and_each_line_is_taken_once(file):
    task = dates(source=str(file), languages=["en"])
    data = task.prepare()
    assert data.facts["lines"] == 81
    assert data.facts["distinct"] == 80
    assert data.facts["counts"] == {"train": 64, "valid": 8, "test": 8}
    check_leakage({split: data.questions(split) for split in SPLITS}, task.same)


def test_the_split_of_the_book_is_taken_on_demand_and_what_it_shares_is_counted(file):
    task = dates(source=str(file), languages=["en"], split="book")
    data = task.prepare()
    assert task.leaks and not dates().leaks
    assert data.facts["counts"] == {"train": 66, "valid": 7, "test": 8}
    train = {answer for _, answer in rows(data, "train")}
    again = [answer in train for _, answer in rows(data, "test")]
    assert data.facts["shared"]["test"] == sum(again) > 0


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("september 27, 1994", "is not of the form"),
        (line("", "1994-09-27"), "is not of the form"),
        (line("9/27/94", "1994-9-27"), "'1994-9-27' is no date in the form of ISO 8601"),
        (line("9/31/94", "1994-09-31"), "'1994-09-31' is no date"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path, bad, fault):
    path = tmp_path / "date.txt"
    path.write_text(line("9/27/94", "1994-09-27") + "\n" + bad + "\n")
    with pytest.raises(DataError, match=rf"date.txt, line 2: .*{fault}"):
        dates(source=str(path)).prepare()


def test_a_missing_file_is_named():
    with pytest.raises(DataError, match=r"nowhere\.txt is no file"):
        dates(source="nowhere.txt").prepare()


def test_blank_lines_are_passed_over(file):
    with_blanks = file.with_name("blanks.txt")
    with_blanks.write_text("\n" + file.read_text().replace("\n", "\n\n"))
    one, other = (dates(source=str(path)).prepare() for path in (file, with_blanks))
    assert [one.questions(s) for s in SPLITS] == [other.questions(s) for s in SPLITS]


def test_digits_of_other_scripts_are_no_date():
    with pytest.raises(UserError, match="is no question of this model"):
        dates().question("٢٧/٠٥/١٩٩٤")


def test_too_few_dates_are_refused(tmp_path):
    path = tmp_path / "date.txt"
    path.write_text(line("9/27/94", "1994-09-27") + "\n")
    with pytest.raises(
        DataError, match=r"date\.txt has 1 different dates; to be split it needs 20"
    ):
        dates(source=str(path)).prepare()
