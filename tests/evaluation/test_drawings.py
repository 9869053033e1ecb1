from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from jcdm.errors import DataError
from jcdm.evaluation.plots import (
    Band,
    plot_bands,
    plot_boxes,
    plot_histograms,
    plot_lines,
    plot_spread,
)
from jcdm.evaluation.sheets import (
    LABEL_WIDTH,
    SheetRow,
    draw_sheet,
    draw_strip,
    enlarged,
    people_sheet,
    save_sheet,
    wrap_label,
)


def flat(level: int) -> np.ndarray:
    return np.full((10, 8, 3), level, np.uint8)


def count_pixels(sheet: Image.Image, level: int) -> int:
    return int((np.asarray(sheet) == level).all(-1).sum())


def test_a_sheet_holds_every_picture_once(tmp_path: Path) -> None:
    rows = [
        ("anna", [flat(1), flat(2)], [(flat(3), flat(4))]),
        ("a person whose name is longer than its place", [flat(5)], [(flat(6), flat(7))] * 2),
    ]
    sheet = people_sheet(rows, ("pose", "truth"))
    assert [count_pixels(sheet, level) // 80 for level in range(1, 8)] == [1, 1, 1, 1, 1, 2, 2]
    assert count_pixels(sheet, 1) == 80
    file = save_sheet(sheet, tmp_path / "new" / "sheet.png")
    assert np.array_equal(np.asarray(Image.open(file)), np.asarray(sheet))


def test_small_pictures_are_enlarged_and_others_are_not() -> None:
    picture = np.arange(10 * 48 * 3, dtype=np.uint8).reshape(10, 48, 3)
    assert enlarged(picture).shape == (20, 96, 3)
    assert np.array_equal(enlarged(picture)[::2, ::2], picture)
    assert np.array_equal(enlarged(picture)[1::2, 1::2], picture)
    large = np.zeros((20, 80, 3), np.uint8)
    assert np.array_equal(enlarged(large), large)


def test_rows_stand_below_each_other_and_columns_side_by_side() -> None:
    rows = [SheetRow(label=str(i), pictures=(flat(10 * i + 1), flat(10 * i + 2))) for i in (0, 1)]
    sheet = np.asarray(draw_sheet(rows, ("a", "b"), group_starts=(1,)))
    places = [np.argwhere((sheet == level).all(-1))[0] for level in (1, 2, 11, 12)]
    assert places[0][0] == places[1][0] < places[2][0] == places[3][0]
    assert places[0][1] == places[2][1] < places[1][1] == places[3][1]


@pytest.mark.parametrize(
    ("label", "lines"),
    [
        ("fashionWOMENSkirtsid0000000001", ["fashionWOMEN", "Skirts", "id0000000001"]),
        ("anna_walk", ["anna_walk"]),
        ("with motion", ["with motion"]),
        ("w" * 12, ["w" * 10, "ww"]),
    ],
)
def test_labels_break_between_words_where_they_can(label: str, lines: list[str]) -> None:
    pen, font = ImageDraw.Draw(Image.new("RGB", (9, 9))), ImageFont.load_default(13)
    assert wrap_label(pen, label, LABEL_WIDTH - 12, font) == lines


def test_a_sheet_refuses_ragged_input() -> None:
    with pytest.raises(DataError, match="'anna' has 1 pictures, expected 2"):
        draw_sheet([SheetRow(label="anna", pictures=(flat(1),))], ("a", "b"))
    pictures = (flat(1), np.zeros((3, 3, 3), np.uint8))
    with pytest.raises(DataError, match="one size"):
        draw_sheet([SheetRow(label="anna", pictures=pictures)], ("a", "b"))


def test_a_strip_has_its_pictures_in_order_with_gaps(tmp_path: Path) -> None:
    strip = np.asarray(draw_strip([flat(10), flat(20), flat(30)]))
    assert strip.shape == (10, 3 * 8 + 2 * 6, 3)
    assert [int(strip[5, x, 0]) for x in (4, 11, 18, 25, 32)] == [10, 255, 20, 255, 30]
    file = save_sheet(draw_strip([flat(10)]), tmp_path / "x.jpg")
    photo = Image.open(file)
    noise = np.random.default_rng(0).integers(0, 256, (160, 110, 3), np.uint8)
    assert save_sheet(draw_strip([noise] * 3), tmp_path / "noise.jpg").stat().st_size > 30_000
    assert photo.format == "JPEG" and abs(np.asarray(photo).astype(int) - 10).max() <= 2


def test_plots_have_a_panel_a_score_and_follow_the_data(tmp_path: Path) -> None:
    def draw(*values: float, names: tuple[str, ...] = ("a", "b")) -> list[bytes]:
        band = Band(x=[1, 2, 3], mean=values, low=[v - 1 for v in values], high=[5.0] * 3)
        panels = {name: {"x": values, "y": [1.0, 2.0]} for name in names}
        files = (
            plot_bands(dict.fromkeys(names, band), tmp_path / "1.png", xlabel="x", ticks=[1, 3]),
            plot_boxes(panels, tmp_path / "2.png", height=2),
            plot_histograms(dict.fromkeys(names, values), tmp_path / "3.png"),
        )
        return [file.read_bytes() for file in files]

    def widths() -> list[int]:
        return [Image.open(tmp_path / f"{number}.png").width for number in (1, 2, 3)]

    first = draw(1, 2, 3)
    wide = widths()
    assert first == draw(1, 2, 3)
    assert all(one != other for one, other in zip(first, draw(1, 2, 4), strict=True))
    draw(1, 2, 3, names=("a",))
    assert all(one < other for one, other in zip(widths(), wide, strict=True))


def test_plots_show_their_data(tmp_path: Path) -> None:
    def draw(value: float) -> bytes:
        series = {"a": ([0, 1], [1.0, value]), "b": ([0, 1], [2.0, 1.0])}
        file = plot_lines(series, tmp_path / "x.png", xlabel="step", ylabel="loss", log_scale=True)
        return file.read_bytes()

    assert draw(0.5) == draw(0.5)
    assert draw(0.5) != draw(0.25)
    spread = plot_spread({"a": [0.1, 0.2, 0.3], "b": [0.5]}, tmp_path / "y.png", xlabel="cosine")
    assert Image.open(spread).size[0] > 500
