"""One training at a time in a folder: a second one would take the first one's checkpoints away."""

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jcdm.errors import ConfigError

logger = logging.getLogger(__name__)

LOCK_FILE = "in_use.txt"


@contextmanager
def only_training(out: Path, *, is_main: bool) -> Iterator[None]:
    """Hold the folder of a run for this command, whose main process holds it for all of them.

    The system lets go of it when that process ends, however it ends; loader processes do not
    inherit it (POSIX record locks). Errors: ConfigError when another process holds it.
    """
    if not is_main:
        yield
        return
    with (out / LOCK_FILE).open("a+b", buffering=0) as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise ConfigError(_in_use(out)) from None
        except OSError as error:  # a file system without locks
            logger.warning("%s cannot be locked against a second training: %s", out, error)
        with suppress(OSError):  # on a full disk the lock holds all the same
            file.truncate(0)
            file.write(f"process {os.getpid()} of {socket.gethostname()}\n".encode())
        yield


def _in_use(out: Path) -> str:
    """Say who holds the folder, as far as that was written down."""
    try:
        holder = (out / LOCK_FILE).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        holder = ""
    return (
        f"run.out={out} is in use by another training ({holder or 'unknown process'}). Wait until "
        "it has ended, end it, or choose another run.out."
    )
