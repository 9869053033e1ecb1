"""Leave views out whose pictures cannot be read, by a list that was made before anything ran."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, Self

from jcdm.data.damage import look_at
from jcdm.data.index import photograph_name
from jcdm.errors import DataError
from jcdm.records import SubjectRecord, ViewRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedPicture:
    """Why a picture is done without, and its file's size and time (ns) then; None = no file."""

    reason: str
    num_bytes: int | None
    modified: int | None

    def __post_init__(self) -> None:
        is_text = isinstance(self.reason, str)
        if not is_text or not {type(self.num_bytes), type(self.modified)} <= {int, type(None)}:
            raise DataError(f"found {self!r}, expected a reason and the facts of a file.")

    @classmethod
    def describe(cls, picture: Path, error: DataError) -> Self:
        """Describe what is wrong with a picture."""
        num_bytes, modified = _file_facts(picture)
        return cls(reason=str(error), num_bytes=num_bytes, modified=modified)

    def is_repaired(self, picture: Path) -> bool:
        """Say whether another file lies there now, which can be read."""
        facts = _file_facts(picture)
        is_other = facts != (self.num_bytes, self.modified)
        return is_other and None not in facts and look_at(picture) is None


def _file_facts(picture: Path) -> tuple[int | None, int | None]:
    try:
        found = picture.stat()
    except OSError:
        return None, None
    return found.st_size, found.st_mtime_ns


class LeftOut(NamedTuple):
    """How many views and whole subjects are left out; views of such subjects are counted too."""

    num_views: int
    num_subjects: int


def pictures_of(records: Iterable[SubjectRecord], *, photographs: bool = True) -> list[Path]:
    """List the pictures that the records name, each once; pose maps alone unless `photographs`."""
    found: dict[Path, None] = {}
    for record in records:
        for view in record.views:
            if photographs:
                found[view.image] = None
            if view.pose_map is not None:
                found[view.pose_map] = None
    return list(found)


def leave_out(
    records: Sequence[SubjectRecord],
    skipped: Container[str],
    index: Path,
    *,
    frames: bool,
    fewest: int,
) -> tuple[SubjectRecord, ...]:
    """Return the records without views whose photograph or pose map is in `skipped`, in order.

    skipped: names of pictures as `photograph_name` gives them. frames: views are frames in order,
    of which the longest row without a gap stays, the first of equally long ones, since those beside
    a gap are no neighbours. A subject of which fewer than `fewest` views stay is left out whole;
    one that lost nothing stays as it is.
    """
    if not skipped:
        return tuple(records)
    folder, kept = index.absolute().parent, list[SubjectRecord]()
    for record in records:
        sound = [_is_sound(view, skipped, folder) for view in record.views]
        views = _longest_row(record, sound) if frames else _only(record, sound)
        if all(sound):
            kept.append(record)
        elif len(views) >= fewest:
            kept.append(replace(record, views=views))
    return tuple(kept)


def count_left_out(before: Sequence[SubjectRecord], after: Sequence[SubjectRecord]) -> LeftOut:
    """Count what `leave_out` made of records."""
    views = [sum(len(record.views) for record in records) for records in (before, after)]
    return LeftOut(views[0] - views[1], len(before) - len(after))


def _is_sound(view: ViewRecord, skipped: Container[str], folder: Path) -> bool:
    pictures = (view.image, view.pose_map)
    return all(p is None or photograph_name(p, folder) not in skipped for p in pictures)


def _only(record: SubjectRecord, sound: Sequence[bool]) -> tuple[ViewRecord, ...]:
    return tuple(view for view, is_sound in zip(record.views, sound, strict=True) if is_sound)


def _longest_row(record: SubjectRecord, sound: Sequence[bool]) -> tuple[ViewRecord, ...]:
    return max(_rows(record, sound), key=len, default=())


def _rows(record: SubjectRecord, sound: Sequence[bool]) -> Iterator[tuple[ViewRecord, ...]]:
    """Yield the rows of sound frames that follow each other."""
    pairs = zip(record.views, sound, strict=True)
    for is_sound, row in groupby(pairs, key=lambda pair: pair[1]):
        if is_sound:
            yield tuple(view for view, _ in row)
