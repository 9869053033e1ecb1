"""Training starts from published weights: they are copied whole, and counted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from jcdm.compat.pieces import Pieces, read_pieces

NUM_COPIED_AT_ONCE = 64  # weights mapped into memory together


@dataclass(frozen=True, slots=True, kw_only=True)
class StartReport:
    """How a part began: parameters taken from `source`, and `fresh` ones by name with their count.

    unused: what the source holds and this model has no place for.
    """

    part: str
    source: Path
    num_loaded: int
    fresh: Mapping[str, int]
    unused: tuple[str, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        """Say it in one line of a log."""
        total = self.num_loaded + sum(self.fresh.values())
        line = f"{self.part} starts from {self.source}: {self.num_loaded:,} of {total:,} parameters"
        if self.fresh:
            rest = ", ".join(f"{name} {number:,}" for name, number in self.fresh.items())
            line += f"; fresh: {rest}"
        if self.unused:
            line += f"; in the file, but not used: {', '.join(self.unused)}"
        return f"{line}. {self.note}".rstrip()


@torch.no_grad()
def copy_pieces(state: Mapping[str, Tensor], pieces: Pieces) -> None:
    """Copy stored weights into those of a model, all of one shape, a few at a time."""
    names = list(pieces)
    for start in range(0, len(names), NUM_COPIED_AT_ONCE):
        some = names[start : start + NUM_COPIED_AT_ONCE]
        for name, tensor in read_pieces({name: pieces[name] for name in some}).items():
            state[name].copy_(tensor)


def count(tensors: Iterable[Tensor]) -> int:
    """Count the numbers in tensors."""
    return sum(tensor.numel() for tensor in tensors)
