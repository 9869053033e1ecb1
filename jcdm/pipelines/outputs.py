"""Decoded pictures -> what a caller asked for: PIL images, arrays or tensors."""

from typing import Any

import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from jcdm.errors import ConfigError

OUTPUT_TYPES = ("pil", "np", "pt")


def check_output_type(output_type: str) -> None:
    """Raise a ConfigError for an unknown output type, before any work is done."""
    if output_type not in OUTPUT_TYPES:
        raise ConfigError(
            f"output_type is {output_type!r}; expected one of {', '.join(OUTPUT_TYPES)}."
        )


def to_uint8(images: Tensor) -> Tensor:
    """Round pictures from [-1,1] to 0..255, same shape."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def to_pil(images: Tensor) -> list[Image.Image]:
    """Turn (N,3,H,W) in [-1,1] into N images."""
    arrays = rearrange(to_uint8(images).cpu(), "n c h w -> n h w c").numpy()
    return [Image.fromarray(array) for array in arrays]


def to_output(images: Tensor, output_type: str) -> Any:
    """Turn (N,3,H,W) in [-1,1] into PIL images, an array (N,H,W,3) or a tensor (N,3,H,W).

    Array and tensor are float32 in [0,1], on the CPU.
    """
    if output_type == "pil":
        return to_pil(images)
    unit = (images.float().cpu() + 1) / 2
    return unit if output_type == "pt" else rearrange(unit, "n c h w -> n h w c").numpy()
