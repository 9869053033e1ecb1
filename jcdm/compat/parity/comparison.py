"""One compared quantity: its errors, the tolerance that judges them, the row to print."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """The largest error that passes, and which error that is.

    `max-abs`: the largest difference. `L2`: the norm of the difference over the norm of the record.
    `entrywise`: the largest difference of an entry over that entry; an entry recorded as 0, which
    no relative error fits, is measured against the largest entry. A record of zeros passes the two
    relative kinds only where it is met exactly.
    """

    kind: Literal["max-abs", "L2", "entrywise"]
    bound: float

    def __str__(self) -> str:
        return f"{self.kind} {self.bound:.2g}"


FORWARD = Tolerance(kind="max-abs", bound=1e-4)
LATENTS = Tolerance(kind="max-abs", bound=1e-3)  # what a whole sampling run leads to
LEVELS = Tolerance(kind="max-abs", bound=1)  # pictures in 8 bits
UNIT_LEVELS = Tolerance(kind="max-abs", bound=1 / 255)  # pictures in [0,1]
LOSS = Tolerance(kind="L2", bound=1e-5)
GRADIENT = Tolerance(kind="L2", bound=1e-3)
SCHEDULE = Tolerance(kind="entrywise", bound=1e-5)  # tables, whose small entries count too
STEP = Tolerance(kind="L2", bound=1e-5)  # noised or half denoised data, whose zeros are chance
EXACT = Tolerance(kind="max-abs", bound=0)
PIXELS = Tolerance(kind="max-abs", bound=2e-6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How far one quantity is from its record. name: `fixture/tensor`; error: the judged one."""

    name: str
    passed: bool
    max_abs: float = float("nan")
    relative: float = float("nan")
    error: float = float("nan")
    tolerance: Tolerance = EXACT
    note: str = ""

    def __str__(self) -> str:
        verdict = "pass" if self.passed else "FAIL"
        numbers = f"max-abs {self.max_abs:8.1e}  relative {self.relative:8.1e}"
        line = f"{self.name:60}  {numbers}  tolerance {self.tolerance!s:15}  {verdict}"
        return f"{line}  {self.note}" if self.note else line


def compare(name: str, found: Any, golden: Tensor, tolerance: Tolerance) -> Row:
    """Judge one quantity; another shape, or a number that is not finite, fails.

    found: a tensor, or numbers that make one.
    """
    ours = torch.as_tensor(found).detach().double()
    theirs = golden.detach().double()
    if ours.shape != theirs.shape:
        note = f"has shape {tuple(ours.shape)}, expected {tuple(theirs.shape)}"
        return Row(name=name, passed=False, tolerance=tolerance, note=note)
    if not (ours.isfinite().all() and theirs.isfinite().all()):
        return Row(name=name, passed=False, tolerance=tolerance, note="holds NaN or infinity")
    gap = (ours - theirs).abs()
    errors = {
        "max-abs": gap.max().item() if gap.numel() else 0.0,
        "L2": _ratio(gap.norm(), theirs.norm()),
        "entrywise": _entrywise(gap, theirs.abs()),
    }
    error = errors[tolerance.kind]
    return Row(
        name=name,
        passed=error <= tolerance.bound,
        max_abs=errors["max-abs"],
        relative=errors["L2"],
        error=error,
        tolerance=tolerance,
    )


def agree(name: str, found: dict[str, Any], expected: dict[str, Any]) -> Row:
    """Judge named settings or shapes, which must be equal; names what differs first."""
    absent = object()
    names = sorted(found.keys() | expected.keys())
    differing = [n for n in names if found.get(n, absent) != expected.get(n, absent)]
    note = f"{len(differing)} differ, first: {differing[0]}" if differing else ""
    share = len(differing) / max(1, len(names))
    return Row(
        name=name,
        passed=not differing,
        max_abs=len(differing),
        relative=share,
        error=len(differing),
        note=note,
    )


def failure(name: str, reason: str) -> Row:
    """Make the row of a quantity that could not be computed."""
    return Row(name=name, passed=False, note=" ".join(reason.split())[:200])


def _ratio(gap: Tensor, size: Tensor) -> float:
    """Divide, a gap of 0 being no error whatever the size."""
    return (gap / size).item() if gap > 0 else 0.0


def _entrywise(gap: Tensor, size: Tensor) -> float:
    if not gap.numel():
        return 0.0
    scale = torch.where(size > 0, size, size.max())
    return torch.where(gap > 0, gap / scale, 0.0).max().item()
