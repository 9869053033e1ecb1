"""Read a picture file as upright 8-bit RGB, or say in one line why that is impossible."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from jcdm.errors import DataError, MissingViewError

MAX_PIXELS = 89_478_485
"""Pillow's own first limit; checked here as well since other packages switch Pillow's off."""


def load_image(path: Path | str) -> Image.Image:
    """Read a picture as RGB, turned as its EXIF orientation says.

    Transparent pictures are laid on white, 16-bit ones scaled to 8 bits, palettes, greys and CMYK
    converted. Errors: MissingViewError when there is no such file; DataError when it is empty,
    truncated, not a picture, or so large that it looks like a decompression bomb.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                image.load()
                return _to_rgb(ImageOps.exif_transpose(image), path)
    except FileNotFoundError:
        raise MissingViewError(
            f"picture {path} not found. List all problems with: python -m jcdm data check."
        ) from None
    except DataError:
        raise
    except Exception as error:  # decoders of broken files raise almost anything
        raise DataError(
            f"picture {path} cannot be read: {_reason(error)}. Replace the file or remove the view "
            "from the index."
        ) from None


def _to_rgb(image: Image.Image, path: Path | str) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.clip(np.asarray(image, dtype=np.float64), 0, 65535)
        return Image.fromarray(np.rint(values / 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise DataError(
            f"picture {path} holds floating-point numbers of unknown range, expected 8 or 16 bits. "
            "Save it as PNG or JPEG."
        )
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
    words = " ".join(str(error).split()) or type(error).__name__
    return words.rstrip(".")
