"""Patterns and prints as functions of the position on the cloth, in metres."""

import numpy as np

from jcdm.data.synthetic.fabrics import Fabric, Print
from jcdm.data.synthetic.vectors import Facts, Floats


def weave(fabric: Fabric, across: Floats, along: Floats, girth: float) -> Floats:
    """Colours (n, 3) of a fabric at positions (n,) around and along a tube, in metres.

    `girth` is the tube's circumference; the period around it is rounded to a whole number of
    repeats, so that the seam does not show.
    """
    if fabric.pattern == "plain":
        return np.broadcast_to(fabric.ground, (len(across), 3))
    repeats = max(2.0, round(girth / fabric.period))
    x, y = across / girth * repeats, along / fabric.period
    figure = _PATTERNS[fabric.pattern](x - np.floor(x), y - np.floor(y))
    return np.where(figure[:, None], fabric.figure, fabric.ground)


def _stripes(x: Floats, y: Floats) -> Facts:
    return y < 0.42


def _columns(x: Floats, y: Floats) -> Facts:
    return x < 0.42


def _checks(x: Floats, y: Floats) -> Facts:
    return (x < 0.5) != (y < 0.5)


def _dots(x: Floats, y: Floats) -> Facts:
    return (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.095


def _blocks(x: Floats, y: Floats) -> Facts:
    return (x < 0.3) | (y < 0.3)


def _diagonal(x: Floats, y: Floats) -> Facts:
    shifted = x + y
    return shifted - np.floor(shifted) < 0.45


_PATTERNS = {
    "stripes": _stripes,
    "columns": _columns,
    "checks": _checks,
    "dots": _dots,
    "blocks": _blocks,
    "diagonal": _diagonal,
}


def stamp(colors: Floats, figure: Print, across: Floats, height: Floats) -> None:
    """Paint a print over colours (n, 3) in place. Positions (n,) in metres on the chest."""
    x, y = across / figure.radius, (height - figure.height) / figure.radius
    near = np.flatnonzero((np.abs(y) < 1.0) & (np.abs(x) < (9.0 if figure.shape == "band" else 1)))
    outer, inner = _PRINTS[figure.shape](x[near], y[near])
    colors[near[outer]] = figure.color
    colors[near[inner]] = figure.second


def _disc(x: Floats, y: Floats) -> tuple[Facts, Facts]:
    r = x * x + y * y
    return r < 1.0, r < 0.30


def _ring(x: Floats, y: Floats) -> tuple[Facts, Facts]:
    r = x * x + y * y
    return (r < 1.0) & (r > 0.36), (np.abs(x) < 0.2) & (np.abs(y) < 0.2)


def _square(x: Floats, y: Floats) -> tuple[Facts, Facts]:
    r = np.maximum(np.abs(x), np.abs(y))
    return r < 0.9, (r < 0.9) & (x * y > 0)


def _diamond(x: Floats, y: Floats) -> tuple[Facts, Facts]:
    r = np.abs(x) + np.abs(y)
    return r < 1.0, r < 0.45


def _heart(x: Floats, y: Floats) -> tuple[Facts, Facts]:
    w = x * 1.15
    r = w * w + (y * 1.15 - 0.55 * np.sqrt(np.abs(w)) + 0.15) ** 2
    return r < 0.95, r < 0.22


def _star(x: Floats, y: Floats) -> tuple[Facts, Facts]:
    angle, radius = np.arctan2(x, y), np.hypot(x, y)
    fold = np.abs((angle / (2.0 * np.pi) * 5.0 + 0.5) % 1.0 - 0.5)
    edge = 1.0 - 1.15 * fold
    return radius < edge, radius < 0.30


def _cross(x: Floats, y: Floats) -> tuple[Facts, Facts]:
    arms = (np.abs(x) < 0.32) | (np.abs(y) < 0.32)
    return arms, (np.abs(x) < 0.32) & (np.abs(y) < 0.32)


def _bars(x: Floats, y: Floats) -> tuple[Facts, Facts]:
    row = (y + 1.0) * 2.5
    line = row - np.floor(row) < 0.6
    short = (np.floor(row) % 2 == 1) & (x > 0.35)
    return line & ~short, line & (np.floor(row) == 2)


def _arrow(x: Floats, y: Floats) -> tuple[Facts, Facts]:
    rise = y + np.abs(x)
    return (rise < 0.9) & (rise > 0.3), (rise < 0.1) & (rise > -0.5) & (np.abs(x) < 0.9)


def _band(x: Floats, y: Floats) -> tuple[Facts, Facts]:
    return np.abs(y) < 0.75, np.abs(y) < 0.25


_PRINTS = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "diamond": _diamond,
    "heart": _heart,
    "star": _star,
    "cross": _cross,
    "bars": _bars,
    "arrow": _arrow,
    "band": _band,
}
