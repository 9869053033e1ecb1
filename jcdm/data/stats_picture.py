"""Draw the counts of an index as one picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jcdm.errors import DataError

_BLUE, _ORANGE = "#2f5fb3", "#d9822b"
_MOST_BARS = 14


def draw_stats(stats: Mapping[str, Any], file: Path) -> None:
    """Draw the counts that `index_stats` returns into a PNG file; DataError where it cannot be."""
    figure = Figure(figsize=(11, 7), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.subplots(2, 2)
    _splits(places[0, 0], stats["splits"])
    by_views = list(stats["subjects_by_views"].items())
    _columns(places[0, 1], _shorten(by_views), "subjects by number of views")
    sides = list(stats["views_by_side"].items())
    _columns(places[1, 0], _shorten(sides), "views by side")
    _joints(places[1, 1], stats["share_seen_by_joint"])
    figure.suptitle(
        f"{stats['num_subjects']:,} subjects, {stats['num_views']:,} views, "
        f"{stats['share_of_joints_seen']:.0%} of joints seen",
        fontsize=13,
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="png")
    except OSError as error:
        raise DataError(f"cannot write {file}: {error.strerror}. Choose another file.") from None


def _splits(axes: Axes, splits: Mapping[str, Mapping[str, int]]) -> None:
    names = list(splits)
    for row, (key, colour) in enumerate((("num_subjects", _ORANGE), ("num_views", _BLUE))):
        places = [index + (row - 0.5) * 0.38 for index in range(len(names))]
        values = [splits[name][key] for name in names]
        bars = axes.bar(places, values, 0.36, color=colour, label=key.removeprefix("num_"))
        axes.bar_label(bars, [f"{value:,}" for value in values], padding=2, fontsize=9)
    axes.set_xticks(range(len(names)), names)
    axes.legend(frameon=False)
    _tidy(axes, "subjects and views of each split")


def _columns(axes: Axes, counts: Sequence[tuple[str, int]], title: str) -> None:
    bars = axes.bar([name for name, _ in counts], [number for _, number in counts], color=_BLUE)
    axes.bar_label(bars, [f"{number:,}" for _, number in counts], padding=2, fontsize=9)
    if not counts:
        axes.text(0.5, 0.5, "the index does not tell", ha="center", transform=axes.transAxes)
        axes.set_xticks([])
        axes.set_yticks([])
    _tidy(axes, title)


def _joints(axes: Axes, shares: Mapping[str, float]) -> None:
    names = [name.replace("_", " ") for name in shares]
    bars = axes.barh(names, list(shares.values()), color=_BLUE)
    axes.bar_label(bars, [f"{share:.0%}" for share in shares.values()], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.1)
    axes.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    axes.tick_params(axis="y", labelsize=8)
    _tidy(axes, "share of views a joint is seen in", along="x")


def _shorten(counts: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Join the last of too many columns into one."""
    if len(counts) <= _MOST_BARS:
        return list(counts)
    kept, rest = counts[: _MOST_BARS - 1], counts[_MOST_BARS - 1 :]
    return [*kept, ("others", sum(number for _, number in rest))]


def _tidy(axes: Axes, title: str, along: str = "y") -> None:
    axes.set_title(title, loc="left", fontsize=11)
    if along == "y":
        axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.12 if along == "y" else 0.02)
    axes.grid(axis="y" if along == "y" else "x", color="#e3e7ee", linewidth=0.8)
    axes.set_axisbelow(True)
