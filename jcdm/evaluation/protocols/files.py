"""Which files a protocol looks at, in which order, in which pairs, and which it leaves out."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jcdm.errors import DataError
from jcdm.evaluation.protocols.protocol import Protocol

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_TO = "_to_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A generated picture and its ground truth."""

    generated: Path
    truth: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """What a batch size makes of a list: pictures used, and the batch size left for the next."""

    num_images: int
    batch_before: int | None
    batch_after: int | None
    num_used: int

    @property
    def sizes(self) -> list[int]:
        """Number of pictures in each batch."""
        step = self.batch_after or max(1, self.num_used)
        return [min(step, self.num_used - at) for at in range(0, self.num_used, step)]


def list_pictures(folder: Path, suffixes: Sequence[str], *, by_suffix: bool) -> list[Path]:
    """List a folder's pictures by name, kinds one after another if `by_suffix`.

    Errors: DataError for a folder that is missing or has none.
    """
    if not folder.is_dir():
        raise DataError(f"folder {folder} not found; expected pictures in it. Check the path.")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    if by_suffix:
        files = [path for suffix in suffixes for path in files if path.suffix == suffix]
    if not files:
        raise DataError(
            f"folder {folder} holds no picture ending in {', '.join(suffixes)}. Check the path."
        )
    return files


def make_batches(num_images: int, batch: int | None, *, drop_tail: bool) -> Batching:
    """Count what is used of a list. With `drop_tail` a batch never exceeds the list, and shrinks.

    batch: None = the whole list.
    """
    after = min(batch, num_images) if batch and drop_tail else batch
    used = num_images - num_images % after if after and drop_tail else num_images
    return Batching(num_images=num_images, batch_before=batch, batch_after=after, num_used=used)


def find_pairs(
    protocol: Protocol, generated: Path, truth: Path, pairs: Path | None
) -> tuple[list[Pair], list[str]]:
    """Pair generated pictures with truths: the pairs, and names skipped for want of a truth.

    pairs: CSV file, header and then truth name, generated name; only for protocols that take one.
    Errors: DataError where no pair is left, or, except under published names, a truth is missing.
    """
    if protocol.pairing == "listed":
        return (read_pairs(pairs, generated, truth) if pairs else same_names(generated, truth)), []
    found, skipped = [], []
    for path in list_pictures(generated, (".jpg", ".png"), by_suffix=False):
        target = truth / published_truth_name(path.name)
        if target.is_file():
            found.append(Pair(generated=path, truth=target))
        else:
            skipped.append(path.name)
    if not found:
        raise DataError(
            f"no picture in {generated} has its truth in {truth}, expected names such as "
            "xNAME_to_xTRUTH.png. Check both folders."
        )
    return found, skipped


def published_truth_name(name: str) -> str:
    """Return the truth of a result, as PCDMs names it: xA_to_xB.jpg -> xB.png."""
    return name[1:].rpartition(_TO)[2].replace("jpg", "png")


def read_pairs(path: Path, generated: Path, truth: Path) -> list[Pair]:
    """Read a CSV list of pairs: a header, then truth name, generated name. Errors: DataError."""
    if not path.is_file():
        raise DataError(f"list of pairs {path} not found; expected a CSV file. Check the path.")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row][1:]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"list of pairs {path} is no CSV text: {error}. Write it again.") from None
    if not rows or any(len(row) < 2 for row in rows):
        raise DataError(
            f"list of pairs {path} has no row, or one without two names; expected a header and "
            "then: truth name, generated name."
        )
    return _existing([Pair(truth=truth / t, generated=generated / g) for t, g, *_ in rows])


def same_names(generated: Path, truth: Path) -> list[Pair]:
    """Pair every generated picture with the truth of its name, or of its name after `_to_`.

    Endings may differ. Errors: DataError where a picture has no truth, or more than one.
    """
    by_stem: dict[str, Path] = {}
    for path in list_pictures(truth, PICTURE_SUFFIXES, by_suffix=False):
        if path.stem in by_stem:
            raise DataError(
                f"truth folder {truth} holds {by_stem[path.stem].name} and {path.name}; expected "
                "one picture a name. Remove one of them, or name a list of pairs."
            )
        by_stem[path.stem] = path
    found = []
    for path in list_pictures(generated, PICTURE_SUFFIXES, by_suffix=False):
        target = by_stem.get(path.stem) or by_stem.get(path.stem.rpartition(_TO)[2])
        found.append(Pair(generated=path, truth=target or truth / path.name))
    return _existing(found)


def _existing(pairs: list[Pair]) -> list[Pair]:
    paths = [path for pair in pairs for path in (pair.truth, pair.generated)]
    if missing := [path for path in paths if not path.is_file()]:
        raise DataError(
            f"{len(missing)} of {len(paths)} pictures to score not found, first: {missing[0]}. "
            "Add them, or correct the names."
        )
    return pairs
