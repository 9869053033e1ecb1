"""End a run before its last step, on a signal or when its minutes are over: all ranks together."""

import os
import signal
import threading
import time
from multiprocessing import parent_process
from types import FrameType
from typing import Any, Self

import torch
import torch.distributed as dist

SIGNALS = (signal.SIGTERM, signal.SIGINT)
PATIENCE = 1.0
"""Seconds in which processes of others take further signals for the same one: who has started them
hands on the Ctrl-C that the terminal has sent to all of them already."""
_MINUTES_OVER = 1  # no number of a signal that is waited for


class StopSignals:
    """While open, the first SIGTERM or SIGINT is noted, and the next one ends the process at once.

    Outside the main thread, where Python allows no handlers, signals do what they always do.
    """

    def __init__(self, patience: float = 0.0) -> None:
        self.patience = patience
        self.noted: int | None = None
        self._noted_at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def poll(self) -> int | None:
        """Return the signal noted; call it after every step."""
        if self.noted is not None and time.monotonic() - self._noted_at >= self.patience:
            self._answer_with(signal.SIG_DFL)
        return self.noted

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.noted, self._noted_at = number, time.monotonic()
        self._answer_with(signal.SIG_IGN if self.patience else signal.SIG_DFL)
        line = f"jcdm: {signal.Signals(number).name}: finishing the step, then saving ...\n"
        os.write(2, line.encode())  # a handler may interrupt what logging is doing

    def _answer_with(self, handler: signal.Handlers) -> None:
        """Let the system answer further signals; even while Python waits for a device."""
        for number in self._before:
            signal.signal(number, handler)


class EarlyEnd:
    """Says after each step whether the run ends here; all ranks hear the same after the same step.

    Ranks exchange what they know through host memory, and each step looks at the exchange begun a
    step before: so no step waits for a device, and none for a rank that is not a step behind.
    """

    def __init__(self, max_minutes: float | None) -> None:
        self.max_minutes = max_minutes
        self._is_shared = dist.is_available() and dist.is_initialized()
        self._group = dist.new_group(backend="gloo") if self._is_shared else None
        is_one_of_several = self._is_shared or parent_process() is not None
        self._signals = StopSignals(PATIENCE if is_one_of_several else 0.0)
        self._deadline = time.monotonic() + 60 * (max_minutes or float("inf"))
        self._exchange: tuple[torch.Tensor, Any] | None = None

    def __enter__(self) -> Self:
        self._signals.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._signals.__exit__(*exception)

    def reason(self) -> str | None:
        """Return why the run ends after this step, None where it goes on; all ranks call it."""
        known = self._known()
        if self._is_shared:
            known = self._agreed(known)
        if known == _MINUTES_OVER:
            return f"train.max_minutes={self.max_minutes:g} are over"
        return signal.Signals(known).name if known else None

    def _known(self) -> int:
        """What this rank knows by itself: a signal, that time is over, or 0."""
        if noted := self._signals.poll():
            return noted
        return _MINUTES_OVER if time.monotonic() >= self._deadline else 0

    def _agreed(self, known: int) -> int:
        """Begin the exchange of this step; return the highest number of the one before."""
        before = self._exchange
        word = torch.tensor([known])
        work = dist.all_reduce(word, dist.ReduceOp.MAX, group=self._group, async_op=True)
        self._exchange = (word, work)
        if before is None:
            return 0
        word, work = before
        work.wait()
        return int(word[0])
