"""Which files a protocol looks at, in which order, in which pairs, and which it leaves out."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jcdm.errors import DataError
from jcdm.evaluation.protocols.protocol import Protocol
from jcdm.naming import leads_out

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
OnBad = Literal["error", "skip"]
_TO = "_to_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A generated picture and its ground truth."""

    generated: Path
    truth: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPairs:
    """Pairs in scoring order.

    without_truth: generated pictures that a published protocol passes over for want of a truth.
    bad_rows: rows of a list that were left out: FILE:LINE -> reason.
    """

    pairs: Sequence[Pair] = ()
    without_truth: Sequence[str] = ()
    bad_rows: Mapping[str, str] = field(default_factory=dict)


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
    protocol: Protocol,
    generated: Path,
    truth: Path,
    pairs: Path | None,
    on_bad: OnBad = "error",
) -> FoundPairs:
    """Pair generated pictures with truths.

    pairs: CSV file, header and then truth name, generated name; only for protocols that take one.
    Errors: DataError where no pair is left, or, except under published names, a file is missing;
    with `on_bad` skip, files that are missing stay in the list, and broken rows are named.
    """
    if protocol.pairing == "listed":
        if pairs is None:
            found = FoundPairs(pairs=same_names(generated, truth))
        else:
            found = read_pairs(pairs, generated, truth, on_bad)
        if on_bad == "error":
            _require(found.pairs)
        return found
    paired, skipped = [], []
    for path in list_pictures(generated, (".jpg", ".png"), by_suffix=False):
        target = truth / published_truth_name(path.name)
        if target.is_file():
            paired.append(Pair(generated=path, truth=target))
        else:
            skipped.append(path.name)
    if not paired:
        raise DataError(
            f"no picture in {generated} has its truth in {truth}, expected names such as "
            "xNAME_to_xTRUTH.png. Check both folders."
        )
    return FoundPairs(pairs=paired, without_truth=skipped)


def published_truth_name(name: str) -> str:
    """Return the truth of a result, as PCDMs names it: xA_to_xB.jpg -> xB.png."""
    return name[1:].rpartition(_TO)[2].replace("jpg", "png")


def read_pairs(path: Path, generated: Path, truth: Path, on_bad: OnBad = "error") -> FoundPairs:
    """Read a CSV list of pairs: a header, then truth name, generated name.

    Errors: DataError naming file and line of a broken row, unless it is left out and named.
    """
    if not path.is_file():
        raise DataError(f"list of pairs {path} not found; expected a CSV file. Check the path.")
    found, bad = [], {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.reader(file)
            for number, row in enumerate(table):
                if number and row:
                    if pair := _row_pair(row, generated, truth):
                        found.append(pair)
                    else:
                        bad[f"{path}:{table.line_num}"] = f"found {row!r:.80}, expected two names"
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"list of pairs {path} is no CSV text: {error}. Write it again.") from None
    if bad and on_bad == "error":
        where, reason = next(iter(bad.items()))
        raise DataError(f"{where}: {reason}: truth, generated. Correct the row.")
    if not found:
        raise DataError(
            f"list of pairs {path} has no row; expected a header and then: truth name, generated "
            "name."
        )
    return FoundPairs(pairs=found, bad_rows=bad)


def _row_pair(row: Sequence[str], generated: Path, truth: Path) -> Pair | None:
    """Name the files of a row; None for a row that lacks a name, or leads out of its folder."""
    names = [name.strip() for name in row[:2]]
    if len(names) < 2 or not all(names):
        return None
    if any(map(leads_out, names)):
        return None
    return Pair(truth=truth / names[0], generated=generated / names[1])


def same_names(generated: Path, truth: Path) -> list[Pair]:
    """Pair every generated picture with the truth of its name, or of its name after `_to_`.

    Endings may differ; without a truth, its name stands for it. Errors: DataError where a picture
    has more than one truth.
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
    return found


def _require(pairs: Sequence[Pair]) -> None:
    paths = [path for pair in pairs for path in (pair.truth, pair.generated)]
    if missing := [path for path in paths if not path.is_file()]:
        raise DataError(
            f"{len(missing)} of {len(paths)} pictures to score not found, first: {missing[0]}. "
            "Add them, correct the names, or leave them out with --on_bad skip."
        )
