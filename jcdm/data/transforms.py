"""Cut pictures and poses to size: one geometric draw for picture, pose map and keypoints together.

Only PIL resamples, so that numbers do not depend on which optional package is installed.
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from jcdm.data.keypoints import flip_keypoints
from jcdm.errors import DataError
from jcdm.fitting import Fit, frame_place, parse_frame

ClipFit = Literal["crop", "pad"]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_CLIP_PADDING = (123, 117, 104)  # CLIP_MEAN in 8 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometricDraw:
    """What chance decides about a view: where it is cut, and whether it is mirrored.

    crop: share of the surplus cut off at top and left, each in [0,1); None cuts from the centre.
    """

    crop: tuple[float, float] | None = None
    flip: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How a picture stands in a cell: resized, moved by an offset, perhaps mirrored.

    All sizes are (height, width) in pixels. offset: top and left of the resized picture in the
    cell, negative where it is cropped. `unplace` is the way back.
    """

    source: tuple[int, int]
    resized: tuple[int, int]
    offset: tuple[int, int]
    cell: tuple[int, int]
    flip: bool = False
    resample: Image.Resampling = Image.Resampling.BICUBIC

    @classmethod
    def fit(
        cls,
        source: tuple[int, int],
        cell: tuple[int, int],
        fit: Fit,
        draw: GeometricDraw | None = None,
    ) -> Self:
        """Choose the placement of a picture of size `source` in a `cell`, both (height, width).

        `crop` covers the cell keeping the aspect and cuts the rest; `letterbox` shows all of the
        picture between black bars; `stretch` ignores the aspect (bilinear, as published sampling).
        A frame, HEIGHTxWIDTH, is what an evaluation protocol sizes every picture to: the picture
        is stretched to the frame, which stands between bars, so that `content` gives back exactly
        the frame. Errors: ConfigError for another word, or a frame larger than the cell.
        """
        draw = draw or GeometricDraw()
        if (frame := parse_frame(fit)) is not None:
            rows, columns = frame_place(fit, cell)
            return cls(
                source=source,
                resized=frame,
                offset=(rows.start, columns.start),
                cell=cell,
                flip=draw.flip,
            )
        if fit == "stretch":
            bilinear = Image.Resampling.BILINEAR
            return cls(
                source=source,
                resized=cell,
                offset=(0, 0),
                cell=cell,
                flip=draw.flip,
                resample=bilinear,
            )
        resized = _scale_to(source, cell, cover=fit == "crop")
        surplus = (resized[0] - cell[0], resized[1] - cell[1])
        if fit == "letterbox" or draw.crop is None:
            offset = tuple(int(-s / 2) for s in surplus)
        else:
            offset = tuple(-int(u * (s + 1)) for u, s in zip(draw.crop, surplus, strict=True))
        return cls(
            source=source,
            resized=resized,
            offset=(offset[0], offset[1]),
            cell=cell,
            flip=draw.flip,
        )

    def place(self, image: Image.Image, fill: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
        """Cut an RGB picture to the cell; bars have the colour `fill`.

        Errors: DataError when the picture has not the size this placement was made for.
        """
        _expect_size(image, self.source)
        height, width = self.resized
        resized = image.resize((width, height), self.resample)
        if self.resized == self.cell:
            placed = resized
        else:
            placed = Image.new("RGB", self.cell[::-1], fill)
            placed.paste(resized, self.offset[::-1])
        return placed.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.flip else placed

    def unplace(self, image: Image.Image) -> Image.Image:
        """Undo `place`: take the picture out of its bars, mirror and size it back.

        Errors: DataError when `place` has cut something off, which nothing can bring back.
        """
        _expect_size(image, self.cell)
        if any(r > c for r, c in zip(self.resized, self.cell, strict=True)):
            raise DataError(
                f"a picture of {self.source} cropped to {self.cell} has no inverse. "
                "Set data.fit=letterbox to get whole pictures back."
            )
        return self.content(image).resize(self.source[::-1], self.resample)

    def content(self, image: Image.Image) -> Image.Image:
        """Take the picture out of its bars and mirror it back; its pixels stay as they are."""
        _expect_size(image, self.cell)
        if self.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        (top, left), (height, width) = self.offset, self.resized
        return image.crop((left, top, left + width, top + height))

    def place_keypoints(
        self, keypoints: np.ndarray, valid: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Move a pose with the picture: (K,2) in [0,1] of the source -> of the cell.

        Joints that were cut off keep their place outside [0,1]. A mirror swaps left and right.
        """
        placed = (keypoints * self.resized[::-1] + self.offset[::-1]) / self.cell[::-1]
        return flip_keypoints(placed, valid) if self.flip else (placed, valid)

    def unplace_keypoints(
        self, keypoints: np.ndarray, valid: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Undo `place_keypoints`: (K,2) in [0,1] of the cell -> of the source."""
        if self.flip:
            keypoints, valid = flip_keypoints(keypoints, valid)
        moved = keypoints * self.cell[::-1] - np.array(self.offset[::-1])
        return moved / self.resized[::-1], valid


def fit_view(
    image: Image.Image, cell: tuple[int, int], fit: Fit, draw: GeometricDraw | None = None
) -> tuple[Image.Image, Placement]:
    """Cut an RGB picture to a cell (height, width); also return how, for keypoints and way back."""
    placement = Placement.fit((image.height, image.width), cell, fit, draw)
    return placement.place(image), placement


def image_tensor(image: Image.Image) -> Tensor:
    """Make an RGB picture a float32 tensor (3,H,W) in [-1,1]."""
    return (unit_tensor(image) - 0.5) / 0.5


def unit_tensor(image: Image.Image | np.ndarray) -> Tensor:
    """Make an RGB picture, PIL or uint8 (H,W,3), a float32 tensor (3,H,W) in [0,1]."""
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
    return rearrange(pixels, "h w c -> c h w").contiguous().float() / 255


def clip_pixels(image: Image.Image, size: int = 224, fit: ClipFit = "crop") -> Tensor:
    """Prepare an RGB picture for a CLIP image encoder: float32 (3,size,size), CLIP-normalised.

    `crop` shows the encoder the centre square, as published; `pad` the whole picture on a square of
    the mean colour, so that a standing person keeps head and feet.
    """
    return normalise_clip(unit_tensor(clip_square(image, size, fit)))


def clip_square(image: Image.Image, size: int, fit: ClipFit = "crop") -> Image.Image:
    """Cut a picture to the square that a CLIP encoder sees (bicubic)."""
    kind: Fit = "crop" if fit == "crop" else "letterbox"
    source = (image.height, image.width)
    return Placement.fit(source, (size, size), kind).place(image, fill=_CLIP_PADDING)


def normalise_clip(pixels: Tensor) -> Tensor:
    """Apply CLIP's mean and deviation to pixels (...,3,H,W) in [0,1]."""
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (CLIP_MEAN, CLIP_STD))
    return (pixels - mean.to(pixels)) / std.to(pixels)


def _scale_to(source: tuple[int, int], cell: tuple[int, int], *, cover: bool) -> tuple[int, int]:
    """Size that covers the cell, or fits into it, keeping the aspect; a fraction is cut off."""
    by_width = (max(1, source[0] * cell[1] // source[1]), cell[1])
    by_height = (cell[0], max(1, source[1] * cell[0] // source[0]))
    is_tall = source[0] * cell[1] >= source[1] * cell[0]
    return by_width if is_tall == cover else by_height


def _expect_size(image: Image.Image, expected: tuple[int, int]) -> None:
    if (image.height, image.width) != expected:
        raise DataError(
            f"found a picture of {image.height} x {image.width} pixels, expected "
            f"{expected[0]} x {expected[1]}. Give the picture its placement was made for."
        )
