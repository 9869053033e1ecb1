"""Read a picture file as upright 8-bit RGB, or say in one line why that is impossible."""

import errno
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from jcdm.data.jpeg_end import has_end
from jcdm.errors import DataError, JCDMError, MissingViewError

MAX_PIXELS = 89_478_485
"""Pillow's own first limit; checked here as well since other packages switch Pillow's off."""

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF")
"""What is read, whatever a file is called. Pillow knows more, and starts Ghostscript for some."""

_OUT_OF_RANGE = (
    "picture {path} holds {what} numbers of unknown range, expected 8 or 16 bits. Save it as PNG "
    "or JPEG."
)
_NO_FAULT_OF_THE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def load_image(path: Path | str) -> Image.Image:
    """Read a picture as RGB, turned as its EXIF orientation says; of several frames the first.

    Transparent pictures are laid on white, 16-bit ones scaled to 8 bits, palettes, greys and CMYK
    converted. Errors: MissingViewError when there is no such file; DataError when it is empty,
    truncated, not a picture, or so large that it looks like a decompression bomb.
    """
    with open_picture(path) as image:
        image.load()
        if image.format in ("JPEG", "MPO"):
            _require_end(path)
        return _to_rgb(ImageOps.exif_transpose(image), path)


@contextmanager
def open_picture(path: Path | str) -> Iterator[Image.Image]:
    """Open a picture: its header is read and its size checked, its pixels wait for the block.

    What goes wrong in the block is reported as a fault of the picture. Errors: see `load_image`;
    OSError or MemoryError where this computer lacks memory or handles, which says nothing of it.
    """
    try:
        with warnings.catch_warnings(), _whole_pictures_only():
            warnings.simplefilter("ignore")  # of libraries, about tags that nobody reads
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            _require_file(path)
            with Image.open(path, formats=_formats()) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                yield image
    except FileNotFoundError:
        raise MissingViewError(
            f"picture {path} not found. List all problems with: python -m jcdm data check."
        ) from None
    except (JCDMError, MemoryError):
        raise
    except Exception as error:  # decoders of broken files raise almost anything
        if isinstance(error, OSError) and error.errno in _NO_FAULT_OF_THE_FILE:
            raise
        raise DataError(
            f"picture {path} cannot be read: {_reason(error)}. Replace the file or remove the view "
            "from the index."
        ) from None


@cache
def _formats() -> tuple[str, ...]:
    """List those of FORMATS that this Pillow knows."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@contextmanager
def _whole_pictures_only() -> Iterator[None]:
    """Undo for a while what other packages switch on: filling up what a file lacks in grey."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _require_file(path: Path | str) -> None:
    """Refuse what is no file: opening a pipe would wait for ever."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("it is no file")


def _require_end(path: Path | str) -> None:
    with open(path, "rb") as file:
        if not has_end(file):
            raise OSError("image file is truncated: it has no end")


def _to_rgb(image: Image.Image, path: Path | str) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image, dtype=np.float64)
        if values.min() < 0 or values.max() > 65535:
            raise DataError(_OUT_OF_RANGE.format(path=path, what="32-bit"))
        return Image.fromarray(np.rint(values / 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise DataError(_OUT_OF_RANGE.format(path=path, what="floating-point"))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is empty or not a picture"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "it has too many pixels (a decompression bomb?)"
    told = getattr(error, "strerror", None) or str(error)
    words = " ".join(told.split()) or type(error).__name__
    return words.rstrip(".")
