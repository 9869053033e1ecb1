"""The image encoder's patch tokens as n x n patches: the only code that knows their order."""

from math import isqrt

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from jcdm.errors import ConfigError


def pool_patches(tokens: Tensor, patch_grid: int) -> Tensor:
    """Average a square picture's tokens over n x n patches, row by row; n = patch_grid.

    tokens (...,1+s*s,W): the class token, which is left out, then s rows of s patches, as the
    encoder's last layer gives them, not normalised. Returns (...,n*n,W); where n does not divide s,
    neighbours share tokens. Errors: ConfigError for n above s.
    """
    *leading, num_tokens, width = tokens.shape
    side = isqrt(num_tokens - 1)
    require_patches(patch_grid, side)
    flat = tokens.reshape(-1, num_tokens, width)
    maps = rearrange(flat[:, 1:], "b (row column) w -> b w row column", row=side)
    pooled = F.adaptive_avg_pool2d(maps, patch_grid)
    return rearrange(pooled, "b w row column -> b (row column) w").reshape(*leading, -1, width)


def require_patches(patch_grid: int, side: int) -> None:
    """Raise a ConfigError unless an encoder with `side` patches a side has that many to pool."""
    if patch_grid > side:
        raise ConfigError(
            f"jci.patch_grid is {patch_grid}, but the image encoder sees {side} x {side} patches; "
            f"expected at most {side}."
        )
