"""The patches of a batch's references, as the denoiser is told them."""

import torch
from torch import Tensor

from jcdm.models.encoders import FrozenCLIPVision
from jcdm.patches import pool_patches
from jcdm.records import Batch


@torch.no_grad()
def embed_patches(clip: FrozenCLIPVision, batch: Batch, patch_grid: int) -> Tensor:
    """Encode and pool the patches of the reference views: (B,V,n*n,W), n = patch_grid.

    All other views have zeros: their pixels are not shown to the encoder.
    """
    known = batch.visible & batch.present
    tokens = clip.patch_tokens(batch.clip_pixels[known])
    return spread(pool_patches(tokens, patch_grid), known)


def spread(values: Tensor, known: Tensor) -> Tensor:
    """Lay the values (N,...) of the N views in `known` (B,V) into their places: (B,V,...), else 0.

    `known` may be on the CPU, so that choosing views waits for no GPU.
    """
    rows = known.flatten().nonzero()[:, 0].to(values.device)
    found = values.new_zeros(known.numel(), *values.shape[1:])
    return found.index_copy_(0, rows, values).unflatten(0, known.shape)
