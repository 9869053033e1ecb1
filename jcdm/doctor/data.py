"""The data of a configuration: index, pictures, caches."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from jcdm.cache.layout import MANIFEST as CACHE_MANIFEST
from jcdm.cache.layout import read_manifest
from jcdm.cache.places import remote_url
from jcdm.cache.predictions import MANIFEST as PREDICTIONS_MANIFEST
from jcdm.cache.predictions import read_manifest as read_predictions
from jcdm.cache.predictions import shard_name
from jcdm.cache.reader import photograph_name
from jcdm.config import Config, DataConfig, TestDataConfig
from jcdm.data.checks import Checked, examine_index
from jcdm.data.images import load_image
from jcdm.doctor.finding import Finding, missing, note, ok
from jcdm.errors import DataError

NUM_LOOKED_FOR, NUM_READ = 2000, 8  # pictures
_ALL = "list all: python -m jcdm data check --index"


def find_index(data: DataConfig | TestDataConfig) -> Iterator[Finding]:
    """Look at an index and at some of its pictures; most pictures are not read."""
    index = data.index
    if "${" in str(index):
        yield missing("data.index", f"{index}: the environment variable is not set")
        return
    if not index.is_file():
        yield _no_index(data)
        return
    checked = _examined(index, _version(index))
    splits = Counter(record.split for record in checked.records)
    counts = ", ".join(f"{count:,} people of {split}" for split, count in splits.items())
    if checked.problems:
        yield _problems(checked, index)
    else:
        yield ok("data.index", f"{index}: {counts}")
    if checked.records and data.split not in splits:
        yield missing("data.split", f"{data.split!r} is no split of {index}; found {counts}")
    yield from _find_pictures(checked, index)


def _problems(checked: Checked, index: Path) -> Finding:
    """Name the first problem; only entries that cannot be read stop a run."""
    stopping = [problem for problem in checked.problems if problem.kind == "unreadable entries"]
    first = (stopping or checked.problems)[0].line
    line = f"{index}: {len(checked.problems):,} problems, first: {first} {_ALL} {index}"
    return missing("data.index", line) if stopping else note("data.index", line)


@lru_cache(maxsize=1)
def _examined(index: Path, _version: int) -> Checked:
    """Read a version of an index once."""
    return examine_index(index, read_pictures=False)


def _version(index: Path) -> int:
    return index.stat().st_mtime_ns if index.is_file() else 0


def _no_index(data: DataConfig | TestDataConfig) -> Finding:
    count = data.draw.num_identities
    if count:
        return note("data.index", f"{data.index} is not there yet; {count:,} people will be drawn")
    return missing(
        "data.index",
        f"{data.index} not found; import your data (docs/adding-a-data-format.md), or draw people: "
        "python -m jcdm data synth",
    )


def _find_pictures(checked: Checked, index: Path) -> Iterator[Finding]:
    pictures = sorted({view.image for record in checked.records for view in record.views})
    if not pictures:
        return
    looked_for = _spaced(pictures, NUM_LOOKED_FOR)
    gone = [picture for picture in looked_for if not picture.is_file()]
    if gone:
        line = f"{len(gone):,} of {len(looked_for):,} looked for are missing, first: {gone[0]};"
        yield missing("pictures", f"{line} {_ALL} {index}")
        return
    for picture in _spaced(pictures, NUM_READ):
        try:
            load_image(picture)
        except DataError as error:
            yield missing("pictures", f"{error} {_ALL} {index}")
            return
    yield ok(
        "pictures",
        f"{len(looked_for):,} of {len(pictures):,} looked for, all there; {NUM_READ} of them read",
    )


def _spaced(pictures: Sequence[Path], count: int) -> Sequence[Path]:
    """Take so many, evenly from all."""
    return pictures[:: max(1, -(-len(pictures) // count))]


def find_caches(config: Config) -> Iterator[Finding]:
    """Look whether the caches that a configuration names are complete; no number is read."""
    caches = (
        ("encoders.cache", config.encoders.cache, _encoded),
        ("prior.predictions", config.prior.predictions, _predicted),
    )
    for key, place, look in caches:
        if place is None:
            continue
        if remote_url(place) is not None:
            yield note(key, f"{place} is elsewhere; not looked at, this command stays here")
            continue
        try:
            yield look(key, place, config)
        except DataError as error:
            yield missing(key, str(error))


def _encoded(key: str, place: Path, config: Config) -> Finding:
    manifest = read_manifest(_text(place / CACHE_MANIFEST), f"{place / CACHE_MANIFEST}")
    absent = [name for name in manifest.shards if not (place / name).is_file()]
    if absent:
        return missing(key, f"{place}: {absent[0]} is missing; build it again: {_BUILD}")
    folder = config.data.index.absolute().parent
    checked = _examined(config.data.index, _version(config.data.index))
    pictures = sorted({view.image for record in checked.records for view in record.views})
    unknown = [p for p in pictures if photograph_name(p, folder) not in manifest.photographs]
    if unknown:
        line = f"{place} does not hold {len(unknown):,} photographs, first: {unknown[0]}"
        return missing(key, f"{line}; build it again: {_BUILD}")
    return ok(key, f"{place}: {manifest.num_rows:,} photographs; compare all: {_BUILD} --verify")


def _predicted(key: str, place: Path, _config: Config) -> Finding:
    file = place / PREDICTIONS_MANIFEST
    manifest = read_predictions(_text(file), str(file))
    names = [shard_name(number) for number in range(len(manifest.shards))]
    absent = [name for name in names if not (place / name).is_file()]
    if absent:
        return missing(key, f"{place}: {absent[0]} is missing; build it: {_BUILD} --predictions")
    return ok(key, f"{place}: {manifest.num_rows:,} predictions")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{file} cannot be read: {reason}. Build it: {_BUILD}") from None


_BUILD = "python -m jcdm cache --config FILE"
