"""Timings are medians of repeats after warm-up; comparisons take turns."""

import subprocess
import sys
from itertools import pairwise

import pytest

from jcdm.bench import timing
from jcdm.bench.timing import compare_work, time_work


class Clock:
    """Stands for the clock: work moves it on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", found)
    yield found
    monkeypatch.undo()


def test_the_median_counts_and_the_warm_up_does_not(clock: Clock) -> None:
    seconds = iter([100.0, 50.0, 1.0, 2.0, 4.0, 2.0, 9.0])

    def work() -> int:
        clock.now += next(seconds)
        return 4

    found = time_work("work", "items", work, num_repeats=5, num_warmup=2)
    assert found.per_second == 2 and found.num_repeats == 5
    assert found.low < 2 < found.high and "items/s" in found.line


def test_a_comparison_takes_turns_and_the_median_of_their_ratios(clock: Clock) -> None:
    calls: list[str] = []

    def work(name: str, seconds: float) -> int:
        calls.append(name)
        clock.now += seconds * len(calls)  # the machine grows slower
        return 1

    found = compare_work(
        ("ours", "theirs"), "items", lambda: work("a", 1), lambda: work("b", 3), num_repeats=5
    )
    assert all(first != second for first, second in pairwise(calls)) and len(calls) == 14
    assert 3 < found.ratio < 3.5 and "times as fast" in found.line


def test_peak_memory_grows_with_what_is_held_and_stays() -> None:
    """In a process of its own: the peak of this one may be anywhere."""
    code = (
        "from jcdm.bench.memory import peak_memory\n"
        "before = peak_memory(); held = bytearray(b'x') * 200_000_000; del held\n"
        "print(peak_memory() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 150 < float(done.stdout) < 260
