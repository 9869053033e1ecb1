"""Time a piece of work: warm-up first, then repeats, whose median counts."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import NamedTuple

import torch

from jcdm.bench.results import NAME_WIDTH

Work = Callable[[], int]
"""Does a piece of work once and returns how many items that was."""
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Items a second: the median of all repeats, and their quartiles. unit: what an item is."""

    name: str
    unit: str
    per_second: float
    low: float
    high: float
    num_repeats: int

    @property
    def line(self) -> str:
        """One line for people."""
        spread = f"[{self.low:.4g}, {self.high:.4g}]"
        return (
            f"{self.name:{NAME_WIDTH}} {self.per_second:12.4g} {self.unit}/s   quartiles {spread}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Ours beside another way to do it. ratio: median over repeats, taken in turns.

    cpu_ratio: the same of the processor seconds that this process used, which others on the machine
    disturb less; None on a GPU.
    """

    ours: Timing
    theirs: Timing
    ratio: float
    cpu_ratio: float | None = None

    @property
    def line(self) -> str:
        """Three lines for people."""
        cpu = "" if self.cpu_ratio is None else f" ({self.cpu_ratio:.3g} by processor seconds)"
        ratio = f"{'':{NAME_WIDTH}} {self.ratio:12.3g} times as fast{cpu}"
        return f"{self.ours.line}\n{self.theirs.line}\n{ratio}"


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done all it was given, so that a clock sees it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_work(
    name: str,
    unit: str,
    work: Work,
    *,
    num_repeats: int = 7,
    num_warmup: int = 2,
    device: torch.device = CPU,
) -> Timing:
    """Time work that is repeated alike."""
    rounds = [_measure(work, device) for _ in range(num_warmup + num_repeats)][num_warmup:]
    rates = [found.rate for found in rounds]
    return _timing(name, unit, rates)


def compare_work(
    names: tuple[str, str],
    unit: str,
    ours: Work,
    theirs: Work,
    *,
    num_repeats: int = 7,
    num_warmup: int = 2,
    device: torch.device = CPU,
) -> Comparison:
    """Time two kinds of work in turns, so that whatever slows a machine down slows both."""
    (found,) = compare_all(
        (names[1], theirs),
        {names[0]: ours},
        unit,
        num_repeats=num_repeats,
        num_warmup=num_warmup,
        device=device,
    )
    return found


def compare_all(
    reference: tuple[str, Work],
    works: Mapping[str, Work],
    unit: str,
    *,
    num_repeats: int = 7,
    num_warmup: int = 2,
    device: torch.device = CPU,
) -> list[Comparison]:
    """Time several kinds of work, by name, each beside one reference; all in turns."""
    every = [*works.values(), reference[1]]
    rounds = [[_measure(work, device) for work in every] for _ in range(num_warmup + num_repeats)][
        num_warmup:
    ]
    theirs = [found[-1] for found in rounds]
    return [
        _comparison((name, reference[0]), unit, [found[i] for found in rounds], theirs, device)
        for i, name in enumerate(works)
    ]


def _comparison(
    names: tuple[str, str],
    unit: str,
    ours: Sequence["_Measured"],
    theirs: Sequence["_Measured"],
    device: torch.device,
) -> Comparison:
    pairs = list(zip(ours, theirs, strict=True))
    on_cpu = device.type == "cpu"
    return Comparison(
        ours=_timing(names[0], unit, [found.rate for found in ours]),
        theirs=_timing(names[1], unit, [found.rate for found in theirs]),
        ratio=median(a.rate / b.rate for a, b in pairs),
        cpu_ratio=median(a.cpu_rate / b.cpu_rate for a, b in pairs) if on_cpu else None,
    )


class _Measured(NamedTuple):
    """Items a second, and a second of this process's processor time."""

    rate: float
    cpu_rate: float


def _measure(work: Work, device: torch.device) -> _Measured:
    synchronise(device)
    start, cpu_start = time.perf_counter(), time.process_time()
    count = work()
    synchronise(device)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return _Measured(count / seconds, count / max(cpu_seconds, 1e-9))


def _timing(name: str, unit: str, rates: Sequence[float]) -> Timing:
    low, _, high = quantiles(rates, n=4) if len(rates) > 1 else (rates[0],) * 3
    return Timing(
        name=name,
        unit=unit,
        per_second=median(rates),
        low=low,
        high=high,
        num_repeats=len(rates),
    )
