import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from unroll.data import scenes
from unroll.data.pictures import from_text, picture_of, read_picture
from unroll.data.scenes import read_scene
from unroll.data.sequences import SPLITS
from unroll.errors import DataError
from unroll.models.resnet import ResNet, numbers_of
from unroll.tasks.captions import CaptionsDataOptions, CaptionsTask

FEW = {"size": 16, "train": 60, "valid": 10, "test": 12, "new_combinations": 8}


def captions(**options) -> CaptionsTask:
    return CaptionsTask(CaptionsDataOptions.model_validate({"kind": "captions", **options}))


# Drawn scenes


@pytest.fixture(scope="module")
def drawn():
    return captions(**FEW).prepare()


def test_as_many_scenes_are_drawn_as_are_asked_for(drawn):
    pictures = {split: len(drawn.sources[split].pixels) for split in SPLITS}
    assert pictures == {"train": 60, "valid": 10, "test": 12 + 8}
    assert {len(set(drawn.questions(split))) for split in SPLITS} == {60, 10, 20}
    assert drawn.sources["test"].pixels.shape == (20, 3, 16, 16)
    assert drawn.form.size == 16
    counts = {split: len(drawn.questions(split)) for split in SPLITS}
    assert counts["train"] > 60  # some have two captions
    assert drawn.facts == {"source": "scenes", "of new combinations": 8, "counts": counts}


def test_no_scene_is_in_two_splits(drawn):
    found = {split: set(drawn.questions(split)) for split in SPLITS}
    assert not found["train"] & found["valid"]
    assert not (found["train"] | found["valid"]) & found["test"]


def test_no_scene_comes_twice_where_there_are_few(monkeypatch):
    """Where nothing lies beside its place, of single things there are some hundreds."""
    monkeypatch.setattr(scenes, "JITTER", 0.0)
    data = captions(**{**FEW, "train": 300, "test": 100}).prepare()
    pictures = {split: len(data.sources[split].pixels) for split in SPLITS}
    assert pictures == {"train": 300, "valid": 10, "test": 100 + 8}
    assert len({scene for split in SPLITS for scene in data.questions(split)}) == 300 + 10 + 108


def test_new_combinations_are_in_test_alone(drawn):
    new = {s: [read_scene(text).is_held_out for text in drawn.questions(s)] for s in SPLITS}
    assert {split: sum(of) for split, of in new.items()} == {"train": 0, "valid": 0, "test": 8}
    assert new["test"] == [False] * 12 + [True] * 8


def test_each_caption_is_true_of_its_scene(drawn):
    task = captions(**FEW)
    for split in SPLITS:
        for scene, said in zip(drawn.questions(split), drawn.references(split), strict=True):
            assert said
            assert all(task.is_true(scene, caption) is True for caption in said)
    assert drawn.targets["train"].texts(drawn.form.answers) == drawn.answers("train")


def test_pictures_show_their_scenes():
    """The colours of things are where the scene says that they are."""
    data = captions(**{**FEW, "size": 64}).prepare()
    for example, text in enumerate(data.questions("test")):
        picture = data.sources["test"].shown(example)
        for thing in read_scene(text).things:
            point = picture[:, int(64 * thing.y), int(64 * thing.x)].astype(int)
            assert np.abs(point - scenes.COLOURS[thing.colour]).max() <= 60


def test_the_seed_decides(drawn):
    same, other = captions(**FEW).prepare(), captions(**FEW, seed=7).prepare()
    for split in SPLITS:
        np.testing.assert_array_equal(same.sources[split].pixels, drawn.sources[split].pixels)
        np.testing.assert_array_equal(same.targets[split].ids, drawn.targets[split].ids)
    assert other.questions("test") != drawn.questions("test")


def test_results_are_broken_down_by_what_scenes_show():
    questions = [
        "small red circle (0.220, 0.220)",
        "large red square (0.300, 0.300); large red square (0.700, 0.300)",
        "large red circle (0.300, 0.300); small blue circle (0.700, 0.300)",
        "small green cross (0.300, 0.300); large red cross (0.700, 0.300)",
    ]
    combination, scene = captions().properties(questions)
    assert (combination.name, combination.labels) == ("combination", ("new", "seen"))
    assert [combination.labels[i] for i in combination.codes] == ["seen", "new", "new", "seen"]
    assert scene.name == "scene"
    assert [scene.labels[i] for i in scene.codes] == [
        "one, in a place",
        "several alike",
        "two, one beside the other",
        "two, one beside the other",
    ]
    assert {combination.name, scene.name} == set(CaptionsTask.axes)


def test_a_caption_is_true_or_false_of_a_scene():
    task, scene = captions(), "small red circle (0.220, 0.220)"
    assert task.is_true(scene, "a small red circle in the top left corner") is True
    assert task.is_true(scene, "a small red circle in the middle") is False
    assert task.is_true(scene, "") is False


@pytest.mark.parametrize(
    ("answered", "name"),
    [
        ("a large red circle", "large instead of small"),
        ("a small blue cross", "blue instead of red"),
        ("a small red", "too short or too long"),
        ("a small red circle in the middle", "too short or too long"),
        ("", "too short or too long"),
    ],
)
def test_a_mistake_is_the_first_word_that_differs(answered, name):
    assert captions().mistake("a small red circle", answered) == name


@pytest.mark.parametrize("options", [{}, {"size": 48}, {"source": "somewhere"}], ids=str)
def test_its_example_is_a_picture(options):
    task = captions(**options)
    size = task.options.size
    assert picture_of(from_text(task.example, "it"), size, "it").shape == (3, size, size)
    assert task.example == captions(**options).example


# A folder

COLOURS = [(10 * i, 250 - 10 * i, 99) for i in range(12)]
ROWS = [(f"{i}.png", f"a thing of number {i}") for i in range(12)]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a folder with twelve pictures, and no captions yet."""
    for i, colour in enumerate(COLOURS):
        Image.new("RGB", (20, 20), colour).save(tmp_path / f"{i}.png")
    return tmp_path


def csv(folder: Path, rows=ROWS, head="file,caption") -> None:
    text = "\n".join([head, *(",".join(row) for row in rows)])
    (folder / "captions.csv").write_text(text + "\n")


def of(folder: Path, **options) -> CaptionsTask:
    return captions(**{"source": str(folder), "size": 16, "valid": 2, "test": 3, **options})


def everything(data) -> dict[str, list[str]]:
    """Return the captions of each picture, by its name, from all splits."""
    found: dict[str, list[str]] = {}
    for split in SPLITS:
        for name, said in zip(data.questions(split), data.references(split), strict=True):
            found[name] = [*found.get(name, []), *said]
    return found


def as_csv(folder, rows):
    csv(folder, rows)
    return {}


def as_tsv(folder, rows):
    text = "\n".join(["more\tfile\tcaption", *(f"x\t{name}\t{said}" for name, said in rows)])
    (folder / "them.tsv").write_text(text)
    return {"captions": "them.tsv"}


def as_lines(folder, rows):
    lines = [json.dumps({"file": name, "caption": said, "more": 1}) for name, said in rows]
    (folder / "them.jsonl").write_text("\n \n\n".join(lines))
    return {"captions": "them.jsonl"}


def as_lists(folder, rows):
    found: dict[str, list[str]] = {}
    for name, said in rows:
        found.setdefault(name, []).append(said)
    lines = [json.dumps({"file": name, "caption": said}) for name, said in found.items()]
    (folder / "them.json").write_text("\n".join(lines))
    return {"captions": "them.json"}


@pytest.mark.parametrize("write", [as_csv, as_tsv, as_lines, as_lists])
def test_a_folder_is_read_with_its_captions(folder, write):
    more = [
        ("3.png", "one more"),
        ("4.png", "another"),
        ("3.png", "one more"),
        ("3.png", "a third"),
    ]
    data = of(folder, **write(folder, [*ROWS, *more])).prepare()
    expected = {name: [said] for name, said in ROWS}
    expected["3.png"] += ["one more", "a third"]  # the same one twice counts once
    expected["4.png"] += ["another"]
    assert everything(data) == expected
    assert {s: len(data.sources[s].pixels) for s in SPLITS} == {"train": 7, "valid": 2, "test": 3}
    assert data.facts["captions"] == 15
    assert data.facts["source"] == str(folder)
    for split in SPLITS:
        for example, name in enumerate(data.questions(split)):
            expected_picture = read_picture(folder / name, 16)
            np.testing.assert_array_equal(data.sources[split].shown(example), expected_picture)


def test_captions_of_a_picture_are_examples_in_train_and_references_elsewhere(folder):
    csv(folder, [*ROWS, *((name, f"{said} again") for name, said in ROWS)])
    data = of(folder).prepare()
    assert {s: len(data.questions(s)) for s in SPLITS} == {"train": 14, "valid": 2, "test": 3}
    assert {len(said) for said in data.references("train")} == {1}
    assert {len(said) for s in ("valid", "test") for said in data.references(s)} == {2}


def test_a_picture_of_which_nothing_is_said_is_left_out(folder):
    csv(folder, ROWS[:9])
    assert everything(of(folder).prepare()).keys() == {name for name, _ in ROWS[:9]}


@pytest.mark.parametrize("seed", range(6))
def test_the_same_picture_under_other_names_stays_in_one_split(folder, seed):
    names = ["0.png", "twin.png", "again.bmp", "./0.png"]
    shutil.copy(folder / "0.png", folder / "twin.png")
    Image.open(folder / "0.png").save(folder / "again.bmp")
    csv(folder, [*ROWS, *((name, f"from {name}") for name in names[1:])])
    data = of(folder, seed=seed, valid=4, test=4).prepare()
    of_split = [set(data.questions(split)) & set(names) for split in SPLITS]
    assert sorted(map(len, of_split)) == [0, 0, 4]


def test_the_seed_decides_which_pictures_are_tested(folder):
    csv(folder)
    one, same, other = (of(folder, seed=s).prepare().questions("test") for s in (1, 1, 2))
    assert one == same != other


def test_a_table_may_have_columns_of_other_names_and_the_signs_of_windows(folder):
    lines = ["text,image", *(f'"{said}, with a comma",{name}' for name, said in ROWS)]
    (folder / "captions.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    data = of(folder, file_column="image", caption_column="text").prepare()
    assert everything(data)["7.png"] == ["a thing of number 7, with a comma"]
    assert data.facts["found"] == ["a byte order mark at the start", "line ends of Windows"]


def test_captions_are_made_plain_as_the_options_say(folder):
    csv(folder, [(name, f"Un  Été n°{i}!") for i, (name, _) in enumerate(ROWS)])
    data = of(folder, lower_case=True, accents="strip", punctuation="strip").prepare()
    assert everything(data)["3.png"] == ["un ete n 3"]


def test_rare_words_are_unknown_to_the_model_and_stay_in_the_references(folder):
    csv(folder)
    data = of(folder, minimum_count=2).prepare()
    special = ["<pad>", "<sos>", "<eos>", "<unk>"]
    assert data.form.answers.symbols == [*special, "a", "thing", "of", "number"]
    assert all("<unk>" not in said for of in data.references("test") for said in of)
    written = data.targets["test"].texts(data.form.answers)
    assert written == ["a thing of number <unk>"] * 3


@pytest.mark.parametrize("unit", ["character", "word", "token"])
def test_captions_are_of_the_unit_that_is_chosen(folder, unit):
    csv(folder)
    form = of(folder, unit=unit).prepare().form
    assert form.answers.unit == unit
    assert form.target_width == 2 + (len("a thing of number 10") if unit == "character" else 5)


def test_nobody_knows_what_is_true_of_a_file(folder):
    csv(folder)
    task = of(folder)
    assert task.is_true("0.png", "a thing of number 0") is None
    assert task.properties(["0.png", "1.png"]) == []


def refused(task: CaptionsTask) -> str:
    with pytest.raises(DataError) as caught:
        task.prepare()
    return str(caught.value)


def test_a_folder_that_is_none_is_refused(folder):
    assert refused(captions(source="nowhere")) == (
        "source: nowhere is no folder; name one, or choose: scenes"
    )
    assert "is no folder" in refused(captions(source=str(folder / "0.png")))


def test_captions_that_are_not_there_are_named(folder):
    assert refused(of(folder)).startswith(f"{folder / 'captions.csv'} cannot be read (No such")
    assert refused(of(folder, captions="a.jsonl")).startswith(f"{folder / 'a.jsonl'} cannot be")


def test_a_picture_that_is_not_there_is_named(folder):
    csv(folder, [*ROWS, ("none.png", "nothing")])
    assert refused(of(folder)).startswith(f"{folder / 'none.png'} cannot be read (No such file")


@pytest.mark.parametrize("content", [b"", b"a text", b"\x89PNG\r\n\x1a\n"], ids=repr)
def test_a_picture_that_is_broken_is_named(folder, content):
    csv(folder)
    (folder / "5.png").write_bytes(content)
    assert refused(of(folder)).startswith(f"{folder / '5.png'} is no picture that can be read")


@pytest.mark.parametrize("said", ["", "  ", '"\n"', "\u2003"], ids=repr)
def test_an_empty_caption_is_refused_with_its_line(folder, said):
    csv(folder, [*ROWS[:3], ("3.png", said)])
    line = 6 if "\n" in said else 5  # the one in which it ends
    assert refused(of(folder)) == f"{folder / 'captions.csv'}, line {line}: there is no caption"


def test_a_caption_of_which_the_options_leave_nothing_is_refused_with_its_line(folder):
    csv(folder, [*ROWS[:3], ("3.png", "?!")])
    fault = f"{folder / 'captions.csv'}, line 5: there is no caption"
    assert refused(of(folder, punctuation="strip")) == fault


def test_a_caption_of_a_joiner_alone_is_refused_with_its_line(folder):
    csv(folder, [*ROWS, ("0.png", "\uffed")])
    assert refused(of(folder)).startswith(f"{folder / 'captions.csv'}, line 14: ")


@pytest.mark.parametrize("symbol", ["<pad>", "<sos>", "<eos>"])
def test_a_word_that_has_a_meaning_is_refused_with_its_line(folder, symbol):
    csv(folder, [ROWS[0], ("1.png", f"say {symbol} now")])
    fault = f"{folder / 'captions.csv'}, line 3: {symbol} has a meaning here; write it otherwise"
    assert refused(of(folder, unit="word")) == fault


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "not valid JSON; a line is one object"),
        ("[" * 100_000, "not valid JSON; a line is one object"),
        ("[1, 2]", "an object with file and caption is expected"),
        ('"a text"', "an object with file and caption is expected"),
        ('{"caption": "a"}', "an object with file and caption is expected"),
        ('{"file": 3, "caption": "a"}', "an object with file and caption is expected"),
        ('{"file": "0.png"}', "an object with file and caption is expected"),
        ('{"file": "0.png", "caption": []}', "an object with file and caption is expected"),
        ('{"file": "0.png", "caption": {"a": "b"}}', "an object with file and caption is expected"),
        ('{"file": "0.png", "caption": ["a", 3]}', "a caption is no text"),
        ('{"file": "0.png", "caption": ["a", " "]}', "there is no caption"),
    ],
    ids=lambda text: text[:40],
)
def test_a_line_that_says_nothing_of_a_picture_is_named(folder, line, fault):
    path = folder / "captions.jsonl"
    path.write_text('{"file": "0.png", "caption": "a"}\n\n' + line + "\n")
    assert refused(of(folder, captions="captions.jsonl")) == f"{path}, line 3: {fault}"


def test_a_column_that_is_missing_is_named(folder):
    csv(folder, head="file,captions")
    assert refused(of(folder)) == (
        f"{folder / 'captions.csv'} has no column 'caption' (did you mean captions?); "
        "it has file, captions"
    )


def test_too_few_pictures_are_refused(folder):
    csv(folder)
    assert "valid and test ask for 12" in refused(of(folder, valid=6, test=6))
    csv(folder, [])
    assert "valid and test ask for 5" in refused(of(folder))


def test_a_count_that_leaves_no_word_is_refused(folder):
    csv(folder)
    assert "minimum_count" in refused(of(folder, minimum_count=1_000))


@pytest.mark.parametrize(
    "row",
    [
        {"file": "a\0.png", "caption": "a"},
        {"file": "a\ud800.png", "caption": "a"},
        {"file": "0.png", "caption": "a\ud800"},
        {"file": "0.png", "caption": "a " * 10_001},
    ],
    ids=["a name with a zero", "a name with half a symbol", "half a symbol", "very long"],
)
def test_what_json_can_hold_and_no_study_is_refused(folder, row):
    lines = [*({"file": name, "caption": said} for name, said in ROWS), row]
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert refused(of(folder, captions="captions.jsonl"))


# Options


@pytest.mark.parametrize(
    ("options", "idle"),
    [
        ({"captions": "a.csv"}, "captions: only of a folder"),
        ({"file_column": "image"}, "file_column: only of a folder"),
        ({"caption_column": "a", "minimum_count": 2}, "caption_column, minimum_count: only of a f"),
        ({"source": "here", "train": 9}, "train: only of scenes"),
        ({"source": "here", "new_combinations": 9}, "new_combinations: only of scenes"),
    ],
    ids=str,
)
def test_an_option_that_does_nothing_is_refused(options, idle):
    with pytest.raises(ValidationError, match=f"{idle}.*leave it out"):
        captions(**options)


@pytest.mark.parametrize("size", [15, 257, 32.0])
def test_a_size_that_no_model_sees_is_refused(size):
    with pytest.raises(ValidationError, match="size"):
        captions(size=size)


# A pretrained encoder


def test_weights_of_a_net_are_among_the_data(folder, tmp_path):
    csv(folder)
    net = ResNet("resnet18")
    torch.save(net.state_dict(), tmp_path / "net.pth")
    task = of(folder, weights=str(tmp_path / "net.pth"))
    data = task.prepare()
    assert data.form.net == "resnet18"
    np.testing.assert_array_equal(data.weights, numbers_of(net.state_dict()))
    assert data.facts["encoder"] == {"net": "resnet18", "weights": str(tmp_path / "net.pth")}
    without = of(folder).prepare()
    assert without.weights is None and without.form.net is None
    assert without.texts == data.texts


def test_weights_that_are_not_there_are_named(folder):
    csv(folder)
    with pytest.raises(DataError, match=r"net\.pth does not exist; it is to hold weights"):
        of(folder, weights=str(folder / "net.pth")).prepare()
