"""What the steps since the last row add up to, kept where they are computed.

A step adds to it and waits for nothing; the host reads it when a row or a checkpoint is due.
"""

import torch
from accelerate import Accelerator
from torch import Tensor

from jcdm.training.state import Progress

_NAMES = (
    "loss_sum",
    "grad_norm_sum",
    "num_summed",
    "num_skipped",
    "num_skipped_in_row",
    "longest_skipped",
)
_NUM_SUMS = 3  # the first ones, which start anew with every row


class StepTally:
    """Sums of loss and gradient norm over the steps taken, and counts of the steps skipped.

    Starts from the counters of `progress`, which only `read` and `start_row` change.
    """

    def __init__(self, progress: Progress, accelerator: Accelerator) -> None:
        self.progress = progress
        self.accelerator = accelerator
        counters = [float(getattr(progress, name)) for name in _NAMES]
        self.values = torch.tensor(counters, dtype=torch.float64, device=accelerator.device)

    def add(self, loss: Tensor, norm: Tensor) -> Tensor:
        """Count a step; returns whether it is taken, which is where its gradient is finite.

        loss, norm: scalars. The result is a scalar bool tensor on their device.
        """
        taken = norm < float("inf")  # False for NaN too
        sums, (skipped, in_row, longest) = self.values[:_NUM_SUMS], self.values[_NUM_SUMS:]
        added = torch.stack([loss.double(), norm.double(), torch.ones_like(sums[0])])
        in_row = torch.where(taken, 0.0, in_row + 1)
        counts = torch.stack([skipped + (~taken), in_row, torch.maximum(longest, in_row)])
        self.values = torch.cat([torch.where(taken, sums + added, sums), counts])
        return taken

    def read(self) -> int:
        """Bring the counters to the host, the loss averaged over ranks; returns new skips."""
        if self.accelerator.num_processes > 1:
            self.values[0] = self.accelerator.reduce(self.values[0], "mean")
        before = self.progress.num_skipped
        for name, value in zip(_NAMES, self.values.tolist(), strict=True):
            is_sum = name in _NAMES[:2]
            setattr(self.progress, name, value if is_sum else int(value))
        return self.progress.num_skipped - before

    def start_row(self) -> None:
        """Forget the sums, which stand in a row now; call after `read`."""
        self.values[:_NUM_SUMS] = 0.0
        self.progress.loss_sum = self.progress.grad_norm_sum = 0.0
        self.progress.num_summed = 0
