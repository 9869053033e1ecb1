"""Draw which views of a sample are references and which are to be painted."""

import numpy as np
import torch
from torch import Tensor

from jcdm.config import VisibilityConfig
from jcdm.errors import DataError
from jcdm.seeding import generator


def draw_visibility(key: int, present: Tensor, config: VisibilityConfig) -> Tensor:
    """Draw `visible` (V,) bool for the cells where `present` (V,) bool is True.

    The number of references is uniform between the configured ends, of which one target is always
    left; kind `any` stands them anywhere, `prefix` in the first cells, as published. An empty cell
    is never visible. Errors: DataError below two present views.
    """
    cells = np.flatnonzero(present.numpy())
    if len(cells) < 2:
        raise DataError(
            f"a sample has {len(cells)} views, expected at least two: a reference and a target. "
            "List such subjects with: python -m jcdm data check."
        )
    most = min(config.max_references or len(cells), len(cells) - 1)
    least = min(config.min_references, most)
    stream = generator(key, "visibility")
    num_references = stream.integers(least, most, endpoint=True)
    if config.kind == "any":
        cells = stream.permutation(cells)
    visible = torch.zeros(len(present), dtype=torch.bool)
    visible[cells[:num_references]] = True
    return visible
