"""A scored folder as the report needs it: scores and what is known about them, values a pair."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jcdm.errors import DataError
from jcdm.evaluation.folder_scores import PER_PAIR, SCORES, read_rows
from jcdm.evaluation.folder_scores import heading as column_of
from jcdm.evaluation.metrics import ARROWS
from jcdm.evaluation.paper_table import COLUMNS, PaperRow
from jcdm.reading import read_json, short_reason

MAIN_COLUMNS = ("SSIM-256", "LPIPS", "PSNR")
NUM_MAIN = 3
ORIGIN = ("pipeline", "task", "data", "best_of")
DROPPED = {
    "without_truth": "no true picture has its name",
    "fid_real": "left out of the real side of FID with the last partial batch",
    "fid_generated": "left out of the generated side of FID with the last partial batch",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPair:
    """A line of per_pair.csv; values: by the protocol's names of scores, NaN for none."""

    generated: str
    truth: str
    values: Mapping[str, float]

    def is_scored(self, score: str) -> bool:
        """Whether the pair has a finite value (an identical picture's PSNR is infinite)."""
        return math.isfinite(self.values[score])


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredFolder:
    """What scores.json and per_pair.csv say.

    row: ours in the paper table; references: rows scored in the same way. size (height, width).
    scores, intervals of their means, counts of pairs, spread over seeds: by the protocol's names;
    the last three where they are known. left_out: file and reason. folders: of the pictures, by
    `generated` and `truth`. origin: what else is known of the pictures: pipeline, task, data.
    """

    row: PaperRow
    references: tuple[PaperRow, ...]
    protocol: Mapping[str, Any]
    size: tuple[int, int]
    scores: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    counts: Mapping[str, int]
    spread: Mapping[str, float]
    seeds: tuple[int, ...]
    left_out: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    weights: Mapping[str, Any]
    folders: Mapping[str, str]
    origin: Mapping[str, Any]
    code: Mapping[str, Any]
    versions: Mapping[str, Any]
    pairs: tuple[ScoredPair, ...]

    @property
    def pair_scores(self) -> tuple[str, ...]:
        """Names of the scores that have a finite value of some pair."""
        return tuple(
            name
            for name in self.pairs[0].values
            if any(pair.is_scored(name) for pair in self.pairs)
        )

    @property
    def main_scores(self) -> tuple[str, ...]:
        """The scores that plots show: SSIM-256, LPIPS, PSNR, or the first ones there are."""
        columns = {column(name): name for name in self.pair_scores}
        known = tuple(columns[name] for name in MAIN_COLUMNS if name in columns)
        return known or self.pair_scores[:NUM_MAIN]


def column(score: str) -> str:
    """Name a score as papers do, without the number that the best was kept of."""
    return (column_of(score) or score).split(" (")[0]


def heading(score: str) -> str:
    """Name a score as tables and axes do, with the arrow of its direction."""
    direction = COLUMNS.get(column(score))
    name = column_of(score) or score
    return f"{name} {ARROWS[direction]}" if direction else name


def is_lower_better(score: str) -> bool:
    """Whether small values are good ones."""
    return COLUMNS.get(column(score)) == "down"


def read_scored(folder: Path) -> ScoredFolder:
    """Read a folder that `evaluate images` wrote. Errors: DataError."""
    *references, row = read_rows(folder)
    content = read_json(folder / SCORES)
    try:
        return _read(content, row, references, read_pairs(folder / PER_PAIR))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise DataError(
            f"{folder / SCORES} is incomplete: {short_reason(error)}. Score the pictures again: "
            "python -m jcdm evaluate images."
        ) from None


def read_pairs(file: Path) -> tuple[ScoredPair, ...]:
    """Read the values of all pairs. Errors: DataError."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            table = csv.reader(stream)
            _, _, *names = next(table)
            pairs = tuple(
                ScoredPair(
                    generated=generated,
                    truth=truth,
                    values={n: float(v or "nan") for n, v in zip(names, values, strict=True)},
                )
                for generated, truth, *values in table
            )
    except (OSError, ValueError, csv.Error, StopIteration) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or "it is empty"
        raise DataError(
            f"{file} holds no values of pairs: {reason}. Score the pictures again."
        ) from None
    if not pairs:
        raise DataError(f"{file} has no row, expected one a pair. Score the pictures again.")
    return pairs


def _read(
    content: Mapping[str, Any],
    row: PaperRow,
    references: Sequence[PaperRow],
    pairs: tuple[ScoredPair, ...],
) -> ScoredFolder:
    intervals = {
        name: (float(low), float(high)) for name, (low, high) in content["intervals"].items()
    }
    height, width = content["size"]
    return ScoredFolder(
        row=row,
        references=tuple(references),
        protocol=dict(content["protocol"]),
        size=(int(height), int(width)),
        scores=_numbers(content["scores"]),
        intervals=intervals,
        counts={name: int(count) for name, count in content["counts"].items()},
        spread=_numbers(content["spread"]),
        seeds=tuple(int(seed) for seed in content["seeds"]),
        left_out=tuple(_left_out(content)),
        notes=tuple(str(note) for note in content["notes"]),
        weights=dict(content.get("weights", {})),
        folders=dict(content.get("folders", {})),
        origin={key: content[key] for key in ORIGIN if content.get(key)},
        code=dict(content["code"]),
        versions=dict(content["versions"]),
        pairs=pairs,
    )


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _left_out(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for number, reason in content.get("skipped_items", {}).items():
        yield f"item {number} of the task", str(reason)
    for entry in content["skipped"]:
        yield str(entry["file"]), str(entry["reason"])
    for score, files in content["dropped"].items():
        reason = DROPPED.get(score, f"left out of {column(score)} with the last partial batch")
        for file in files:
            yield str(file), reason
