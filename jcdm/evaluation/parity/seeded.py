"""The recorded networks: seeded random numbers in place of every weight of torchvision's files.

They check arithmetic only; their scores say nothing about pictures.
"""

import hashlib
import math
import zlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from jcdm.evaluation.protocols.networks import weight_shapes

_FIRST_CONVOLUTION = "Conv2d_1a_3x3.conv.weight"
_FIRST_GAIN = 12  # the protocols feed Inception very small numbers


def seeded_weights(network: str, offset: int) -> dict[str, Tensor]:
    """Draw every weight of `inception_v3` or `alexnet`; the seed is CRC-32 of its name + offset."""
    shapes = weight_shapes(network).items()
    return {name: torch.from_numpy(_draw(name, shape, offset)) for name, shape in shapes}


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over the float32 little-endian bytes of all weights, names sorted."""
    total = hashlib.sha256()
    for name in sorted(weights):
        total.update(weights[name].numpy().astype("<f4", copy=False).tobytes())
    return total.hexdigest()


def _draw(name: str, shape: tuple[int, ...], offset: int) -> np.ndarray:
    seed = zlib.crc32(name.encode("ascii")) + offset
    uniform = np.random.Generator(np.random.PCG64(seed)).random(math.prod(shape))
    return _scale(name, shape, 2 * uniform - 1).astype(np.float32).reshape(shape)


def _scale(name: str, shape: tuple[int, ...], values: np.ndarray) -> np.ndarray:
    """Bring numbers in [-1,1) to the range of a kind of weight."""
    if len(shape) > 1:
        gain = _FIRST_GAIN if name == _FIRST_CONVOLUTION else 1
        return values * math.sqrt(6 / math.prod(shape[1:])) * gain
    if name.endswith("running_var"):
        return 1 + 0.25 * values
    if name.endswith(".bn.weight"):
        return 1 + 0.2 * values
    return 0.1 * values
