"""Sinusoidal position tables, which published files store although they are computed."""

import torch
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from torch import Tensor

HALF_PRECISION = 1e-3  # how far a stored table may be from the computed one


def computed_table(num_rows: int, like: Tensor) -> Tensor:
    """Compute a table (1,num_rows,width) of the width and dtype of `like` (1,rows,width)."""
    table = SinusoidalPositionalEmbedding(like.shape[-1], num_rows).get_buffer("pe")
    return table.to(like.dtype)


def is_usual_table(stored: Tensor) -> bool:
    """Tell whether a stored table (1,rows,width) is the computed one, up to half precision."""
    if stored.ndim != 3 or stored.shape[-1] % 2:
        return False
    gap = (stored - computed_table(stored.shape[1], stored)).abs().max()
    return bool(gap <= HALF_PRECISION)


def continue_table(stored: Tensor, num_rows: int) -> Tensor:
    """Lengthen a usual table (1,rows,width) to num_rows; the stored rows stay as they are."""
    longer = computed_table(num_rows, stored)
    return torch.cat([stored, longer[:, stored.shape[1] :]], dim=1)
