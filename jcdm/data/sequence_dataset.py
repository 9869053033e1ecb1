"""Samples of one grid from moving sequences: references from anywhere, targets in a row."""

import numpy as np
import torch
from torch import Tensor

from jcdm.data.dataset import Cells, MultiViewDataset
from jcdm.data.visibility import draw_visibility
from jcdm.errors import DataError
from jcdm.records import SubjectRecord
from jcdm.seeding import generator


class SequenceDataset(MultiViewDataset):
    """Samples from moving sequences: records whose views are frames in order.

    The targets of a sample are consecutive frames with a drawn start and a stride of 1 or 2, in the
    order of their cells; the references are other frames from anywhere in the sequence. Every
    sequence has at least V frames.
    """

    def _require_views(self) -> None:
        super()._require_views()
        if short := [r for r in self.records if len(r.views) < self.num_views]:
            raise DataError(
                f"sequence {short[0].subject!r} has {len(short[0].views)} frames, expected at "
                f"least {self.num_views}, one a cell. Remove it or choose a smaller grid."
            )

    def _arrange(self, record: SubjectRecord, key: int) -> tuple[Cells, Tensor]:
        present = torch.ones(self.num_views, dtype=torch.bool)
        visible = draw_visibility(key, present, self.visibility)
        num_targets = int((~visible).sum())
        stream = generator(key, "views")
        num_frames = len(record.views)
        longest = (num_frames - 1) // max(num_targets - 1, 1)
        stride = int(stream.integers(1, min(2, longest), endpoint=True))
        last_start = num_frames - 1 - (num_targets - 1) * stride
        start = int(stream.integers(0, last_start, endpoint=True))
        targets = start + stride * np.arange(num_targets)
        others = stream.permutation(np.setdiff1d(np.arange(num_frames), targets))
        frames = np.empty(self.num_views, dtype=np.int64)
        frames[~visible.numpy()] = targets
        frames[visible.numpy()] = others[: self.num_views - num_targets]
        return tuple(record.views[frame] for frame in frames), visible
