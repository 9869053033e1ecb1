"""Values of many pictures, computed in fixed pieces: kept, shared between processes, resumed.

The pieces follow from the list alone, and so do the batches that a network sees inside one.
Whoever computes a piece, and when, gets the same numbers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from jcdm.errors import ConfigError, DataError
from jcdm.evaluation.chunk_store import ChunkStore, make_key
from jcdm.evaluation.protocols.files import OnBad

COMPUTE_BATCH = 16  # items computed at once; changes no number beyond rounding
CHUNK = 16 * COMPUTE_BATCH  # items of one piece

Item = TypeVar("Item", contravariant=True)
Read = TypeVar("Read")
Arrays = dict[str, np.ndarray]
_BAD = "bad"  # a piece's entry: places of the items that could not be read


class Measurement(Protocol, Generic[Item, Read]):
    """What is computed of an item. identity: everything but the item that numbers depend on."""

    @property
    def identity(self) -> str:
        """Name what the numbers depend on, weights included."""

    def content(self, item: Item) -> str:
        """Hash of what is read of an item."""

    def read(self, item: Item) -> Read:
        """Read an item; DataError where it is bad."""

    def compute(self, items: Sequence[Read]) -> Mapping[str, np.ndarray]:
        """Compute arrays with one entry an item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Who computes, and where it is kept.

    store: None = nowhere; several processes need one. rank, num_ranks: this process and how many
    share the pieces; wait: returns when all processes have called it. on_bad: an item that cannot
    be read is an error, or left out. report: is told what, items done, of how many.
    """

    store: ChunkStore | None = None
    rank: int = 0
    num_ranks: int = 1
    wait: Callable[[], None] = lambda: None
    on_bad: OnBad = "error"
    report: Callable[[str, int, int], None] = lambda _what, _done, _all: None


@dataclass(slots=True)
class Measured:
    """Values of the items that could be read, in order: name -> (items, ...).

    bad: place of every other item, and the reason.
    """

    values: Arrays = field(default_factory=dict)
    bad: dict[int, str] = field(default_factory=dict)


def measure(
    items: Sequence[Item], measurement: Measurement[Item, Any], work: Work, what: str = "items"
) -> Measured:
    """Compute the values of all items, with the other processes if there are any.

    Errors: DataError of the first bad item, unless they are left out, and when all are bad.
    """
    share(items, measurement, work, what)
    found, filled = Measured(), 0
    for start, chunk in _chunks(items):
        arrays = _chunk(chunk, measurement, work)
        bad = arrays.pop(_BAD).tolist()
        if bad and work.on_bad == "error":
            raise DataError(_reason(chunk[bad[0]], measurement))
        found.bad |= {start + place: _reason(chunk[place], measurement) for place in bad}
        for name, part in arrays.items():
            if name not in found.values:
                found.values[name] = np.empty((len(items), *part.shape[1:]), part.dtype)
            found.values[name][filled : filled + len(part)] = part
        filled += len(chunk) - len(bad)
        if work.num_ranks == 1:
            work.report(what, start + len(chunk), len(items))
    if items and not filled:
        raise DataError(f"none of {len(items)} {what} can be read, first: {found.bad[0]}")
    found.values = {name: array[:filled] for name, array in found.values.items()}
    return found


def share(
    items: Sequence[Item], measurement: Measurement[Item, Any], work: Work, what: str = "items"
) -> None:
    """Compute this process's pieces into the store, and wait for the others; alone do nothing."""
    if work.num_ranks == 1:
        return
    if work.store is None:
        raise ConfigError("several processes share scores through a folder; name one: --cache DIR.")
    chunks = [chunk for _, chunk in _chunks(items)]
    for number, chunk in enumerate(chunks):
        if number % work.num_ranks == work.rank:
            if not work.store.holds(_key(chunk, measurement)):
                _chunk(chunk, measurement, work)
            work.report(what, min((number + 1) * CHUNK, len(items)), len(items))
    work.wait()


def _chunks(items: Sequence[Item]) -> Iterator[tuple[int, Sequence[Item]]]:
    for start in range(0, len(items), CHUNK):
        yield start, items[start : start + CHUNK]


def _key(chunk: Sequence[Item], measurement: Measurement[Item, Any]) -> str:
    return make_key([measurement.identity, *(measurement.content(item) for item in chunk)])


def _chunk(chunk: Sequence[Item], measurement: Measurement[Item, Any], work: Work) -> Arrays:
    """Return a piece's arrays with its bad items, from the store if it is there."""
    if work.store is None:
        return _compute(chunk, measurement)
    key = _key(chunk, measurement)
    arrays = work.store.load(key)
    if arrays is None:
        arrays = _compute(chunk, measurement)
        work.store.save(key, arrays)
    return arrays


def _compute(chunk: Sequence[Item], measurement: Measurement[Item, Any]) -> Arrays:
    parts: list[Mapping[str, np.ndarray]] = []
    bad = []
    for start in range(0, len(chunk), COMPUTE_BATCH):
        read = []
        for place, item in enumerate(chunk[start : start + COMPUTE_BATCH], start=start):
            try:
                read.append(measurement.read(item))
            except DataError:
                bad.append(place)
        if read:
            parts.append(measurement.compute(read))
    names = parts[0] if parts else ()
    joined = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return joined | {_BAD: np.array(bad, np.int64)}


def _reason(item: Item, measurement: Measurement[Item, Any]) -> str:
    """Read a bad item again: a kept piece may have met its content under another name."""
    try:
        measurement.read(item)
    except DataError as error:
        return str(error)
    raise AssertionError(f"{item} was bad and can be read now")
