"""Pools of processes that end with the one that started them."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process


def _nothing() -> None:
    pass


def process_pool(
    num_processes: int,
    *,
    prepare: Callable[[], None] = _nothing,
    max_tasks_per_child: int | None = None,
) -> ProcessPoolExecutor:
    """Make a pool of fresh interpreters, not forks: the caller may run threads of other libraries.

    prepare: called first in every process; it must be picklable. When the caller is killed, its
    processes get SIGTERM; without that they would wait for work for ever.
    """
    return ProcessPoolExecutor(
        num_processes,
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(prepare,),
        max_tasks_per_child=max_tasks_per_child,
    )


def _begin(prepare: Callable[[], None]) -> None:
    prepare()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
