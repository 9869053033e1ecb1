"""Plots for reports: curves of a training run, scores along frames, spread and means of scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

COLOURS = ("#2f5fb3", "#d9822b", "#3a8f5c", "#9a4fb0", "#7a7f8a")
Series = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Means along x, each between its lowest and highest plausible value; all of one length."""

    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def plot_lines(
    series: Mapping[str, Series], file: Path, *, xlabel: str, ylabel: str, log_scale: bool = False
) -> Path:
    """Draw named (x, y) lines into one PNG and return its file."""
    canvas, (axes,) = _canvas()
    for colour, (name, (x, y)) in zip(_colours(len(series)), series.items(), strict=True):
        marker = "o" if len(x) <= 40 else None
        axes.plot(x, y, color=colour, label=name, linewidth=1.6, marker=marker, markersize=3)
    if log_scale:
        axes.set_yscale("log")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if len(series) > 1:
        axes.legend(frameon=False)
    return _save(canvas, file)


def plot_spread(values: Mapping[str, Sequence[float]], file: Path, *, xlabel: str) -> Path:
    """Draw every method's values as a box (quartiles) with its points; returns the PNG file."""
    canvas, (axes,) = _canvas()
    names = list(values)[::-1]
    rows = np.arange(1, len(names) + 1)
    axes.boxplot([values[n] for n in names], orientation="horizontal", showfliers=False, widths=0.5)
    for row, name in zip(rows, names, strict=True):
        jitter = np.linspace(-0.15, 0.15, len(values[name]))
        axes.plot(values[name], row + jitter, ".", color=COLOURS[0], alpha=0.35, markersize=4)
    axes.set_yticks(rows, names)
    axes.set_xlabel(xlabel)
    return _save(canvas, file)


def plot_bands(
    panels: Mapping[str, Band], file: Path, *, xlabel: str, ticks: Sequence[float] | None = None
) -> Path:
    """Draw means with their bands, one panel a score, side by side; returns the PNG file.

    ticks: where the x axis has numbers, None = anywhere.
    """
    canvas, row = _canvas(len(panels))
    for axes, colour, (name, band) in zip(row, _colours(len(row)), panels.items(), strict=True):
        axes.fill_between(band.x, band.low, band.high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(band.x, band.mean, color=colour, linewidth=1.6, marker="o", markersize=4)
        axes.set_ylabel(name)
        axes.set_xlabel(xlabel)
        if ticks is not None:
            axes.set_xticks(ticks)
    return _save(canvas, file)


def plot_boxes(
    panels: Mapping[str, Mapping[str, Sequence[float]]], file: Path, *, height: float
) -> Path:
    """Draw boxes (quartiles, whiskers at 5 and 95 %) of the same groups, one panel a score.

    height: of the picture, in inches. Returns the PNG file.
    """
    canvas, row = _canvas(len(panels), height=height)
    for axes, colour, (name, groups) in zip(row, _colours(len(row)), panels.items(), strict=True):
        axes.boxplot(
            list(groups.values())[::-1],
            orientation="horizontal",
            showfliers=False,
            whis=(5, 95),
            widths=0.6,
            patch_artist=True,
            boxprops={"facecolor": colour, "alpha": 0.3},
            medianprops={"color": "#1d2430"},
        )
        axes.set_yticks(np.arange(1, len(groups) + 1), list(groups)[::-1] if axes is row[0] else [])
        axes.set_xlabel(name)
    return _save(canvas, file)


def plot_histograms(panels: Mapping[str, Sequence[float]], file: Path) -> Path:
    """Draw how often values occur, their mean as a line, one panel a score; returns the PNG."""
    canvas, row = _canvas(len(panels))
    for axes, colour, (name, values) in zip(row, _colours(len(row)), panels.items(), strict=True):
        axes.hist(values, bins=min(40, max(5, len(values) // 8)), color=colour, alpha=0.6)
        axes.axvline(float(np.mean(values)), color="#1d2430", linewidth=1.4, label="mean")
        axes.set_xlabel(name)
        axes.set_ylabel("pairs")
        axes.legend(frameon=False)
    return _save(canvas, file)


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _canvas(num_panels: int = 1, *, height: float = 3.4) -> tuple[Canvas, list[Axes]]:
    canvas = Canvas(figsize=(7.2 + 2 * (num_panels - 1), height), dpi=130, layout="constrained")
    row = [canvas.add_subplot(1, num_panels, number + 1) for number in range(num_panels)]
    for axes in row:
        axes.grid(color="#e3e7ee", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return canvas, row


def _save(canvas: Canvas, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(file)
    return file
