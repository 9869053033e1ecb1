"""The pictures a report shows: which pairs by which rule, small copies, sheets and cards."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from jcdm.data.images import load_image
from jcdm.data.pose_maps import draw_pose_map
from jcdm.errors import ConfigError, DataError
from jcdm.evaluation.score_report.items import ReportItem
from jcdm.evaluation.score_report.scored import ScoredFolder, column, heading, is_lower_better
from jcdm.evaluation.sheets import PAPER, draw_strip, people_sheet, save_sheet

NUM_SHOWN, ROWS_A_SHEET = 12, 6
NUM_WORST = 50
SHEET_HEIGHT, CARD_HEIGHT = 256, 160  # pixels of a picture, at most
SHEETS, CARDS = "sheets", "worst"
WORST_BY = ("LPIPS", "SSIM-256")
KINDS = ("generated", "truth")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFolders:
    """Where the pictures of the pairs lie."""

    generated: Path
    truth: Path

    def files(self, item: ReportItem) -> tuple[Path, Path]:
        """The generated and the true picture of a pair."""
        return self.generated / item.pair.generated, self.truth / item.pair.truth


def find_folders(
    scored: ScoredFolder, generated: Path | None, truth: Path | None
) -> PictureFolders:
    """Find both folders: as named, else as the scores recorded them.

    Errors: ConfigError naming the option.
    """
    found = []
    for kind, named in zip(KINDS, (generated, truth), strict=True):
        recorded = scored.folders.get(kind)
        place = named or (Path(recorded) if recorded else None)
        if place is None or not place.is_dir():
            raise ConfigError(
                f"the folder of {kind} pictures, {place or 'not recorded'}, was not found; name "
                f"it: --{kind} DIR."
            )
        found.append(place)
    return PictureFolders(generated=found[0], truth=found[1])


def choose_spread(items: Sequence[ReportItem]) -> list[ReportItem]:
    """Choose items evenly spread over the list sorted by name: no choice by looks or scores."""
    ordered = sorted(items, key=lambda item: (item.pair.generated, item.pair.truth))
    places = np.linspace(0, len(ordered) - 1, min(NUM_SHOWN, len(ordered))).round().astype(int)
    return [ordered[place] for place in places]


def worst_score(scores: Sequence[str]) -> str:
    """Name the score that the worst pairs are chosen by: LPIPS, else SSIM-256, else the first."""
    columns = {column(name): name for name in scores}
    return next((columns[name] for name in WORST_BY if name in columns), scores[0])


def choose_worst(items: Sequence[ReportItem], score: str) -> list[ReportItem]:
    """Choose the items with the worst finite values, worst first; equal ones by name."""
    sign = -1 if is_lower_better(score) else 1
    ranked = [item for item in items if item.pair.is_scored(score)]
    ranked.sort(key=lambda item: (sign * item.pair.values[score], item.pair.generated))
    return ranked[:NUM_WORST]


def require_pictures(items: Iterable[ReportItem], folders: PictureFolders) -> None:
    """Raise one DataError unless every picture of these items is on disk."""
    shown = dict.fromkeys(
        file
        for item in items
        for file in (*(view.image for view in item.references), *folders.files(item))
    )
    if missing := [file for file in shown if not file.is_file()]:
        raise DataError(
            f"{len(missing)} of {len(shown)} pictures to show not found, first: {missing[0]}. "
            "Name their folders: --generated DIR, --truth DIR, and the index with its photographs."
        )


def draw_sheets(
    items: Sequence[ReportItem], folders: PictureFolders, size: tuple[int, int], out: Path
) -> list[Path]:
    """Draw references, pose, generated picture and truth, a row a pair; returns the files.

    size: of scoring, (height, width). The pose column is left out where no target is known.
    """
    size = _at_most(size, SHEET_HEIGHT)
    with_pose = any(item.target is not None for item in items)
    columns = ("pose", *KINDS) if with_pose else KINDS
    files: list[Path] = []
    for start in range(0, len(items), ROWS_A_SHEET):
        rows = []
        for item in items[start : start + ROWS_A_SHEET]:
            generated, truth = (load_image(file) for file in folders.files(item))
            pose = [_pose(item, truth, size)] if with_pose else []
            given = [_small(load_image(view.image), size) for view in item.references]
            label = Path(item.pair.truth).stem
            rows.append((label, given, [[*pose, _small(generated, size), _small(truth, size)]]))
        name = f"sheet_{len(files) + 1}.jpg"
        files.append(save_sheet(people_sheet(rows, columns), out / SHEETS / name))
    return files


def draw_card(item: ReportItem, folders: PictureFolders, size: tuple[int, int], file: Path) -> Path:
    """Put references, generated picture and truth of one pair side by side; returns the file."""
    size = _at_most(size, CARD_HEIGHT)
    sources = (*(view.image for view in item.references), *folders.files(item))
    return save_sheet(draw_strip([_small(load_image(source), size) for source in sources]), file)


def describe(item: ReportItem, score: str) -> tuple[str, ...]:
    """Say what a card shows: the other scores, what is known, and both names."""
    others = [f"{heading(n)} {v:.4g}" for n, v in item.pair.values.items() if n != score]
    facts = [item.category] if item.category else []
    if item.pose_distance is not None:
        facts.append(f"pose distance {item.pose_distance:.3f}")
    lines = (", ".join(others), ", ".join(facts), item.pair.generated, item.pair.truth)
    return tuple(line for line in lines if line)


def _at_most(size: tuple[int, int], height: int) -> tuple[int, int]:
    """Shrink (height, width) to a height, if it is higher."""
    if size[0] <= height:
        return size
    return height, max(1, round(size[1] * height / size[0]))


def _small(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Fit a picture into (height, width), unstretched, on white: uint8 (height, width, 3)."""
    fitted = ImageOps.pad(picture, size[::-1], Image.Resampling.LANCZOS, color=PAPER)
    return np.asarray(fitted)


def _pose(item: ReportItem, truth: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Draw the target's joints where they stand in the small copy of its true picture."""
    if item.target is None:
        return np.full((*size, 3), PAPER, np.uint8)
    width, height = ImageOps.contain(truth, size[::-1]).size
    drawn = draw_pose_map(item.target.keypoints, item.target.keypoint_valid, height, width)
    return _small(Image.fromarray(drawn), size)
