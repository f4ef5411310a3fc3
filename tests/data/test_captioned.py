import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from unroll.data.captioned import (
    Captioned,
    CaptionedForm,
    Captions,
    from_captions,
    load_captioned,
    save_captioned,
)
from unroll.data.sequences import SPLITS
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError
from unroll.storage.files import write_mapped
from unroll.storage.folders import new_folder

FOUND = {
    "train": Captions(names=["a.png", "b.png"], captions=[["a red one", "red"], ["a blue one"]]),
    "valid": Captions(names=["c.png"], captions=[["a green one", "one"]]),
    "test": Captions(
        names=["d.png", "e.png", "f.png"],
        captions=[["red", "a one"], ["blue"], ["a red one", "red", "a red red one"]],
    ),
}
PIXELS = {
    split: np.random.default_rng(i).integers(0, 256, (len(of.names), 3, 8, 8)).astype(np.uint8)
    for i, (split, of) in enumerate(FOUND.items())
}


def made(**changes) -> Captioned:
    return from_captions(FOUND, PIXELS, "word", {"source": "here"}, **changes)


def test_in_train_each_caption_is_an_example():
    data = made()
    assert data.sources["train"].rows.tolist() == [0, 0, 1]
    assert data.questions("train") == ["a.png", "a.png", "b.png"]
    assert data.answers("train") == ["a red one", "red", "a blue one"]
    assert data.references("train") == [["a red one"], ["red"], ["a blue one"]]
    assert data.targets["train"].texts(data.form.answers) == data.answers("train")
    np.testing.assert_array_equal(data.sources["train"].shown(1), PIXELS["train"][0])


def test_elsewhere_each_picture_is_an_example_with_all_its_captions_as_references():
    data = made()
    assert data.sources["test"].rows.tolist() == [0, 1, 2]
    assert data.questions("test") == ["d.png", "e.png", "f.png"]
    assert data.answers("test") == ["red", "blue", "a red one"]
    assert data.references("test") == FOUND["test"].captions
    assert data.targets["test"].texts(data.form.answers) == ["red", "blue", "a red one"]
    assert data.facts == {"source": "here", "counts": {"train": 3, "valid": 1, "test": 3}}


def with_weights(net: str | None = "resnet18", count: int | None = 8) -> Captioned:
    data = made()
    weights = None if count is None else np.arange(count).astype(np.uint8)
    return replace(data, form=data.form.model_copy(update={"net": net}), weights=weights)


def test_weights_of_an_encoder_are_kept_with_its_name(tmp_path):
    save_captioned(with_weights(), tmp_path / "prepared")
    found = load_captioned(tmp_path / "prepared")
    assert found.form.net == "resnet18"
    assert found.weights.tolist() == [*range(8)]
    save_captioned(made(), tmp_path / "without")
    assert load_captioned(tmp_path / "without").weights is None
    assert "net" not in json.loads((tmp_path / "without" / "form.json").read_text())


@pytest.mark.parametrize("part", [{"net": None}, {"count": None}], ids=str)
def test_weights_and_their_name_stand_together(part, tmp_path):
    save_captioned(with_weights(**part), tmp_path / "prepared")
    with pytest.raises(DataError, match="weights of an encoder and its name stand together, or"):
        load_captioned(tmp_path / "prepared")


def test_words_are_those_of_train_and_the_width_is_that_of_the_longest_example():
    form = made().form
    special = ["<pad>", "<sos>", "<eos>", "<unk>"]
    assert form.answers.symbols == [*special, "a", "red", "one", "blue"]
    assert made().targets["valid"].texts(form.answers) == ["a <unk> one"]
    assert (form.size, form.target_width) == (8, 3 + 2)
    assert made(minimum_count=2).form.answers.symbols == [*special, "a", "red", "one"]


@pytest.mark.parametrize("split", SPLITS)
def test_a_caption_that_is_empty_is_refused(split):
    empty = Captions(names=["a.png"], captions=[[""]])
    pixels = {**PIXELS, split: PIXELS[split][:1]}
    with pytest.raises(DataError, match=rf"^{split}, line 1: empty$"):
        from_captions({**FOUND, split: empty}, pixels, "word", {})


@pytest.fixture
def folder(tmp_path):
    save_captioned(made(), tmp_path / "data")
    return tmp_path / "data"


def test_what_is_saved_is_loaded(folder):
    found, expected = load_captioned(folder), made()
    assert (found.form, found.facts, found.texts) == (expected.form, expected.facts, expected.texts)
    for split in SPLITS:
        found_pixels, pixels = found.sources[split].pixels, expected.sources[split].pixels
        assert isinstance(found_pixels, np.memmap)  # they stay on the disk
        assert found_pixels.dtype == np.uint8
        np.testing.assert_array_equal(found_pixels, pixels)
        np.testing.assert_array_equal(found.sources[split].rows, expected.sources[split].rows)
        np.testing.assert_array_equal(found.targets[split].ids, expected.targets[split].ids)
        np.testing.assert_array_equal(found.targets[split].lengths, expected.targets[split].lengths)
    save_captioned(found, folder)  # while its arrays are mapped from there
    np.testing.assert_array_equal(load_captioned(folder).sources["test"].pixels, PIXELS["test"])


def test_cut_off_pictures_are_refused_by_the_name_of_the_file(folder):
    path = folder / "train.pixels.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"train\.pixels\.npy is damaged "):
        load_captioned(folder)


def array(name, make):
    """Return a change: an array becomes what `make` makes of it."""

    def change(folder):
        path = folder / f"{name}.npy"
        write_mapped(path, make(np.load(path)))

    return change


def without(name):
    return lambda folder: (folder / name).unlink()


def document(name, make):
    """Return a change: a JSON file becomes what `make` makes of it."""

    def change(folder):
        path = folder / name
        path.write_text(json.dumps(make(json.loads(path.read_text()))))

    return change


def of_split(split, **changes):
    return document("texts.json", lambda texts: {**texts, split: {**texts[split], **changes}})


def to(form, **changes):
    return document(form, lambda found: {**found, **changes})


NO_PICTURES = "has no pictures of the size that form.json says"
NOT_THERE = "shows pictures that are not there"
UNEVEN = "has more captions than pictures, or fewer"
NO_TEXTS = "texts.json does not hold the texts of each split"
NO_NUMBERS = r"\.npy is empty or holds numbers that are no ids"

DAMAGED = {
    "of another size": (array("test.pixels", lambda a: a[..., :7, :7]), f"test {NO_PICTURES}"),
    "not square": (array("test.pixels", lambda a: a[..., :7]), f"test {NO_PICTURES}"),
    "of one colour": (array("valid.pixels", lambda a: a[:, 0]), f"valid {NO_PICTURES}"),
    "of two colours": (array("valid.pixels", lambda a: a[:, :2]), f"valid {NO_PICTURES}"),
    "whole numbers": (array("train.pixels", lambda a: a.astype(np.int32)), f"train {NO_PICTURES}"),
    "fractions": (array("train.pixels", lambda a: a / 255), rf"train\.pixels{NO_NUMBERS}"),
    "none at all": (array("train.pixels", lambda a: a[:0]), rf"train\.pixels{NO_NUMBERS}"),
    "another size told": (to("form.json", size=9), NO_PICTURES),
    "missing": (without("test.pixels.npy"), f"test {NO_PICTURES}"),
    "a picture beyond": (array("test.rows", lambda a: a + 1), f"test {NOT_THERE}"),
    "a picture before": (array("test.rows", lambda a: a - 1), f"test {NOT_THERE}"),
    "a picture less": (array("test.pixels", lambda a: a[:-1]), f"test {NOT_THERE}"),
    "rows of rows": (array("valid.rows", lambda a: a[None]), f"valid {NOT_THERE}"),
    "rows missing": (without("valid.rows.npy"), f"valid {NOT_THERE}"),
    "rows that are fractions": (array("valid.rows", lambda a: a + 0.5), NO_NUMBERS),
    "a row less": (array("test.rows", lambda a: a[:-1]), f"test {UNEVEN}"),
    "a row more": (array("train.rows", lambda a: np.append(a, a[:1])), f"train {UNEVEN}"),
    "texts missing": (without("texts.json"), "does not hold the texts of the captions"),
    "texts of two splits": (
        document("texts.json", lambda texts: {**texts, "test": None}),
        NO_TEXTS,
    ),
    "a name less": (of_split("test", questions=["d.png", "e.png"]), f"test {UNEVEN}"),
    "a reference more": (of_split("valid", references=[["a"], ["b"]]), f"valid {UNEVEN}"),
    "no reference": (of_split("valid", references=[[]]), NO_TEXTS),
    "a reference that is none": (of_split("valid", references=["a green one"]), NO_TEXTS),
    "captions missing": (without("valid.target.npy"), r"arrays that it should \(valid\.target\)"),
    "a caption less": (
        lambda f: [array(n, lambda a: a[:-1])(f) for n in ("test.target", "test.target.lengths")],
        f"test {UNEVEN}",
    ),
    "other captions": (array("test.target", lambda a: a + 9), "test.target holds ids of no symbol"),
    "narrow captions": (array("test.target", lambda a: a[:, :4]), "not of the shape that form"),
    "an array more": (
        lambda folder: shutil.copy(folder / "test.rows.npy", folder / "more.npy"),
        r"arrays that it should \(more\)",
    ),
    "a vocabulary without end": (
        document(
            "form.json",
            lambda f: {**f, "answers": {**f["answers"], "special": {"pad": "<pad>", "start": "a"}}},
        ),
        "holds no form of data .*no symbol for end",
    ),
    "of another kind": (to("facts.json", kind="pairs"), "does not hold data of the kind captions"),
}


def with_change(folder, change):
    """Return the data with a change, and with a manifest that knows of it."""
    other = folder.with_name("other")
    with new_folder(other) as new:
        shutil.copytree(folder, new, dirs_exist_ok=True, ignore=lambda *_: ["manifest.json"])
        change(new)
    return other


@pytest.mark.parametrize(("change", "fault"), DAMAGED.values(), ids=DAMAGED.keys())
def test_what_does_not_fit_together_is_refused(folder, change, fault):
    other = with_change(folder, change)
    with pytest.raises(DataError, match=fault) as caught:
        load_captioned(other)
    assert str(caught.value).startswith(str(other))


def test_without_a_change_the_data_are_taken(folder):
    assert load_captioned(with_change(folder, lambda _: None)).form == made().form


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (array("test.target", lambda a: np.maximum(a, 2)), "not all targets begin with the start"),
        (array("test.target.lengths", lambda a: a * 0 + 1), "a target has no answer"),
    ],
    ids=["another start", "no answer"],
)
def test_captions_that_no_model_could_learn_are_refused(folder, change, fault):
    with pytest.raises(DataError, match=fault):
        load_captioned(with_change(folder, change))


ANSWERS = Vocabulary(["a", "b", "c", "d"], special={"pad": "a", "start": "b", "end": "c"})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"size": 7}, "size"),
        ({"size": 1_025}, "size"),
        ({"size": 8.5}, "size"),
        ({"target_width": 1}, "target_width"),
        ({"target_width": 10_001}, "target_width"),
        ({"answers": Vocabulary(["a"])}, "the vocabulary has no symbol for pad"),
        (
            {"answers": Vocabulary(["a", "b"], special={"pad": "a", "start": "b"})},
            "the vocabulary has no symbol for end",
        ),
        ({"more": 1}, "more"),
    ],
    ids=str,
)
def test_what_no_model_could_use_is_no_form(change, fault):
    good = {"size": 8, "answers": ANSWERS, "target_width": 2}
    assert CaptionedForm.model_validate(good).size == 8
    with pytest.raises(ValidationError, match=fault):
        CaptionedForm.model_validate({**good, **change})
