"""Processes that read a data set: their threads, and their errors."""

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from jcdm.errors import JCDMError


def read_batches(
    dataset: Dataset[Any],
    places: Iterable[Sequence[Any]],
    join: Callable[[Sequence[Any]], Any],
    *,
    num_workers: int,
    pin_memory: bool = False,
) -> Iterator[Any]:
    """Read a data set batch by batch, as `places` lists them, by worker processes if there are any.

    join: makes a batch of items. An expected error of a worker arrives as it was raised there.
    """
    settle_threads(num_workers)
    loader = DataLoader(
        _ErrorsAsItems(dataset),
        batch_sampler=places,  # type: ignore[arg-type]
        collate_fn=_JoinUnlessError(join),
        num_workers=num_workers,
        worker_init_fn=_settle_worker,
        pin_memory=pin_memory,
        generator=torch.Generator(),  # the loader's own draw must not touch the global state
    )
    return map(_raise_error, iter(loader))


@dataclass(frozen=True, slots=True)
class _ErrorsAsItems(Dataset[Any]):
    """A data set that returns errors: torch would make a trace of many lines of a worker's."""

    dataset: Dataset[Any]

    def __getitem__(self, place: Any) -> Any:
        try:
            return self.dataset[place]
        except (JCDMError, OSError) as error:
            return error


@dataclass(frozen=True, slots=True)
class _JoinUnlessError:
    join: Callable[[Sequence[Any]], Any]

    def __call__(self, items: Sequence[Any]) -> Any:
        try:
            return next((i for i in items if isinstance(i, Exception)), None) or self.join(items)
        except JCDMError as error:
            return error


def _raise_error(batch: Any) -> Any:
    if isinstance(batch, Exception):
        raise batch
    return batch


def settle_threads(num_workers: int) -> None:
    """Call before workers start: end OpenCV's threads here, where that is safe.

    A forked worker that ends the threads of its parent, of which it has no copy, waits for ever.
    """
    if num_workers:
        cv2.setNumThreads(1)


def _settle_worker(worker: int) -> None:
    """Keep a worker to one thread, and leave Ctrl-C to the training process, which finishes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    single_threaded(worker)


def single_threaded(worker: int) -> None:
    """Keep a worker process to one thread; its siblings share the processors."""
    if cv2.getNumThreads() != 1:  # a worker that was not forked
        cv2.setNumThreads(1)
    torch.set_num_threads(1)
