"""TensorBoard's files beside a run: opened, closed, and what happens when the disk is full."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from accelerate import Accelerator

from jcdm.errors import JCDMError
from jcdm.logs import disk_errors


def start_trackers(accelerator: Accelerator, start_step: int) -> None:
    """Open TensorBoard's files; events of steps that will be done again are purged."""
    options = {"tensorboard": {"purge_step": start_step + 1 if start_step else 0}}
    accelerator.init_trackers("tensorboard", init_kwargs=options)


@contextmanager
def closing_trackers(accelerator: Accelerator) -> Iterator[None]:
    """Close the trackers after use; an error of the use itself counts more than one of closing.

    TensorBoard writes in a thread, whose error reaches the main thread as well: it is shown once.
    """
    shown = threading.excepthook
    threading.excepthook = lambda found: (
        None if issubclass(found.exc_type, OSError) else shown(found)
    )
    try:
        yield
        _finish(accelerator)
    except BaseException:
        with suppress(JCDMError):
            _finish(accelerator)
        raise
    finally:
        threading.excepthook = shown


def _finish(accelerator: Accelerator) -> None:
    for tracker in accelerator.trackers:  # `end_training` would end the process group too
        with disk_errors(Path(accelerator.project_dir) / "tensorboard"):
            tracker.finish()
