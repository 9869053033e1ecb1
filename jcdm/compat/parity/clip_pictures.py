"""CLIP's preprocessing: the crop, its floats, and the two plain pictures."""

import re
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jcdm.compat.parity.comparison import EXACT, PIXELS, Row, compare
from jcdm.compat.parity.fixtures import FixtureFolder, picture
from jcdm.data.transforms import CLIP_MEAN, CLIP_STD, clip_pixels, clip_square

CLIP_SIZE = 224  # of the published encoder
_INPUT = re.compile(r"in(\d+)\.png")
_FIRST_ROW, _FIRST_COLUMN = 3, 5  # where the recorded lattice begins


def compare_clip_pictures(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare every recorded picture, the statistics, and a black and a white picture."""
    golden, config = fixtures.tensors(name), fixtures.settings(name)["processor_config"]
    size = config["crop_size"]["height"]
    for key, ours in (("image_mean", CLIP_MEAN), ("image_std", CLIP_STD)):
        yield compare(f"{name}/{key}", ours, torch.tensor(config[key]), PIXELS)
    for number in (match[1] for key in golden if (match := _INPUT.fullmatch(key))):
        image = picture(golden[f"in{number}.png"])
        crop = torch.from_numpy(np.array(picture(golden[f"out{number}.crop_png"])))
        found = torch.from_numpy(np.array(clip_square(image, size)))
        yield compare(f"{name}/out{number}.crop_png", found, crop, EXACT)
        keys = (f"out{number}.values_strided", f"out{number}.sum_f64")
        yield from lattice_rows(name, keys, clip_pixels(image, size), golden)
    for colour in ("black", "white"):
        found = clip_pixels(Image.new("RGB", (size, size), colour), size)
        expected = golden[f"const_{colour}_rgb"][:, None, None].expand_as(found)
        yield compare(f"{name}/const_{colour}_rgb", found, expected, PIXELS)


def lattice_rows(
    name: str, keys: tuple[str, str], found: Tensor, golden: Mapping[str, Tensor]
) -> Iterator[Row]:
    """Compare pixels (...,3,S,S) with their recorded lattice and with their recorded sums.

    keys: of the lattice and of the sums. A sum of so many floats is compared as their mean.
    """
    strided, total = keys
    yield compare(f"{name}/{strided}", _lattice(found, golden[strided]), golden[strided], PIXELS)
    yield mean_row(f"{name}/{total}", found, golden[total])


def mean_row(name: str, found: Tensor, total: Tensor) -> Row:
    """Compare pixels (...,3,S,S) with their recorded sums (...,3)."""
    num_pixels = found.shape[-2] * found.shape[-1]
    return compare(name, found.double().mean((-2, -1)), total / num_pixels, PIXELS)


def _lattice(found: Tensor, strided: Tensor) -> Tensor:
    step = found.shape[-1] // strided.shape[-1]
    return found[..., _FIRST_ROW::step, _FIRST_COLUMN::step]
