"""Picture files as people have them, and what is refused of them."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unroll.data import pictures
from unroll.data.pictures import (
    Pictures,
    each,
    from_text,
    picture_of,
    read_picture,
    to_png,
    to_text,
)
from unroll.errors import DataError

RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (128, 128, 128)
ORIENTATION = 0x0112  # in EXIF: how the camera was held
some_examples = settings(deadline=None, max_examples=100)


def file_of(image: Image.Image, form: str = "PNG", **options) -> bytes:
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def plain(mode: str, colour, form: str = "PNG", **options) -> bytes:
    """Return the file of a picture of one colour."""
    return file_of(Image.new(mode, (8, 8), colour), form, **options)


def with_palette(colours: list[tuple], **options) -> bytes:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([value for colour in colours for value in colour])
    return file_of(image, **options)


def grey_of_16_bits(values: np.ndarray) -> bytes:
    return file_of(Image.fromarray(values.astype(np.uint16)))


RAMP = np.array([*range(0, 65_520, 1_040), 65_535]).reshape(8, 8)  # from black to white

FILES = {
    "RGB": (plain("RGB", (9, 99, 199)), (9, 99, 199)),
    "grey": (plain("L", 70), (70, 70, 70)),
    "1 bit, black": (plain("1", 0), (0, 0, 0)),
    "1 bit, white": (plain("1", 1), (255, 255, 255)),
    "palette": (with_palette([(9, 99, 199), RED]), (9, 99, 199)),
    "palette, transparent": (with_palette([(9, 99, 199), RED], transparency=0), (255, 255, 255)),
    "palette, another transparent": (
        with_palette([(9, 99, 199), RED], transparency=1),
        (9, 99, 199),
    ),
    "RGBA, transparent": (plain("RGBA", (9, 99, 199, 0)), (255, 255, 255)),
    "RGBA, a fifth": (plain("RGBA", (255, 0, 50, 51)), (255, 204, 214)),
    "RGBA, opaque": (plain("RGBA", (9, 99, 199, 255)), (9, 99, 199)),
    "grey, transparent": (plain("LA", (0, 0)), (255, 255, 255)),
    "grey, a fifth": (plain("LA", (0, 51)), (204, 204, 204)),
    "CMYK TIFF": (plain("CMYK", (0, 255, 255, 0), "TIFF"), RED),
    "CMYK JPEG": (plain("CMYK", (0, 255, 255, 0), "JPEG"), RED),
    "JPEG": (plain("RGB", (9, 99, 199), "JPEG", quality=100), (9, 99, 199)),
    "GIF": (plain("RGB", BLUE, "GIF"), BLUE),
    "WebP": (plain("RGB", (9, 99, 199), "WEBP", lossless=True), (9, 99, 199)),
    "BMP": (plain("RGB", (9, 99, 199), "BMP"), (9, 99, 199)),
}


@pytest.mark.parametrize(("content", "colour"), FILES.values(), ids=FILES.keys())
def test_colours_are_read_however_a_file_holds_them(content, colour):
    found = picture_of(content, 8, "it")
    assert (found.shape, found.dtype) == ((3, 8, 8), np.uint8)
    expected = np.broadcast_to(np.array(colour)[:, None, None], (3, 8, 8))
    np.testing.assert_allclose(found.astype(int), expected, atol=2)  # what JPEG and CMYK may change


def test_grey_of_16_bits_is_that_of_8():
    found = picture_of(grey_of_16_bits(RAMP), 8, "it")
    np.testing.assert_allclose(found.astype(int), [RAMP / 257] * 3, atol=1)


@pytest.mark.parametrize("value", [10, 128, 254])
def test_grey_of_16_bits_is_that_of_8_where_nothing_is_white(value):
    found = picture_of(grey_of_16_bits(np.full((8, 8), value * 257)), 8, "it")
    assert np.unique(found).tolist() == [value]


@pytest.mark.parametrize(
    ("mode", "colour"), [("L", 0), ("RGB", (0, 0, 0)), ("1", 0)], ids=["grey", "RGB", "1 bit"]
)
def test_a_colour_that_a_png_says_is_transparent_is_white(mode, colour):
    assert (picture_of(plain(mode, colour, transparency=colour), 8, "it") == 255).all()


@pytest.mark.parametrize(
    ("orientation", "side"), [(1, "left"), (2, "right"), (3, "right"), (6, "top"), (8, "bottom")]
)
def test_a_photo_is_turned_as_the_camera_was_held(orientation, side):
    """Its left half is black as it lies in the file."""
    values = np.full((16, 16, 3), 255, np.uint8)
    values[:, :8] = 0
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    found = picture_of(file_of(Image.fromarray(values), "JPEG", exif=exif), 16, "it")
    halves = {
        "left": found[:, :, :8],
        "right": found[:, :, 8:],
        "top": found[:, :8],
        "bottom": found[:, 8:],
    }
    assert [name for name, half in halves.items() if half.max() < 30] == [side]


def test_a_photo_whose_exif_is_rubbish_is_read_as_it_lies():
    content = plain("RGB", RED, "JPEG", exif=b"Exif\0\0rubbish rubbish")
    np.testing.assert_allclose(picture_of(content, 8, "it")[:, 4, 4].astype(int), RED, atol=2)


def test_of_an_animation_the_first_picture_is_taken():
    first, second = (Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE))
    content = file_of(first, "GIF", save_all=True, append_images=[second])
    with Image.open(io.BytesIO(content)) as image:
        assert image.n_frames == 2
    assert picture_of(content, 8, "it")[:, 4, 4].tolist() == [*RED]


@pytest.mark.parametrize("tall", [False, True])
def test_what_a_picture_lacks_is_grey_and_nothing_is_cut(tall):
    values = np.random.default_rng(0).integers(0, 256, (8, 16, 3)).astype(np.uint8)
    turn = (1, 0, 2) if tall else (0, 1, 2)
    found = picture_of(file_of(Image.fromarray(values.transpose(turn))), 16, "it")
    found = found.transpose(1, 2, 0).transpose(turn)
    np.testing.assert_array_equal(found[4:12], values)
    assert (found[:4] == 128).all() and (found[12:] == 128).all()


def test_a_large_picture_is_made_small_and_a_small_one_large():
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:, :32], halves[:, 32:] = RED, BLUE
    for image in (Image.fromarray(halves), Image.fromarray(halves[::32, ::32])):
        found = picture_of(file_of(image), 16, "it")
        assert found[:, 8, 0].tolist() == [*RED]
        assert found[:, 8, 15].tolist() == [*BLUE]


@pytest.mark.parametrize("shape", [(65, 1), (1, 65)])
def test_of_a_picture_that_is_a_line_something_is_seen(shape):
    found = picture_of(file_of(Image.new("RGB", shape, RED)), 32, "it")
    assert (found.reshape(3, -1).T == RED).all(axis=1).any()


def sealed(content: bytes) -> bytes:
    """Return a PNG whose checksums are right: what else is damaged is met behind them."""
    found, place = bytearray(content), 8
    while place + 12 <= len(found):
        (length,) = struct.unpack_from(">I", found, place)
        end = place + 8 + length
        if end + 4 > len(found):
            break
        struct.pack_into(">I", found, end, zlib.crc32(found[place + 4 : end]))
        place = end + 4
    return bytes(found)


def claimed(width: int, height: int) -> bytes:
    """Return a PNG of few bytes that says it is so large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 99)), (b"IEND", b""))
    return sealed(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(struct.pack(">I", len(of)) + name + of + bytes(4) for name, of in parts)
    )


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))
NO_PICTURE = "is no picture that can be read"
BROKEN = {
    "cut.png": (file_of(NOISE)[:-200], NO_PICTURE),
    "head.png": (file_of(NOISE)[:20], NO_PICTURE),
    "cut.jpg": (file_of(NOISE, "JPEG")[:-200], NO_PICTURE),
    "cut.gif": (file_of(NOISE, "GIF")[:100], NO_PICTURE),
    "text.png": (b"a red circle\n", NO_PICTURE),
    "empty.png": (b"", NO_PICTURE),
    "bomb.png": (claimed(20_000, 20_000), NO_PICTURE),
    "large.png": (claimed(10_000, 9_000), "has more than 50,000,000 pixels"),
    "a little too large.png": (claimed(50_000_001, 1), "has more than 50,000,000 pixels"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_picture_is_named_without_a_warning(tmp_path, capfd, name):
    content, fault = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with warnings.catch_warnings(record=True) as warned, pytest.raises(DataError) as caught:
        warnings.simplefilter("always")
        read_picture(tmp_path / name, 32)
    assert str(caught.value).startswith(f"{tmp_path / name} {fault}")
    assert "\n" not in str(caught.value)
    assert warned == []
    assert capfd.readouterr() == ("", "")


def test_why_a_file_is_no_picture_is_told_without_objects_of_python():
    with pytest.raises(DataError) as caught:
        picture_of(b"a red circle", 8, "it")
    assert " object at 0x" not in str(caught.value)


def test_a_picture_has_as_many_pixels_as_are_allowed_and_no_more(monkeypatch):
    monkeypatch.setattr(pictures, "MOST_PIXELS", 64)
    assert picture_of(plain("L", 7), 8, "it").shape == (3, 8, 8)
    with pytest.raises(DataError, match=r"^it has more than 64 pixels$"):
        picture_of(file_of(Image.new("L", (8, 9))), 8, "it")


def test_a_file_has_as_many_bytes_as_are_allowed_and_no_more(tmp_path, monkeypatch):
    path, content = tmp_path / "a.png", plain("RGB", RED)
    path.write_bytes(content)
    monkeypatch.setattr(pictures, "LARGEST_FILE", len(content))
    assert read_picture(path, 8).shape == (3, 8, 8)
    monkeypatch.setattr(pictures, "LARGEST_FILE", len(content) - 1)
    with pytest.raises(DataError, match=rf"^{path} has more than {len(content) - 1} bytes$"):
        read_picture(path, 8)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.png cannot be read \(No such file"):
        read_picture(tmp_path / "none.png", 8)
    with pytest.raises(DataError, match=rf"{tmp_path} cannot be read \(Is a directory"):
        read_picture(tmp_path, 8)


@pytest.mark.parametrize("name", ["a\0.png", "a\ud800.png"], ids=["zero", "half a symbol"])
def test_a_name_that_no_file_can_have_is_a_fault_of_the_data(tmp_path, name):
    with pytest.raises(DataError):
        read_picture(tmp_path / name, 8)


def random_picture(size: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, size, size)).astype(np.uint8)


def test_a_picture_comes_back_from_its_text_as_it_was():
    picture = random_picture()
    text = to_text(to_png(picture))
    assert to_png(picture).startswith(b"\x89PNG")
    assert text.isascii() and text.isprintable()
    for given_as in (text, f"data:image/png;base64,{text}", f" {text}\n", f"data:;base64,\n{text}"):
        found = picture_of(from_text(given_as, "row 1"), 16, "row 1")
        np.testing.assert_array_equal(found, picture)


@some_examples
@given(st.binary(max_size=50))
def test_bytes_come_back_from_their_text(content):
    assert from_text(to_text(content), "it") == content


@pytest.mark.parametrize("text", ["a red circle", "abc", "ab=c", "é", "\ud800", "aGk=\0", "====="])
def test_what_is_no_base64_is_refused_with_its_place(text):
    with pytest.raises(DataError, match=r"^row 3 is no picture: base64 is expected, of a PNG"):
        from_text(text, "row 3")


@pytest.mark.parametrize("text", ["", "data:", "data:image/png,abc", "data:image/png;base64,"])
def test_an_address_that_holds_nothing_is_no_picture(text):
    with pytest.raises(DataError, match=r"^row 3 is no picture that can be read"):
        picture_of(from_text(text, "row 3"), 8, "row 3")


def test_base64_may_stand_on_several_lines():
    assert from_text("aGVs\nbG8=\n", "it") == b"hello"


@some_examples
@given(text=st.text(max_size=20) | st.from_regex(r"[A-Za-z0-9+/=]{0,12}", fullmatch=True))
def test_of_any_text_bytes_are_made_or_it_is_refused(text):
    try:
        assert isinstance(from_text(text, "it"), bytes)
    except DataError as error:
        assert str(error).startswith("it is no picture")


def attempt(content: bytes) -> None:
    """Read bytes: they are a picture, or refused with their place, and nothing else happens."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = picture_of(content, 8, "it")
        except DataError as error:
            assert str(error).startswith("it ")
        else:
            assert (found.shape, found.dtype) == ((3, 8, 8), np.uint8)


HEADS = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"RIFF\0\0\0\0WEBP",
]


@some_examples
@given(head=st.sampled_from(HEADS), content=st.binary(max_size=200))
def test_of_random_bytes_nothing_but_a_data_error_comes(head, content):
    attempt(head + content)


GIVEN = {
    "RGB": plain("RGB", RED),
    "palette": with_palette([RED, BLUE], transparency=1),
    "RGBA": plain("RGBA", (1, 2, 3, 4)),
    "16 bits": grey_of_16_bits(RAMP),
    "EXIF": plain("RGB", RED, exif=Image.Exif()),
}
changes = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4)


@some_examples
@given(name=st.sampled_from([*GIVEN]), changed=changes, seals=st.booleans(), cut=st.integers(0, 40))
def test_of_a_changed_png_nothing_but_a_data_error_comes(name, changed, seals, cut):
    content = bytearray(GIVEN[name])
    for place, value in changed:
        content[place % len(content)] = value
    whole = bytes(content)
    attempt(sealed(whole) if seals else whole)
    attempt(whole[: len(whole) - cut])


def test_examples_show_one_of_several_pictures():
    pixels = np.stack([random_picture(seed=seed) for seed in range(3)])
    shown = Pictures(pixels, np.array([2, 0, 0, 1], np.int32))
    assert len(shown) == 4
    np.testing.assert_array_equal(shown.shown(0), pixels[2])
    np.testing.assert_array_equal(shown.shown(2), pixels[0])
    part = shown.part(np.array([3, 0]))
    assert part.rows.tolist() == [1, 2] and part.pixels is pixels
    assert len(each(pixels)) == 3
    np.testing.assert_array_equal(each(pixels).shown(1), pixels[1])
