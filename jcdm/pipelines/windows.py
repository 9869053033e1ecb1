"""Overlapping windows over a sequence: where they lie, and the average of what they say.

Diffusion paths fused as in MultiDiffusion (Bar-Tal et al., 2023), along time instead of space:
cells that several windows share get the mean of the windows' predictions at every step.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from jcdm.errors import ConfigError
from jcdm.pipelines.noise import NoiseSource


def window_starts(length: int, window: int, overlap: int) -> list[int]:
    """List the first positions of windows that cover 0..length-1; neighbours share `overlap`.

    The last window is moved back to end at the end, so all are full; a sequence shorter than the
    window has one. Errors: ConfigError for an overlap that is negative or not below the window.
    """
    if not 0 <= overlap < window:
        raise ConfigError(
            f"overlap is {overlap}, expected 0 to {window - 1}: a window holds {window} frames."
        )
    if length <= window:
        return [0]
    return [*range(0, length - window, window - overlap), length - window]


class WindowTable:
    """Which state of a sequence stands in which cell of which window.

    States are the references, then the frames; `cells` (W,V) int64 gives each window's states.
    """

    def __init__(self, num_references: int, starts: Sequence[int], window: int) -> None:
        held = torch.arange(num_references)
        moving = (num_references + start + torch.arange(window) for start in starts)
        self.cells = torch.stack([torch.cat([held, frames]) for frames in moving])
        self.num_states = int(self.cells.max()) + 1

    def spread(self, states: Tensor) -> Tensor:
        """Copy each state to all its cells: (N,...) -> (W,V,...)."""
        return states[self.cells.to(states.device)]

    def merge(self, values: Tensor) -> Tensor:
        """Average over all cells of each state: (W,V,...) -> (N,...). Left inverse of `spread`."""
        total, count = self.new_totals(values)
        self.add(total, count, values, range(len(self.cells)))
        return self.mean(total, count)

    def new_totals(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Start a sum and a count a state, for cell values shaped and typed like (.,V,...)."""
        total = like.new_zeros(self.num_states, *like.shape[2:])
        return total, like.new_zeros(self.num_states)

    def add(self, total: Tensor, count: Tensor, values: Tensor, rows: Sequence[int]) -> None:
        """Add the values (len(rows),V,...) of some windows to the totals, in place."""
        index = self.cells[list(rows)].flatten().to(values.device)
        total.index_add_(0, index, values.flatten(0, 1))
        count.index_add_(0, index, torch.ones_like(index, dtype=count.dtype))

    def mean(self, total: Tensor, count: Tensor) -> Tensor:
        """Divide a sum by its count, state by state."""
        return total / count.view(-1, *[1] * (total.ndim - 1))


class WindowNoise:
    """The noise of one sequence as its windows see it: a state has the same in all of them."""

    def __init__(self, source: NoiseSource, table: WindowTable) -> None:
        self.source = source
        self.table = table

    def normal(self, purpose: str, shape: Sequence[int]) -> Tensor:
        """Draw one number a state and spread it: shape (V,...) -> (W,V,...)."""
        states = self.source.normal(purpose, (self.table.num_states, *shape[1:]))
        return self.table.spread(states[0])

    def generators(self) -> list[torch.Generator] | torch.Generator:
        """Return the generators of the sequence's source."""
        return self.source.generators()
