"""Rows for recorded metric numbers: values that may be infinite or NaN, lists, and words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from jcdm.compat.parity.comparison import EXACT, Row, Tolerance, agree, compare, failure


def judge(name: str, found: Any, recorded: Any, tolerance: Tolerance = EXACT) -> Row:
    """Compare numbers of any shape; infinite ones and NaN must stand in the same places.

    Recorded numbers may be text such as "inf".
    """
    ours, theirs = np.asarray(found, np.float64), np.asarray(recorded).astype(np.float64)
    if ours.shape == theirs.shape:
        odd = ~np.isfinite(theirs)
        if not np.array_equal(ours[odd], theirs[odd], equal_nan=True):
            return failure(name, f"{ours[odd]} where {theirs[odd]} is recorded")
        ours, theirs = ours[~odd], theirs[~odd]
    return compare(name, torch.from_numpy(ours), torch.from_numpy(theirs), tolerance)


def same(name: str, found: Any, recorded: Any) -> Row:
    """Compare words, names or counts, alone or in a list, which must be equal in order."""
    return agree(name, _by_place(found), _by_place(recorded))


def _by_place(value: Any) -> dict[str, Any]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {f"number {i}": entry for i, entry in enumerate(value)}
    return {"value": value}
