"""Find the pictures that cannot be read, before anything relies on them."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from jcdm.data.images import load_image
from jcdm.errors import DataError
from jcdm.pools import process_pool

FEWEST_FOR_PROCESSES = 1000
"""Pictures from which on it pays to start processes for them."""
MAX_PROCESSES = 16
_AT_ONCE = 32

Report = Callable[[int, int], None]


def find_damage(
    pictures: Iterable[Path], *, num_sharing: int = 1, report: Report = lambda _done, _all: None
) -> dict[Path, DataError]:
    """Decode every picture once, in several processes; returns why the bad ones cannot be read.

    num_sharing: callers that share this computer's processors. report: is told pictures done, of
    how many. Errors: DataError where a process was killed.
    """
    paths = list(dict.fromkeys(pictures))
    num_processes = min(MAX_PROCESSES, max(1, (os.cpu_count() or 1) // num_sharing))
    if num_processes == 1 or len(paths) < FEWEST_FOR_PROCESSES:
        return _collect(paths, map(look_at, paths), report)
    with process_pool(num_processes) as pool:
        return _collect(paths, pool.map(look_at, paths, chunksize=_AT_ONCE), report)


def look_at(picture: Path) -> DataError | None:
    """Decode a picture; returns what is wrong with it, None for nothing."""
    try:
        load_image(picture)
    except DataError as error:
        return error
    return None


def _collect(
    paths: list[Path], found: Iterator[DataError | None], report: Report
) -> dict[Path, DataError]:
    """Gather what is found of the pictures, in their order."""
    damage: dict[Path, DataError] = {}
    for number, path in enumerate(paths, start=1):
        try:
            error = next(found)
        except BrokenProcessPool:
            raise DataError(
                "a process that checked pictures was killed, for want of memory or by a picture "
                f"that its decoder fails on: {path} or one of the {MAX_PROCESSES * _AT_ONCE} after "
                "it."
            ) from None
        if error is not None:
            damage[path] = error
        report(number, len(paths))
    return damage
