"""Plots for reports: curves of a training run, scores along frames, spread of a score."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

COLOURS = ("#2f5fb3", "#d9822b", "#3a8f5c", "#9a4fb0", "#7a7f8a")
Series = tuple[Sequence[float], Sequence[float]]


def plot_lines(
    series: Mapping[str, Series], file: Path, *, xlabel: str, ylabel: str, log_scale: bool = False
) -> Path:
    """Draw named (x, y) lines into one PNG and return its file."""
    canvas, axes = _canvas()
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
    canvas, axes = _canvas()
    names = list(values)[::-1]
    rows = np.arange(1, len(names) + 1)
    axes.boxplot([values[n] for n in names], orientation="horizontal", showfliers=False, widths=0.5)
    for row, name in zip(rows, names, strict=True):
        jitter = np.linspace(-0.15, 0.15, len(values[name]))
        axes.plot(values[name], row + jitter, ".", color=COLOURS[0], alpha=0.35, markersize=4)
    axes.set_yticks(rows, names)
    axes.set_xlabel(xlabel)
    return _save(canvas, file)


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _canvas() -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(7.2, 3.4), dpi=130, layout="constrained")
    axes = canvas.add_subplot()
    axes.grid(color="#e3e7ee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return canvas, axes


def _save(canvas: Canvas, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(file)
    return file
