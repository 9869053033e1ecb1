"""Training data of motion across frames: several consecutive grids of one moving person."""

from dataclasses import fields
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from jcdm.data.dataset import Cells, MultiViewDataset
from jcdm.data.visibility import draw_visibility
from jcdm.errors import DataError
from jcdm.records import KEYS, Batch, SubjectRecord
from jcdm.seeding import generator, sample_key


class FrameWindowDataset(MultiViewDataset):
    """Samples of F grids of one sequence, laid out as F*V views, grid by grid.

    References stand in the same cells of every grid; the targets are windows of consecutive
    frames, neighbouring windows sharing one frame where there is room, as sampling has them.
    """

    num_grids = 1

    def set_num_grids(self, num_grids: int) -> None:
        """Choose F. Errors: DataError when a sequence is too short for it."""
        self.num_grids = num_grids
        needed = fewest_frames(self.num_views, num_grids)
        if short := [r for r in self.records if len(r.views) < needed]:
            raise DataError(
                f"sequence {short[0].subject!r} has {len(short[0].views)} frames, but "
                f"motion.num_frames={num_grids} needs {needed}. Lower motion.num_frames, or draw "
                "longer sequences."
            )

    def _arrange(self, record: SubjectRecord, key: int) -> tuple[Cells, Tensor]:
        """Choose the view of each of the F*V cells, and which of them are visible."""
        visible = draw_visibility(
            key, torch.ones(self.num_views, dtype=torch.bool), self.visibility
        )
        num_targets = int((~visible).sum())
        stream = generator(key, "views")
        length = _num_frames(num_targets, self.num_grids)
        start = int(stream.integers(0, len(record.views) - length, endpoint=True))
        outside = np.setdiff1d(np.arange(len(record.views)), start + np.arange(length))
        frames = np.empty((self.num_grids, self.num_views), dtype=np.int64)
        windows = start + _stride(num_targets) * np.arange(self.num_grids)
        frames[:, ~visible.numpy()] = windows[:, None] + np.arange(num_targets)
        references = stream.permutation(outside)[: self.num_views - num_targets]
        frames[:, visible.numpy()] = references
        cells = tuple(record.views[frame] for frame in frames.flatten())
        return cells, visible.repeat(self.num_grids)


def fewest_frames(num_views: int, num_grids: int) -> int:
    """How many frames a sequence needs for F grids of V views, whatever is drawn."""
    return max(_num_frames(t, num_grids) + num_views - t for t in range(1, num_views))


def _stride(num_targets: int) -> int:
    """Frames from one window to the next."""
    return max(1, num_targets - 1)


def _num_frames(num_targets: int, num_grids: int) -> int:
    """Frames that a row of windows covers."""
    return num_targets + (num_grids - 1) * _stride(num_targets)


def split_grids(batch: Batch, num_grids: int) -> Batch:
    """Make every grid a sample of its own: (B,F*V,...) -> (B*F,V,...), with its own key."""
    if num_grids == 1:
        return batch
    split: dict[str, Any] = {
        f.name: rearrange(value, "b (f v) ... -> (b f) v ...", f=num_grids)
        for f in fields(batch)
        if isinstance(value := getattr(batch, f.name), Tensor) and f.name not in KEYS
    }
    names = [name for name in batch.subjects for _ in range(num_grids)]
    return Batch(
        **split,
        subjects=tuple(names),
        keys=_keys_of_grids(batch.keys, num_grids),
        arrangements=None
        if batch.arrangements is None
        else _keys_of_grids(batch.arrangements, num_grids),
    )


def _keys_of_grids(keys: Tensor, num_grids: int) -> Tensor:
    return torch.tensor([sample_key(key, 0, f) for key in keys.tolist() for f in range(num_grids)])
