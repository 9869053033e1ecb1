"""What the steps since the last row add up to, kept where they are computed.

A step adds to it and waits for nothing; the host reads it when a row or a checkpoint is due.
"""

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedStep:
    """A step whose gradient was not finite, counted from 1, and whom it saw on this rank."""

    step: int
    subjects: tuple[str, ...]


class StepTally:
    """Sums of loss and gradient norm over the steps taken, and counts of the steps skipped.

    Starts from the counters of `progress`, which only `read` and `start_row` change.
    """

    def __init__(self, progress: Progress, accelerator: Accelerator) -> None:
        self.progress = progress
        self.accelerator = accelerator
        counters = [float(getattr(progress, name)) for name in _NAMES]
        self.values = torch.tensor(counters, dtype=torch.float64, device=accelerator.device)
        self.unread: list[tuple[SkippedStep, Tensor]] = []

    def add(self, loss: Tensor, norm: Tensor, subjects: tuple[str, ...] = ()) -> Tensor:
        """Count a step; returns whether it is taken, which is where its gradient is finite.

        loss, norm: scalars. The result is a scalar bool tensor on their device.
        """
        taken = norm < float("inf")  # False for NaN too
        in_case = SkippedStep(step=self.progress.step + 1, subjects=subjects)
        self.unread.append((in_case, taken))
        sums, (skipped, in_row, longest) = self.values[:_NUM_SUMS], self.values[_NUM_SUMS:]
        added = torch.stack([loss.double(), norm.double(), torch.ones_like(sums[0])])
        in_row = torch.where(taken, 0.0, in_row + 1)
        counts = torch.stack([skipped + (~taken), in_row, torch.maximum(longest, in_row)])
        self.values = torch.cat([torch.where(taken, sums + added, sums), counts])
        return taken

    def read(self) -> list[SkippedStep]:
        """Bring the counters to the host, the loss averaged over ranks.

        Returns the steps skipped since the last reading.
        """
        if self.accelerator.num_processes > 1:
            self.values[0] = self.accelerator.reduce(self.values[0], "mean")
        for name, value in zip(_NAMES, self.values.tolist(), strict=True):
            is_sum = name in _NAMES[:2]
            setattr(self.progress, name, value if is_sum else int(value))
        unread, self.unread = self.unread, []
        if not unread:
            return []
        were_taken = torch.stack([taken for _, taken in unread]).tolist()
        steps = [step for step, _ in unread]
        return [step for step, taken in zip(steps, were_taken, strict=True) if not taken]

    def start_row(self) -> None:
        """Forget the sums, which stand in a row now; call after `read`."""
        self.values[:_NUM_SUMS] = 0.0
        self.progress.loss_sum = self.progress.grad_norm_sum = 0.0
        self.progress.num_summed = 0
