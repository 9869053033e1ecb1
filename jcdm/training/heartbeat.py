"""Know what every rank is doing, and end a run whose ranks wait for each other for ever."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist
from accelerate import Accelerator

from jcdm.errors import JCDMError

logger = logging.getLogger(__name__)


class Heartbeat:
    """Remembers the phase this rank is in; while watched, ends the process when one never ends.

    When a rank hangs, the others wait for it: all reach the limit, each names its own phase, and
    the launcher ends what is left. max_minutes: the longest a phase may take; 0 = no limit.
    """

    def __init__(self, accelerator: Accelerator, max_minutes: float = 0.0) -> None:
        self.rank, self.num_ranks = accelerator.process_index, accelerator.num_processes
        self.max_minutes = max_minutes
        self.phase, self._since = "setting up", time.monotonic()
        self._closed = threading.Event()

    def begin(self, phase: str) -> None:
        """Note that a new phase begins."""
        self.phase, self._since = phase, time.monotonic()

    @property
    def place(self) -> str:
        """Name rank and phase, or the phase alone where there is one process."""
        if self.num_ranks == 1:
            return self.phase
        return f"rank {self.rank} of {self.num_ranks}, {self.phase}"

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the phases while open."""
        self._closed.clear()
        self._since = time.monotonic()
        if self.max_minutes > 0:
            threading.Thread(target=self._watch, daemon=True).start()
        try:
            yield
        finally:
            self._closed.set()

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """On several ranks, name rank and phase of an error that passes.

        Errors: JCDMError, also for a connection that another rank's end has broken.
        """
        try:
            yield
        except Exception as error:
            if self.num_ranks == 1:
                raise
            if isinstance(error, JCDMError):
                raise type(error)(f"{self.place}: {error}") from error
            if _is_lost_connection(error):
                raise JCDMError(
                    f"{self.place}: lost the other ranks; the one that failed says why. The same "
                    "command continues from the last checkpoint."
                ) from error
            logger.error("%s: %s", self.place, type(error).__name__)
            raise

    @property
    def _pause(self) -> float:
        """Seconds between two looks at the phase."""
        return min(15 * self.max_minutes, 5.0)

    def _watch(self) -> None:
        while not self._closed.wait(self._pause):
            if time.monotonic() - self._since >= 60 * self.max_minutes:
                self._end()

    def _end(self) -> None:
        """End the process from beside its main thread, which does not come back."""
        line = (
            f"jcdm: {self.place}: did not end in {self.max_minutes:g} minutes "
            "(train.hang_minutes). The same command continues from the last checkpoint.\n"
        )
        os.write(2, line.encode())
        time.sleep(2 * self._pause)  # until the other ranks have named theirs
        os._exit(1)


def _is_lost_connection(error: Exception) -> bool:
    """Say whether a collective failed since another rank is gone; gloo has no class for it."""
    if isinstance(error, dist.DistError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and ("gloo" in words or "connection" in words)
