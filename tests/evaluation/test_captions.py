"""What is kept of a model that says what is on pictures."""

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from models.toys import captions_options, zero
from unroll.data.captioned import Captioned, Captions, from_captions
from unroll.data.pairs import Texts
from unroll.data.pictures import from_text, picture_of, to_png, to_text
from unroll.data.scenes import read_scene
from unroll.errors import DataError
from unroll.evaluation.accuracy import accuracy
from unroll.evaluation.captions import SHEET, evaluate_captions
from unroll.evaluation.items import outcomes
from unroll.evaluation.sheets import NAME, Shot, read_sheet, write_sheet
from unroll.kinds import kind_of
from unroll.kinds.captions import CaptionsKind
from unroll.models.initialise import initialise
from unroll.models.seq2seq import Seq2Seq
from unroll.plans.evaluation import MadeUp
from unroll.tasks.captions import CaptionsDataOptions, CaptionsTask

SCENES = CaptionsTask(CaptionsDataOptions(kind="captions"))
FOLDER = CaptionsTask(CaptionsDataOptions(kind="captions", source="somewhere"))
SAID = "a small red circle in the top left corner"


def data_of(texts: list[str], unit: str = "token") -> Captioned:
    """Return captioned pictures of these scenes, the same in each split."""
    scenes, random = [read_scene(text) for text in texts], np.random.default_rng(0)
    pixels = np.stack([scene.draw(16, random) for scene in scenes])
    found = Captions(names=texts, captions=[scene.captions() for scene in scenes])
    splits = ("train", "valid", "test")
    return from_captions(dict.fromkeys(splits, found), dict.fromkeys(splits, pixels), unit, {})


def seer(data: Captioned, **changes) -> Seq2Seq:
    options = captions_options(bridge="state", **changes)
    model = kind_of(options).build(options, data.form)
    initialise(model, "default", 0)
    return model


def lively(data: Captioned, **changes) -> Seq2Seq:
    """Return a model whose captions depend on what it sees."""
    model = seer(data, hidden_size=16, **changes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def says(data: Captioned, caption: str) -> Seq2Seq:
    """Return a model that says this, of words all different, of every picture."""
    answers = data.form.answers
    model = seer(data, cell="rnn", embedding_size=len(answers), hidden_size=len(answers))
    zero(model)
    ids = [answers["start"], *answers.encode(answers.split(caption), "here"), answers["end"]]
    assert len(set(ids)) == len(ids)
    decoder, one_hot = model.decoder, torch.eye(len(answers))
    with torch.no_grad():
        decoder.embedding.weight.copy_(one_hot)
        decoder.recurrent.layers[0].weight_ih_l0.copy_(one_hot)
        for symbol, after in pairwise(ids):
            decoder.affine.weight[after, symbol] = 1.0
    return model


FOUR = [
    "small red circle (0.220, 0.220)",  # right, and true
    "small red circle (0.250, 0.250); large blue cross (0.700, 0.300)",  # true, and not expected
    "large red circle (0.220, 0.220)",
    "small red circle (0.780, 0.220)",
]


def test_captions_are_right_where_they_are_expected_and_true_where_they_are_so():
    data = data_of(FOUR)
    found = evaluate_captions(says(data, SAID), data, "masked", SCENES, "cpu")
    for split in ("valid", "test"):
        assert found.scores[f"{split}_exact_match"] == 0.25
        assert found.scores[f"{split}_true_captions"] == 0.5
    assert found.items["exact_match"].values.tolist() == [1, 0, 0, 0]
    assert found.items["true_captions"].values.tolist() == [1, 1, 0, 0]
    assert found.items["true_captions"].weights is None


def test_of_pictures_from_files_nobody_knows_what_is_true():
    data = data_of(FOUR)
    found = evaluate_captions(says(data, SAID), data, "masked", FOLDER, "cpu")
    assert found.scores["test_exact_match"] == 0.25
    assert not [name for name in (*found.scores, *found.items) if "true_captions" in name]
    assert [shot["true"] for shot in found.sheet] == [None] * 4


def test_any_of_the_captions_of_a_picture_is_right():
    pair = "small red circle (0.200, 0.500); large blue cross (0.800, 0.500)"
    data = data_of([pair])
    assert data.references("test") == [
        [
            "a small red circle left of a large blue cross",
            "a large blue cross right of a small red circle",
        ]
    ]
    for reference in (["a small red circle"], ["red small", "a small red circle"]):
        texts = Texts(questions=[pair], references=[reference])
        given = replace(data, texts={**data.texts, "test": texts})
        model = says(data, "a small red circle")
        found = evaluate_captions(model, given, "masked", SCENES, "cpu")
        assert found.scores["test_exact_match"] == 1.0
        assert found.scores["test_true_captions"] == 0.0  # it is no whole caption


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_items_have_the_mean_that_is_the_score(padding):
    kind, options = CaptionsKind(), captions_options(padding=padding)
    data = kind.made_up(options)
    model = lively(data, padding=padding)
    data = kind.half_right(data, model, options)
    found = evaluate_captions(model, data, padding, MadeUp("captions"), "cpu")
    assert 0 < found.scores["test_exact_match"] < 1
    metrics = {metric.name for metric in kind.metrics} - {"true_captions"}
    assert set(found.items) == metrics
    assert set(found.scores) == {f"{s}_{name}" for s in ("valid", "test") for name in metrics}
    for name, item in found.items.items():
        scale = kind.metric(f"test_{name}").scale
        mean = outcomes([item]).mean()
        assert scale.to(found.scores[f"test_{name}"]) == pytest.approx(mean, rel=1e-9)
    assert found.notes.keys() == {"bleu", "chrf"}
    assert found.maps == []  # what words look at stands on the sheet


def test_results_are_broken_down_by_scenes_and_by_new_combinations():
    data = data_of([*FOUR, "small blue circle (0.500, 0.500)"])
    table = evaluate_captions(says(data, SAID), data, "masked", SCENES, "cpu").breakdown
    by = {n: dict(zip(of["value"], of["mean"], strict=True)) for n, of in table.groupby("property")}
    assert by["combination"] == {"new": 0.0, "seen": 0.25}
    assert by["scene"] == {"one, in a place": 0.25, "two, one beside the other": 0.0}
    assert "answer length" in by
    assert by["mistake"].keys() >= {"small instead of large", "left instead of right"}


def test_samples_name_the_scene_and_what_was_said_of_it():
    data = data_of(FOUR)
    lines = evaluate_captions(says(data, SAID), data, "masked", SCENES, "cpu").samples.splitlines()
    assert lines[:4] == [f"Q {FOUR[0]}", f"T {SAID}", f"☑ {SAID}", "---"]
    assert lines[4] == f"Q {FOUR[1]}" and lines[6] == f"☒ {SAID}"


# A model that does not look


MANY = [
    *["small red circle (0.220, 0.220)"] * 3,
    *["large blue square (0.500, 0.500)"] * 2,
    "small green cross (0.780, 0.780)",
    "small red circle (0.240, 0.200); large blue square (0.700, 0.250)",
    "small black triangle (0.300, 0.300); large blue square (0.700, 0.250)",
]


def test_a_model_that_says_the_same_of_all_is_as_good_as_the_commonest_caption():
    data = data_of(MANY)
    (commonest, count), *_ = Counter(data.answers("test")).most_common()
    found = evaluate_captions(says(data, commonest), data, "masked", SCENES, "cpu")
    assert (commonest, count) == (SAID, 3)
    assert found.scores["test_exact_match"] == 3 / 8
    assert found.scores["test_true_captions"] == 4 / 8  # of the first of the two, too


@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention", "input_feeding"])
def test_a_model_whose_encoder_is_zero_says_the_same_of_all(decoder):
    """So nothing of a picture comes to a decoder but through the encoder."""
    data = data_of(MANY)
    model = lively(data, decoder=decoder, padding="masked")
    assert len(set(accuracy(model, data, "test", "masked", "cpu").texts)) > 1
    zero(model.encoder)
    (said,) = set(accuracy(model, data, "test", "masked", "cpu").texts)
    texts = Texts(questions=MANY, references=[[said], ["else"], [said, "x"], *[["else"]] * 5])
    given = replace(data, texts={**data.texts, "test": texts})
    found = evaluate_captions(model, given, "masked", SCENES, "cpu")
    assert found.scores["test_exact_match"] == 2 / 8  # how often it stands in the references


# Sheets


def with_sheet(decoder: str, count: int = 10) -> tuple[Captioned, list[dict]]:
    """Return pictures and a sheet of a model that is right in three of them."""
    data = data_of([*MANY, *FOUR][:count])
    model = lively(data, decoder=decoder, padding="masked")
    said = accuracy(model, data, "test", "masked", "cpu").texts
    references = [[text] if i in (1, 4, 7) else ["else"] for i, text in enumerate(said)]
    texts = Texts(questions=data.questions("test"), references=references)
    data = replace(data, texts={**data.texts, "test": texts})
    return data, evaluate_captions(model, data, "masked", SCENES, "cpu").sheet


def test_a_sheet_has_the_first_pictures_that_are_right_and_the_first_that_are_wrong():
    data, sheet = with_sheet("attention")
    chosen = [1, 4, 7, 0, 2, 3, 5, 6, 8]
    assert len(chosen) == 3 + SHEET
    assert [shot["right"] for shot in sheet] == [True] * 3 + [False] * SHEET
    for shot, row in zip(sheet, chosen, strict=True):
        picture = picture_of(from_text(shot["picture"], "it"), 16, "it")
        np.testing.assert_array_equal(picture, data.sources["test"].shown(row))
        assert shot["references"] == data.references("test")[row]
        assert shot["right"] == (shot["answer"] in shot["references"])
        assert shot["true"] == read_scene(data.questions("test")[row]).is_true(shot["answer"])
        assert shot["words"] == data.form.answers.split(shot["answer"])


@pytest.mark.parametrize("decoder", ["attention", "input_feeding"])
def test_each_word_looks_at_the_places_with_weights_whose_sum_is_one(decoder):
    _, sheet = with_sheet(decoder)
    assert sum(len(shot["words"]) for shot in sheet) > 9
    for shot in sheet:
        weights = np.array(shot["weights"]).reshape(-1, 64)  # a map of 8 × 8
        assert len(weights) == len(shot["words"])
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=4e-3)  # they are rounded
        assert (weights >= 0).all()


@pytest.mark.parametrize("decoder", ["plain", "peeky"])
def test_without_attention_there_are_no_weights(decoder):
    _, sheet = with_sheet(decoder)
    assert [shot["weights"] for shot in sheet] == [[]] * len(sheet)
    assert len(sheet) == 9


def test_the_weights_of_a_sheet_are_those_of_the_model_that_reads_its_own_words():
    data = data_of(FOUR)
    model = lively(data, decoder="attention", padding="masked")
    said = accuracy(model, data, "test", "masked", "cpu").texts[2]
    texts = Texts(questions=FOUR, references=[["else"], ["else"], [said], ["else"]])
    given = replace(data, texts={**data.texts, "test": texts})
    sheet = evaluate_captions(model, given, "masked", SCENES, "cpu").sheet
    answers, pixels = data.form.answers, torch.from_numpy(data.sources["test"].pixels)
    for row, shot in zip((2, 0, 1, 3), sheet, strict=True):  # what is right stands first
        ids = answers.encode(shot["words"], "here")
        inputs = torch.tensor([[answers["start"], *ids[:-1]]])
        with torch.no_grad():
            memory, state = model.encode(pixels[row : row + 1])
            weights = model.decode(inputs, state, memory).weights[0].numpy()
        assert len(shot["words"]) > 0
        np.testing.assert_allclose(shot["weights"], weights, atol=6e-5)


@pytest.mark.parametrize("decoder", ["plain", "attention"])
def test_a_sheet_is_read_as_it_was_written(tmp_path, decoder):
    _, sheet = with_sheet(decoder)
    write_sheet(tmp_path, sheet)
    found = read_sheet(tmp_path)
    assert all(isinstance(shot, Shot) for shot in found)
    assert [shot.model_dump() for shot in found] == sheet


def test_where_there_is_no_file_there_is_no_sheet(tmp_path):
    assert read_sheet(tmp_path) == []


PNG = to_text(to_png(np.zeros((3, 8, 8), np.uint8)))
SHOT = {
    "picture": PNG, "references": ["a b", "b"], "answer": "a c", "right": False, "true": None,
    "words": ["a", "c"], "weights": [[0.25, 0.75, 0, 0], [1.0, 0.0, 0.0, 0.0]],
}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weights": []},
        {"true": True, "right": True},
        {"answer": "", "words": [], "weights": []},
    ],
    ids=str,
)
def test_a_picture_with_its_caption_is_taken(tmp_path, changes):
    write_sheet(tmp_path, [{**SHOT, **changes}])
    (found,) = read_sheet(tmp_path)
    assert found.model_dump() == {**SHOT, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": [[1.0, 0.0, 0.0, 0.0]]},
        {"weights": [[1.0, 0.0]] * 3},
        {"weights": [[1.0, 0.0], [1.0]]},
        {"weights": [[], []]},
        {"weights": [[1.25, 0.0], [1.0, 0.0]]},
        {"weights": [[1.0, -0.5], [1.0, 0.0]]},
        {"weights": [[float("nan"), 0.0], [1.0, 0.0]]},
        {"weights": None},
        {"words": "a c"},
        {"words": ["a"]},
        {"references": []},
        {"references": "a b"},
        {"answer": None},
        {"right": 1},
        {"true": "yes"},
        {"picture": ""},
        {"picture": "a red circle"},
        {"picture": to_text(b"a red circle")},
        {"picture": to_text(b"\xff\xd8\xff\xe0")},
        {"more": 1},
    ],
    ids=str,
)
def test_what_is_no_picture_with_its_caption_is_refused(tmp_path, changes):
    write_sheet(tmp_path, [SHOT, {**SHOT, **changes}])
    with pytest.raises(DataError) as caught:
        read_sheet(tmp_path)
    assert str(caught.value) == f"{tmp_path / NAME} holds no pictures with their captions"


@pytest.mark.parametrize("name", SHOT)
def test_nothing_of_a_picture_may_be_missing(tmp_path, name):
    write_sheet(tmp_path, [{key: value for key, value in SHOT.items() if key != name}])
    with pytest.raises(DataError, match=rf"{NAME} holds no pictures"):
        read_sheet(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", '{"pictures": {}}', '{"shots": []}'])
def test_a_file_that_is_no_sheet_is_refused(tmp_path, text):
    (tmp_path / NAME).write_text(text)
    with pytest.raises(DataError, match=rf"{NAME} holds no pictures"):
        read_sheet(tmp_path)


def test_a_sheet_is_text_that_people_can_read(tmp_path):
    write_sheet(tmp_path, [{**SHOT, "answer": "größer"}])
    text = (tmp_path / NAME).read_text(encoding="utf-8")
    assert "größer" in text
    assert json.loads(text)["pictures"][0]["references"] == ["a b", "b"]


@pytest.mark.parametrize("symbol", ["unknown", "start"])
def test_a_special_symbol_in_a_caption_is_one_word_of_it(tmp_path, symbol):
    data = data_of(FOUR)
    model, answers = lively(data, decoder="attention", padding="masked"), data.form.answers
    with torch.no_grad():
        model.decoder.affine.weight.zero_()
        model.decoder.affine.bias[answers[symbol]] = 90
    sheet = evaluate_captions(model, data, "masked", SCENES, "cpu").sheet
    write_sheet(tmp_path, sheet)
    for shot in read_sheet(tmp_path):
        assert len(shot.weights) == len(shot.words)
        assert set(shot.words) <= set(answers.symbols)
