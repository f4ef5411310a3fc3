"""Pictures of one size, and how a picture file becomes one.

Files are read by Pillow, as people have them: grey, with a palette or with transparency (on
white), of 16 bits, turned by what a camera notes (EXIF). A picture is made to fit without being
cut: what it lacks in width or height is grey.
"""

import base64
import binascii
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from unroll.errors import DataError, first_line
from unroll.storage.files import read_bytes

LARGEST_FILE = 2**26  # bytes
MOST_PIXELS = 50_000_000  # of a picture as it is in its file: a small file can hold many
GREY = (128, 128, 128)
# Others are programs, or are read by programs, that a picture must not start.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")


@dataclass(frozen=True)
class Pictures:
    """N examples, each of which shows one of P pictures.

    `pixels` (P, 3, S, S) are red, green and blue from 0 to 255, `rows` (N,) says which is shown.
    """

    pixels: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, rows: slice | np.ndarray) -> "Pictures":
        """Return some of the examples."""
        return Pictures(self.pixels, self.rows[rows])

    def shown(self, example: int) -> np.ndarray:
        """Return the picture (3, S, S) of an example."""
        return np.asarray(self.pixels[self.rows[example]])


def each(pixels: np.ndarray) -> Pictures:
    """Return as many examples as there are pictures (P, 3, S, S)."""
    return Pictures(pixels, np.arange(len(pixels), dtype=np.int32))


def read_picture(path: Path, size: int) -> np.ndarray:
    """Return the picture (3, S, S) of a file.

    Raises:
        DataError: it is missing, too large or no picture.
    """
    return picture_of(read_file(path), size, str(path))


def read_file(path: Path) -> bytes:
    """Return the bytes of a picture file.

    Raises:
        DataError: it is missing or too large.
    """
    return read_bytes(path, LARGEST_FILE)


def picture_of(content: bytes, size: int, place: str) -> np.ndarray:
    """Return the picture (3, S, S) that the bytes of a file hold; `place` says what they are.

    Raises:
        DataError: they are no picture that can be read, or one of too many pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is refused, or does no harm
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise DataError(f"{place} has more than {MOST_PIXELS:,} pixels")
                fitting = _fitted(_plain(image), size)
    except DataError:
        raise
    except Exception as error:  # Pillow's readers fail in many ways on what is damaged
        why = "" if isinstance(error, UnidentifiedImageError) else f" ({first_line(error)})"
        raise DataError(f"{place} is no picture that can be read{why}") from None
    return np.ascontiguousarray(np.asarray(fitting).transpose(2, 0, 1))


def _plain(image: Image.Image) -> Image.Image:
    """Return a picture upright, in red, green and blue."""
    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I"):  # grey of more than 8 bits
        grey = np.asarray(turned).astype(float)
        if turned.mode != "I" or grey.max() > 255:  # the greatest of 16 bits is white
            grey /= 257
        turned = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
    if "transparency" in turned.info or turned.mode in ("P", "LA", "PA", "RGBA", "La", "RGBa"):
        over = turned.convert("RGBA")
        turned = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return turned.convert("RGB")


def _fitted(image: Image.Image, size: int) -> Image.Image:
    """Return a picture as a square, of which a line of it keeps a line."""
    ratio = size / max(image.size)
    width, height = (max(1, round(side * ratio)) for side in image.size)
    fitting = Image.new("RGB", (size, size), GREY)
    small = image.resize((width, height), Image.Resampling.BICUBIC)
    fitting.paste(small, ((size - width) // 2, (size - height) // 2))
    return fitting


def to_png(picture: np.ndarray) -> bytes:
    """Return a picture (3, S, S) as a PNG file."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0))).save(content, "PNG")
    return content.getvalue()


def to_text(content: bytes) -> str:
    """Return the bytes of a picture file as a text: base64."""
    return base64.b64encode(content).decode()


def from_text(text: str, place: str) -> bytes:
    """Return the bytes of a picture file from base64, also behind `data:image/png;base64,`.

    Raises:
        DataError: it is no base64.
    """
    encoded = text.partition("base64,")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"{place} is no picture: base64 is expected, of a PNG for one") from None
