"""The encoder of pictures, and what reads pictures for it."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models.toys import CPU, array, captions_options
from unroll.data.captioned import Captioned, CaptionedForm
from unroll.data.pictures import Pictures
from unroll.data.sequences import SPLITS, encode
from unroll.data.vocabulary import Vocabulary
from unroll.errors import UserError
from unroll.kinds import kind_of
from unroll.models.initialise import initialise
from unroll.models.padding import PADDINGS
from unroll.models.pictures import PictureEncoder
from unroll.models.resnet import numbers_of
from unroll.models.seq2seq import Seq2Seq
from unroll.models.side import PictureSide, Side, side_of
from unroll.training.run import begin

CELLS = ("lstm", "gru", "rnn")
DECODERS = ("plain", "peeky", "attention", "input_feeding")
LETTERS = Vocabulary(
    ["<pad>", "<sos>", "<eos>", *"uvwxyz"],
    special={"pad": "<pad>", "start": "<sos>", "end": "<eos>"},
)


def seer(size: int = 16, seed: int = 0, scheme: str = "default", **changes) -> Seq2Seq:
    """Return a model that says what is on pictures of this size."""
    options = captions_options(init=scheme, **{"bridge": "state", **changes})
    net = "resnet18" if options.encoder == "pretrained" else None
    form = CaptionedForm(size=size, net=net, answers=LETTERS, target_width=6)
    model = kind_of(options).build(options, form)
    initialise(model, scheme, seed)
    return model


def pictures(count: int = 2, size: int = 16, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).integers(0, 256, (count, 3, size, size))
    return drawn.astype(np.uint8)


INPUTS = torch.tensor([[1, 3, 4, 5], [1, 6, 7, 8]])


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("size", "side"), [(8, 8), (16, 8), (32, 8), (33, 5), (64, 8)])
def test_a_picture_leaves_what_a_sequence_leaves(size, side, cell, layers):
    model = seer(size, cell=cell, layers=layers, hidden_size=6)
    assert isinstance(model.encoder, PictureEncoder)
    memory, state = model.encoder(torch.from_numpy(pictures(2, size)))
    assert memory.states.shape == (2, side**2, 6)
    assert memory.positions.tolist() == [[*range(side**2)]] * 2
    assert memory.present is None
    assert [part.shape for part in state] == [(layers, 2, 6)] * (2 if cell == "lstm" else 1)
    assert torch.equal(memory.summary, state[0][-1])  # the last h of the top layer
    assert model(torch.from_numpy(pictures(2, size)), INPUTS).shape == (2, 4, len(LETTERS))


def convolved(x: np.ndarray, layer: torch.nn.Conv2d) -> np.ndarray:
    """3 × 3 with a stride over x (C, S, S), around which is a row of zeros."""
    weight, bias, (step, _) = array(layer.weight), array(layer.bias), layer.stride
    _, height, width = x.shape
    padded = np.zeros((x.shape[0], height + 2, width + 2))
    padded[:, 1:-1, 1:-1] = x
    found = np.zeros((len(weight), math.ceil(height / step), math.ceil(width / step)))
    for channel, row, column in np.ndindex(found.shape):
        top, left = step * row, step * column
        seen = padded[:, top : top + 3, left : left + 3]
        found[channel, row, column] = (seen * weight[channel]).sum() + bias[channel]
    return found


def normalised(x: np.ndarray, layer: torch.nn.GroupNorm) -> np.ndarray:
    """Each of eight groups of channels of x (C, S, S) by its own mean and variance."""
    weight, bias = array(layer.weight), array(layer.bias)
    groups = [(g - g.mean()) / np.sqrt(g.var() + 1e-5) for g in np.split(x, 8)]
    return np.concatenate(groups) * weight[:, None, None] + bias[:, None, None]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("size", "strides", "channels"),
    [(8, [1], [16]), (9, [1, 2], [16, 32]), (17, [1, 2, 2], [16, 32, 64])],
)
def test_the_encoder_computes_its_equations(size, strides, channels, cell):
    """By loops in NumPy, in float64: one layer above the other, and the state's parts in order."""
    encoder, H = seer(size, cell=cell, layers=2).double().encoder, 4
    with torch.no_grad():
        for i, norm in enumerate(encoder.norms):
            norm.weight.copy_(torch.linspace(0.5, 1.5, len(norm.weight)))
            norm.bias.copy_(torch.linspace(-0.5, 0.2 * i, len(norm.bias)))
    steps = np.linspace(-1, 1, size)
    where = np.stack(np.meshgrid(steps, steps))  # across, and down
    x = np.concatenate([pictures(1, size)[0] / 127.5 - 1, where])
    for layer, norm in zip(encoder.convolutions, encoder.norms, strict=True):
        x = normalised(convolved(x, layer), norm).clip(0)
    assert [layer.stride[0] for layer in encoder.convolutions] == strides
    assert [layer.out_channels for layer in encoder.convolutions] == channels
    side = math.ceil(size / math.prod(strides))
    assert x.shape == (channels[-1], side, side)
    rows = np.array([x[:, r, c] for r in range(side) for c in range(side)])  # row by row
    places = np.tanh(rows @ array(encoder.place.weight).T + array(encoder.place.bias))
    narrow = places @ array(encoder.narrow.weight).T + array(encoder.narrow.bias)
    flat = narrow.ravel()
    flat = (flat - flat.mean()) / np.sqrt(flat.var() + 1e-5)
    whole = np.tanh(array(encoder.whole.weight) @ flat + array(encoder.whole.bias))
    memory, state = encoder(torch.from_numpy(pictures(1, size)))
    assert memory.states.dtype == torch.float64
    np.testing.assert_allclose(array(memory.states)[0], places, rtol=1e-10, atol=1e-12)
    expected = whole.reshape(-1, 2, H)  # h and c, each of two layers
    assert len(expected) == len(state)
    for part, of in zip(state, expected, strict=True):
        np.testing.assert_allclose(array(part)[:, 0], of, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("precision", [torch.float32, torch.float64, torch.bfloat16])
def test_black_is_minus_one_and_white_is_one_and_each_point_knows_where_it_is(precision):
    encoder = seer().to(precision).encoder
    first = encoder.convolutions[0]
    for value, meaning in ((0, -1.0), (255, 1.0)):
        seen = []
        hook = first.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        encoder(torch.full((2, 3, 16, 16), value, dtype=torch.uint8))
        hook.remove()
        (x,) = seen
        assert (x.dtype, x.shape) == (precision, (2, 5, 16, 16))
        assert (x[:, :3] == meaning).all()
        across, down = x[1, 3], x[1, 4]
        assert across[:, 0].tolist() == down[0].tolist() == [-1.0] * 16
        assert across[:, -1].tolist() == down[-1].tolist() == [1.0] * 16
        assert torch.equal(across, down.T) and (across[0].diff() > 0).all()


def test_pictures_are_read_together_as_each_alone():
    model, pixels = seer(decoder="attention").double(), torch.from_numpy(pictures(3))
    inputs = torch.cat([INPUTS, INPUTS[:1]])
    together = model(pixels, inputs)
    for i in range(3):
        alone = model(pixels[i : i + 1], inputs[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-10, atol=1e-12)


def test_the_state_depends_on_every_part_of_a_picture():
    encoder, before = seer(32).double().encoder, pictures(1, 32)
    _, (h, _) = encoder(torch.from_numpy(before))
    for row, column in ((0, 0), (0, 31), (31, 0), (31, 31), (16, 16)):
        after = before.copy()
        after[0, :, row, column] ^= 255
        assert not torch.equal(encoder(torch.from_numpy(after))[1][0], h), (row, column)


def test_channels_are_no_more_than_the_most():
    layers = seer(128).encoder.convolutions
    assert [layer.out_channels for layer in layers] == [16, 32, 64, 64, 64]


@pytest.mark.parametrize("layers", [1, 2])
def test_a_bridge_of_h_alone_has_no_c_and_computes_none(layers):
    model = seer(bridge="hidden", layers=layers, hidden_size=6)
    _, (h, c) = model.encode(torch.from_numpy(pictures()))
    assert h.shape == c.shape == (layers, 2, 6)
    assert h.any() and not c.any()
    assert model.encoder.whole.out_features == layers * 6


def test_pictures_differ_in_the_state_from_the_first():
    """Where they hardly did, a plain decoder learned which captions there are, and nothing more."""
    dark, light = (torch.full((1, 3, 32, 32), value, dtype=torch.uint8) for value in (0, 255))
    light[:, :, 8:24, 8:24] = 0
    encoder = seer(32, hidden_size=64).encoder
    (one, *_), (other, *_) = (encoder(picture)[1] for picture in (dark, light))
    assert (one - other).abs().mean() > 0.2


# Pretrained


def test_a_pretrained_encoder_leaves_what_the_small_one_does():
    model = seer(64, encoder="pretrained", decoder="attention", layers=2, hidden_size=6)
    memory, state = model.encoder(torch.from_numpy(pictures(2, 64)))
    assert memory.states.shape == (2, 4, 6)
    assert [part.shape for part in state] == [(2, 2, 6)] * 2
    features = model.encoder.net(torch.from_numpy(pictures(2, 64)))
    rows = features.flatten(2).transpose(1, 2)
    assert torch.equal(memory.states, model.encoder.place(rows).tanh())


def test_only_what_follows_a_pretrained_encoder_is_learned():
    model = seer(64, encoder="pretrained", decoder="attention").train()
    inputs = INPUTS.repeat(2, 1)
    model(torch.from_numpy(pictures(4, 64)), inputs).sin().sum().backward()
    for name, parameter in model.named_parameters():
        if name.startswith("encoder.net."):
            assert parameter.grad is None and not parameter.requires_grad
        else:
            assert parameter.grad.any(), name


def test_training_begins_with_the_weights_that_the_data_have():
    options = captions_options(encoder="pretrained", bridge="state")
    kind = kind_of(options)
    data = kind.made_up(options)
    model = begin(options, data, 0, CPU).model
    assert data.form.net == "resnet18"
    np.testing.assert_array_equal(numbers_of(model.encoder.net.state_dict()), data.weights)


def test_without_weights_there_is_no_pretrained_encoder():
    form = CaptionedForm(size=16, answers=LETTERS, target_width=6)
    with pytest.raises(UserError, match="the task has no pretrained one; name its file as `weigh"):
        Seq2Seq(captions_options(encoder="pretrained"), form)


# Gradients


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_parameter_is_learned(decoder, cell):
    model = seer(decoder=decoder, cell=cell, layers=2, hidden_size=6)
    model(torch.from_numpy(pictures(8)), INPUTS.repeat(4, 1)).sin().sum().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.any()] == []
    assert model.encoder.whole.weight.grad.any(dim=1).all()  # of each number of the state


@pytest.mark.parametrize("attention", ["general", "additive"])
@pytest.mark.parametrize("query", ["now", "before"])
def test_every_parameter_of_other_attention_is_learned(attention, query):
    model = seer(decoder="attention", attention=attention, attention_query=query)
    model(torch.from_numpy(pictures(8)), INPUTS.repeat(4, 1)).sin().sum().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.any()] == []


# What is read in training and in use


def shown(rows=(1, 0, 1, 2)) -> Pictures:
    return Pictures(pictures(3), np.array(rows, np.int32))


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_a_batch_has_the_bytes_of_the_pictures_that_its_rows_show(padding):
    side = side_of(shown(), PADDINGS[padding], "cpu")
    assert isinstance(side, PictureSide)
    assert len(side) == 4
    read, lengths = side.read(torch.tensor([3, 0]))
    assert read.dtype == torch.uint8
    np.testing.assert_array_equal(read.numpy(), pictures(3)[[2, 1]])
    assert lengths is None
    assert side.batch(torch.tensor([3, 0]))[1].tolist() == [1, 1]


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_parts_hold_each_picture_once(padding):
    side = side_of(shown(), PADDINGS[padding], "cpu")
    assert len(set(side.order_by.tolist())) == 1  # none is longer than another
    assert [rows.tolist() for rows in side.parts(3)] == [[0, 1, 2], [3]]


@pytest.mark.parametrize(("size", "at_once"), [(512, 1), (256, 4), (32, 256)])
def test_the_larger_pictures_are_the_fewer_are_read_at_once(size, at_once):
    pixels = np.zeros((1, 3, size, size), np.uint8)
    several = Pictures(pixels, np.zeros(300, np.int32))
    sizes = [len(rows) for rows in side_of(several, PADDINGS["plain"], "cpu").parts(10_000)]
    assert sizes[0] == at_once and sum(sizes) == 300


def test_of_no_pictures_there_are_no_rows():
    nothing = Pictures(np.zeros((0, 3, 16, 16), np.uint8), np.zeros(0, np.int32))
    parts = side_of(nothing, PADDINGS["plain"], "cpu").parts(10)
    assert sum(len(rows) for rows in parts) == 0


def test_sequences_are_read_as_before():
    side = side_of(encode(["uv"], LETTERS, 4, "here"), PADDINGS["masked"], "cpu")
    assert type(side) is Side
    assert side.read(torch.tensor([0]))[0].tolist() == [[3, 4]]


def captioned() -> Captioned:
    form = CaptionedForm(size=16, answers=LETTERS, target_width=6)
    texts = ["uv", "wx", "y", "zzzz"]
    targets = encode(texts, LETTERS, 6, "toy", start=True, end=True)
    return Captioned(form, dict.fromkeys(SPLITS, shown()), dict.fromkeys(SPLITS, targets), {})


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_bytes_mean_the_same_in_training_and_in_use(decoder, padding):
    """The loss of an epoch is that of the pictures as they are, given to the model directly."""
    options = captions_options(decoder=decoder, padding=padding)
    model, data = seer(decoder=decoder, padding=padding), captioned()
    (loss,) = kind_of(options).objective(model, data, options, 0, CPU).losses(1)
    pixels, ids = pictures(3)[[1, 0, 1, 2]], torch.from_numpy(data.targets["train"].ids).long()
    model.eval()
    of_bytes = model(torch.from_numpy(pixels), ids[:, :-1])
    of_numbers = model(torch.from_numpy(pixels.astype(np.float32)), ids[:, :-1])
    assert torch.equal(of_bytes, of_numbers)
    chosen = array(of_bytes.log_softmax(dim=2)).astype(float)
    wanted = np.take_along_axis(chosen, ids[:, 1:, None].numpy(), axis=2)[:, :, 0]
    counts = np.arange(1, 6) < np.asarray(data.targets["train"].lengths)[:, None]
    kept = counts if padding == "masked" else np.ones_like(counts)
    assert loss.item() == pytest.approx(-wanted[kept].mean(), rel=1e-5)


# Options


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"reverse_source": True}, "reverse_source: a picture is not read from one end to the"),
        ({"bidirectional": True}, "bidirectional: a picture is not read from one end to the other"),
        ({"double_source": True}, "double_source: a picture is not read from one end to the other"),
        ({"reverse_source": True, "bidirectional": True}, "reverse_source, bidirectional: a pict"),
        ({"decoder": "in_step"}, "decoder: in_step answers while it listens"),
        ({"attention": "general"}, "only where decoder is attention"),
    ],
    ids=str,
)
def test_options_that_say_nothing_of_pictures_are_refused(options, fault):
    with pytest.raises(ValidationError, match=fault):
        captions_options(**options)


# How parameters are drawn


def test_default_draws_convolutions_by_their_fan_in():
    for layer, before in zip(seer(32).encoder.convolutions, (5, 16, 32), strict=True):
        bound = 1 / math.sqrt(9 * before)
        assert layer.weight.abs().max() <= bound
        assert layer.weight.abs().max() > 0.98 * bound
        assert abs(layer.weight.mean()) < 5 * bound / math.sqrt(3 * layer.weight.numel())
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
        assert 0.5 * bound < layer.bias.abs().max() <= bound


def test_book_draws_convolutions_by_their_fan_in_and_biases_are_zero():
    layers = seer(32, scheme="book").encoder.convolutions
    for layer, before in zip(layers, (5, 16, 32), strict=True):
        assert layer.weight.std().item() == pytest.approx(1 / math.sqrt(9 * before), rel=0.1)
        assert not layer.bias.any()


@pytest.mark.parametrize("scheme", ["book", "default"])
def test_the_seed_decides_what_is_drawn_and_the_decoder_does_not(scheme):
    torch.manual_seed(1)
    one = seer(scheme=scheme).encoder.state_dict()
    torch.manual_seed(2)
    same = seer(scheme=scheme, decoder="attention").encoder.state_dict()
    other = seer(scheme=scheme, seed=1).encoder.state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    drawn = [name for name in one if name.endswith("weight") and "norms" not in name]
    assert len(drawn) == len(seer().encoder.convolutions) + 3
    assert not [name for name in drawn if torch.equal(one[name], other[name])]


@pytest.mark.parametrize("scheme", ["book", "default"])
def test_every_parameter_is_drawn_but_those_that_norms_begin_with(scheme):
    model = seer(decoder="input_feeding", attention="additive", layers=2)
    norms = {name for name, _ in model.named_parameters() if ".norms." in name}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in norms:
                parameter.fill_(math.nan)
    initialise(model, scheme, seed=0)
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    begins = {name: p.unique().tolist() for name, p in model.named_parameters() if name in norms}
    assert len(begins) == 2 * len(model.encoder.norms) > 0
    assert all(of == [1.0 if name.endswith("weight") else 0.0] for name, of in begins.items())
