"""Contact sheets: labelled rows of pictures that show what the numbers are about."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jcdm.errors import DataError

GAP = 6
GROUP_GAP = 18
LABEL_WIDTH = 120
HEADER_HEIGHT = 30
FONT_SIZE = 13
READABLE_WIDTH = 80  # pixels
PAPER = (255, 255, 255)
EMPTY = (236, 238, 242)
INK = (40, 48, 62)
JPEG_QUALITY = 92  # with whole colours; a sixth of a PNG
# Subjects have names such as fashionWOMENSkirtsid0000000001: fashion WOMEN Skirts id0000000001.
WORD_ENDS = re.compile(r"(?<=[ _])|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?=id\d)")
Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRow:
    """One row: its label, and a picture (H,W,3) uint8 or None (an empty cell) a column."""

    label: str
    pictures: tuple[np.ndarray | None, ...]


def draw_sheet(
    rows: Sequence[SheetRow], columns: Sequence[str], *, group_starts: Sequence[int] = ()
) -> Image.Image:
    """Lay pictures out in labelled rows and columns; a wider gap precedes each `group_starts`.

    Errors: DataError when a row has another number of pictures than there are columns.
    """
    height, width = _cell_size(rows, len(columns))
    lefts = _column_lefts(len(columns), width, set(group_starts))
    size = (lefts[-1] + width + GAP, HEADER_HEIGHT + len(rows) * (height + GAP))
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    for left, name in zip(lefts, columns, strict=True):
        _write_fitting(pen, name, (left, 8), width=width, font=font)
    for number, row in enumerate(rows):
        top = HEADER_HEIGHT + number * (height + GAP)
        label = "\n".join(wrap_label(pen, row.label, LABEL_WIDTH - 2 * GAP, font))
        pen.multiline_text((GAP, top + 2), label, fill=INK, font=font)
        for left, picture in zip(lefts, row.pictures, strict=True):
            if picture is None:
                pen.rectangle((left, top, left + width - 1, top + height - 1), fill=EMPTY)
            else:
                sheet.paste(Image.fromarray(picture), (left, top))
    return sheet


def enlarged(picture: np.ndarray) -> np.ndarray:
    """Repeat the pixels of a small picture (H,W,3), so often that it can be looked at."""
    factor = -(-READABLE_WIDTH // picture.shape[1])
    return picture.repeat(factor, 0).repeat(factor, 1)


def save_sheet(sheet: Image.Image, file: Path) -> Path:
    """Write a sheet as PNG, or as JPEG where the file is named so; returns the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".jpg":
        # not optimised: Pillow then needs the whole file in a buffer that noise overflows
        sheet.save(file, quality=JPEG_QUALITY, subsampling=0)
    else:
        sheet.save(file, optimize=True)
    return file


def draw_strip(pictures: Sequence[np.ndarray]) -> Image.Image:
    """Put pictures (H,W,3) uint8 of one height side by side, with a gap between them."""
    height = pictures[0].shape[0]
    width = sum(picture.shape[1] for picture in pictures) + GAP * (len(pictures) - 1)
    strip, left = Image.new("RGB", (width, height), PAPER), 0
    for picture in pictures:
        strip.paste(Image.fromarray(picture), (left, 0))
        left += picture.shape[1] + GAP
    return strip


def people_sheet(
    rows: Sequence[tuple[str, Sequence[np.ndarray], Sequence[Sequence[np.ndarray]]]],
    target_columns: Sequence[str],
) -> Image.Image:
    """Draw people: (label, reference pictures, target views) a row.

    A target view is one picture for each of `target_columns`, such as pose, generated and truth.
    Rows with fewer references or target views than others get empty cells.
    """
    num_references = max(len(references) for _, references, _ in rows)
    num_targets = max(len(targets) for _, _, targets in rows)
    columns = [f"reference {i + 1}" for i in range(num_references)]
    starts = [num_references + i * len(target_columns) for i in range(num_targets)]
    for _ in range(num_targets):
        columns += target_columns
    filled = [
        SheetRow(
            label=label,
            pictures=(
                *_padded(references, num_references),
                *_padded([p for t in targets for p in t], num_targets * len(target_columns)),
            ),
        )
        for label, references, targets in rows
    ]
    return draw_sheet(filled, columns, group_starts=starts)


def _padded(pictures: Sequence[np.ndarray], count: int) -> tuple[np.ndarray | None, ...]:
    return (*pictures, *[None] * (count - len(pictures)))


def _cell_size(rows: Sequence[SheetRow], num_columns: int) -> tuple[int, int]:
    for row in rows:
        if len(row.pictures) != num_columns:
            raise DataError(
                f"row {row.label!r} has {len(row.pictures)} pictures, expected {num_columns}: "
                "one a column; use None for an empty cell."
            )
    shapes = {picture.shape for row in rows for picture in row.pictures if picture is not None}
    if len(shapes) != 1:
        raise DataError(
            f"a sheet needs pictures of one size, found {sorted(shapes)}; resize them first."
        )
    height, width, _ = shapes.pop()
    return height, width


def _column_lefts(num_columns: int, width: int, group_starts: set[int]) -> list[int]:
    lefts, left = [], LABEL_WIDTH
    for column in range(num_columns):
        left += GROUP_GAP if column in group_starts and column > 0 else 0
        lefts.append(left)
        left += width + GAP
    return lefts


def wrap_label(pen: ImageDraw.ImageDraw, text: str, width: int, font: Font) -> list[str]:
    """Break text into lines no wider than `width` pixels, inside a word only where it must be."""
    lines = [""]
    for word in WORD_ENDS.split(text):
        if pen.textlength(lines[-1] + word, font=font) > width and lines[-1]:
            lines.append("")
        for character in word:
            if pen.textlength(lines[-1] + character, font=font) > width:
                lines.append("")
            lines[-1] += character
    return lines


def _write_fitting(
    pen: ImageDraw.ImageDraw, text: str, corner: tuple[int, int], *, width: int, font: Font
) -> None:
    """Write text, shortened with an ellipsis when it is wider than its column."""
    if pen.textlength(text, font=font) > width:
        while len(text) > 1 and pen.textlength(text + "…", font=font) > width:
            text = text[:-1]
        text += "…"
    pen.text(corner, text, fill=INK, font=font)
