"""Time a piece of work: warm-up first, then repeats, whose median counts."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

Work = Callable[[], int]
"""Does a piece of work once and returns how many items that was."""


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
        return f"{self.name:44} {self.per_second:12.4g} {self.unit}/s   quartiles {spread}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Ours beside another way to the same numbers. ratio: median over repeats, taken in turns."""

    ours: Timing
    theirs: Timing
    ratio: float

    @property
    def line(self) -> str:
        """Three lines for people."""
        return f"{self.ours.line}\n{self.theirs.line}\n{'':44} {self.ratio:12.3g} times as fast"


def time_work(
    name: str, unit: str, work: Work, *, num_repeats: int = 7, num_warmup: int = 2
) -> Timing:
    """Time work that is repeated alike."""
    rates = [_rate(work) for _ in range(num_warmup + num_repeats)][num_warmup:]
    return _timing(name, unit, rates)


def compare_work(
    names: tuple[str, str],
    unit: str,
    ours: Work,
    theirs: Work,
    *,
    num_repeats: int = 7,
    num_warmup: int = 2,
) -> Comparison:
    """Time two kinds of work in turns, so that whatever slows a machine down slows both."""
    pairs = [(_rate(ours), _rate(theirs)) for _ in range(num_warmup + num_repeats)][num_warmup:]
    first, second = zip(*pairs, strict=True)
    return Comparison(
        ours=_timing(names[0], unit, first),
        theirs=_timing(names[1], unit, second),
        ratio=median(a / b for a, b in pairs),
    )


def _rate(work: Work) -> float:
    start = time.perf_counter()
    count = work()
    return count / (time.perf_counter() - start)


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
