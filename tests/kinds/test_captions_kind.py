"""A model that says what is on pictures, asked as people and servers ask it."""

import numpy as np
import pytest
import torch

from models.toys import captions_options, trained
from unroll import kinds
from unroll.data.captioned import Captioned
from unroll.data.pictures import from_text, picture_of, to_png, to_text
from unroll.data.scenes import read_scene
from unroll.data.sequences import SPLITS
from unroll.errors import DataError, UserError
from unroll.evaluation.accuracy import accuracy
from unroll.models.initialise import initialise
from unroll.runs.model import TrainedModel, read_model, write_model
from unroll.tasks.captions import CaptionsDataOptions, CaptionsTask

KIND = kinds.named("captions")
DATA = {"kind": "captions", "size": 16, "train": 40, "valid": 8, "test": 8, "new_combinations": 2}
TASK = CaptionsTask(CaptionsDataOptions.model_validate(DATA))


@pytest.fixture(scope="module")
def data() -> Captioned:
    return TASK.prepare()


def toy(data: Captioned, **changes) -> TrainedModel:
    """Return a model that has learned nothing, and says something else of each picture."""
    options = captions_options(hidden_size=16, bridge="state", padding="masked", **changes)
    model = KIND.build(options, data.form)
    initialise(model, "default", 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return trained(model, options, data.form, TASK)


@pytest.fixture(scope="module")
def attentive(data) -> TrainedModel:
    return toy(data, decoder="attention")


def texts(data: Captioned, count: int = 10) -> list[str]:
    """Return test pictures as base64."""
    sources = data.sources["test"]
    return [to_text(to_png(sources.shown(i))) for i in range(count)]


def asked(model: TrainedModel, given: list[str], **request) -> list[tuple[str, float]]:
    return KIND.answer(model, given, KIND.Request(**request))


@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention", "input_feeding"])
def test_pictures_are_answered_as_in_an_evaluation(data, decoder):
    model = toy(data, decoder=decoder)
    found, expected = (
        asked(model, texts(data)),
        accuracy(model.model, data, "test", "masked", "cpu"),
    )
    assert [text for text, _ in found] == expected.texts
    scores = expected.written.log_probabilities.sum(dim=1).tolist()
    assert [score for _, score in found] == pytest.approx(scores, rel=1e-6)
    assert len(set(expected.texts)) > 1


def test_pictures_are_answered_together_as_each_alone(data, attentive):
    together = asked(attentive, texts(data))
    alone = [asked(attentive, [text])[0] for text in texts(data)]
    assert [text for text, _ in together] == [text for text, _ in alone]
    assert [x for _, x in together] == pytest.approx([x for _, x in alone], rel=1e-5)


def test_a_picture_may_stand_in_an_address_and_be_of_any_size(data, attentive):
    (first, *_) = texts(data)
    assert asked(attentive, [f"data:image/png;base64,{first}"]) == asked(attentive, [first])
    small, large = (to_text(to_png(np.full((3, n, n), 99, np.uint8))) for n in (16, 100))
    assert asked(attentive, [large]) == asked(attentive, [small])


def test_the_likeliest_captions_are_those_of_a_beam_and_the_first_is_answered(data, attentive):
    found = KIND.likeliest(attentive, texts(data), KIND.Request(beam_width=3))
    assert [of[0] for of in found] == asked(attentive, texts(data), beam_width=3)
    for of in found:
        assert len({text for text, _ in of}) == len(of) == 3
        assert [score for _, score in of] == sorted((score for _, score in of), reverse=True)
    greedy = asked(attentive, texts(data))
    narrow = [of[0] for of in KIND.likeliest(attentive, texts(data), KIND.Request())]
    assert [text for text, _ in narrow] == [text for text, _ in greedy]
    assert [of[0][0] for of in found] != [text for text, _ in greedy]  # it finds others


def test_drawn_captions_are_those_of_the_seed(data, attentive):
    one, same, other = (
        asked(attentive, texts(data), temperature=1.0, seed=seed) for seed in (1, 1, 2)
    )
    assert one == same != other


@pytest.mark.parametrize("width", [1, 3])
def test_each_word_of_a_caption_looks_at_the_places_of_the_picture(data, attentive, width):
    request = KIND.Request(beam_width=width)
    for text in texts(data):
        look = KIND.look(attentive, text, request)
        (best, _), *_ = KIND.likeliest(attentive, [text], request)[0]
        assert look.question == []
        assert look.answer == attentive.form.answers.split(best)
        assert look.weights.shape == (len(look.answer), 64)
        np.testing.assert_allclose(look.weights.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("decoder", ["plain", "peeky"])
def test_a_model_without_attention_has_no_map(data, decoder):
    with pytest.raises(UserError, match=r"^v has no attention: there is no map$"):
        KIND.look(toy(data, decoder=decoder), texts(data)[0], KIND.Request())


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("a red circle", "row 2 is no picture: base64 is expected, of a PNG for one"),
        ("", "row 2 is no picture that can be read"),
        (to_text(b"a red circle"), "row 2 is no picture that can be read"),
        ("data:image/png,xyz", "row 2 is no picture that can be read"),
        ("data:image/png;base64,***", "row 2 is no picture: base64 is expected"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_row(data, attentive, given, fault):
    for ask in (KIND.answer, KIND.likeliest):
        with pytest.raises(DataError, match=f"^{fault}"):
            ask(attentive, [texts(data)[0], given], KIND.Request())


def test_what_cannot_be_done_with_pictures_is_refused(data, attentive):
    first = texts(data)[:1]
    for width in (1, 2):
        with pytest.raises(UserError, match="replace_unknown: a picture has no words"):
            asked(attentive, first, replace_unknown=True, beam_width=width)
    with pytest.raises(UserError, match="temperature: the likeliest answers are not drawn"):
        KIND.likeliest(attentive, first, KIND.Request(temperature=1.0))


@pytest.mark.parametrize("width", [1, 2])
def test_of_no_pictures_nothing_is_said(attentive, width):
    assert asked(attentive, [], beam_width=width) == []


def test_a_look_refuses_what_an_answer_refuses(data, attentive):
    with pytest.raises(UserError, match="replace_unknown"):
        KIND.look(attentive, texts(data)[0], KIND.Request(replace_unknown=True))


def test_the_length_of_a_picture_is_no_bound_of_a_caption(data, attentive):
    try:
        found = asked(attentive, texts(data), longest_ratio=2.0)
    except UserError as error:
        assert "longest_ratio" in str(error)
    else:
        assert found == asked(attentive, texts(data))


def test_an_unknown_word_is_one_that_looks(data):
    model = toy(data, decoder="attention")
    with torch.no_grad():
        model.model.decoder.affine.weight.zero_()
        model.model.decoder.affine.bias[model.form.answers["unknown"]] = 9
    look = KIND.look(model, texts(data)[0], KIND.Request())
    assert len(look.answer) == len(look.weights)


def test_a_picture_has_no_unknown_words_and_a_model_has_an_example(data, attentive):
    assert KIND.unknown(attentive, "any text") == []
    example = KIND.example(TASK, data.form)
    ((said, score),) = asked(attentive, [example])
    assert said and score < 0
    assert picture_of(from_text(example, "it"), 16, "it").shape == (3, 16, 16)


def test_it_sees_and_does_not_converse():
    assert KIND.sees and not KIND.continues and not KIND.converses
    assert [
        kind.name for kind in map(kinds.named, ("pairs", "corpus", "labels")) if kind.sees
    ] == []
    assert KIND.main.name == "exact_match"
    assert {metric.name for metric in KIND.metrics} >= {"true_captions", "bleu", "perplexity"}


def test_a_model_that_was_written_says_the_same(tmp_path, data, attentive):
    write_model(tmp_path / "model", attentive)
    assert asked(read_model(tmp_path / "model"), texts(data)) == asked(attentive, texts(data))


# Data


def test_questions_are_pictures_of_which_none_is_in_two_splits(data):
    found = KIND.questions(data)
    assert [*found] == [*SPLITS]
    assert [len(found[split]) for split in SPLITS] == [40, 8, 10]
    assert len({name for of in found.values() for name in of}) == 58
    assert all(read_scene(name).things for of in found.values() for name in of)


def test_made_up_pictures_are_always_the_same_and_have_a_caption_each():
    options = captions_options()
    one, other = KIND.made_up(options), KIND.made_up(options)
    for split in SPLITS:
        np.testing.assert_array_equal(one.sources[split].pixels, other.sources[split].pixels)
        assert one.targets[split].texts(one.form.answers) == one.answers(split)
        assert one.sources[split].rows.tolist() == [*range(len(one.targets[split]))]
    assert (one.sources["valid"].pixels[0] != one.sources["test"].pixels[0]).any()
    assert KIND.with_texts(one).texts == one.texts


def test_every_other_caption_of_made_up_pictures_becomes_that_of_a_model():
    options = captions_options(padding="masked", bridge="state")
    before = KIND.made_up(options)
    model = toy(before).model
    KIND.bring_to_end(before, model, options)
    data = KIND.half_right(before, model, options)
    right = accuracy(model, data, "test", "masked", "cpu").right
    assert right[::2].all() and not right[1::2].any()
    assert data.questions("test") == before.questions("test")
    assert data.answers("train") == before.answers("train")
    assert data.answers("test")[1::2] == before.answers("test")[1::2]
