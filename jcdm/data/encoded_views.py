"""What a data set asks of an encoder cache."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from jcdm.patches import pool_patches
from jcdm.records import EncodedView, ViewRecord


class EncodedViews(Protocol):
    """What the frozen encoders make of photographs, computed before. black: of a black picture."""

    black: EncodedView

    def load(self, picture: Path, *, flip: bool) -> EncodedView:
        """Look a photograph up, mirrored if `flip`."""
        ...

    def patch_tokens(self, picture: Path, *, flip: bool) -> Tensor:
        """Look the image encoder's tokens (T,W) of a photograph up, class token first."""
        ...


def read_reference_patches(
    cache: EncodedViews,
    cells: Sequence[ViewRecord | None],
    visible: Tensor,
    *,
    flip: bool,
    patch_grid: int,
) -> Tensor:
    """Read the patches of the views that `visible` (V,) names: (V,n*n,W), n = patch_grid.

    Other views have zeros; theirs are not even read, so that no truth travels.
    """
    known = {
        place: pool_patches(cache.patch_tokens(view.image, flip=flip), patch_grid)
        for place, (view, shown) in enumerate(zip(cells, visible.tolist(), strict=True))
        if view is not None and shown
    }
    nothing = torch.zeros_like(next(iter(known.values())))
    return torch.stack([known.get(place, nothing) for place in range(len(cells))])
