"""Read and resize a picture the way a protocol does: a file in, float32 (H,W,3) out."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch.nn.functional import interpolate

from jcdm.data.images import load_image, open_picture
from jcdm.evaluation.protocols.protocol import Decode, Resize

Size = tuple[int, int]


def read_resized(path: Path, size: Size, resize: Resize, decode: Decode = "plain") -> np.ndarray:
    """Read a picture at `size` (height, width): (H,W,3) float32.

    Nominal range [0,1]; `opencv_cubic` may leave it. Errors: MissingViewError, DataError.
    """
    picture = load_image(path) if decode == "upright" else _decode(path)
    if resize == "opencv_cubic":
        return _opencv_cubic(picture, size)
    return eight_bits(picture, size, resize).astype(np.float32) / np.float32(255)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureReader:
    """Reads pictures at one size (height, width), in one way: see `read_resized`."""

    size: Size
    resize: Resize
    decode: Decode

    def __call__(self, path: Path) -> np.ndarray:
        """Read a picture: (H,W,3) float32. Errors: MissingViewError, DataError."""
        return read_resized(path, self.size, self.resize, self.decode)


def eight_bits(picture: Image.Image, size: Size, resize: Resize) -> np.ndarray:
    """Resize by a method that ends in 8 bits: RGB -> (H,W,3) uint8."""
    height, width = size
    if resize == "pillow_bicubic":
        return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
    values = torch.from_numpy(np.array(picture)).float() / 255
    batch = rearrange(values, "h w c -> 1 c h w")
    small = interpolate(batch, size, mode="bicubic", antialias=True, align_corners=False)
    cut = (small * 255).clamp(0, 255).to(torch.uint8)  # the published code does not round
    return rearrange(cut, "1 c h w -> h w c").numpy()


def _opencv_cubic(picture: Image.Image, size: Size) -> np.ndarray:
    """Interpolate in float32, coefficient -0.75, neither antialiased nor clipped."""
    values: np.ndarray = np.asarray(picture).astype(np.float32)
    if values.shape[:2] != size:
        values = cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return values / np.float32(255)


def _decode(path: Path) -> Image.Image:
    with open_picture(path) as image:
        return image.convert("RGB")
