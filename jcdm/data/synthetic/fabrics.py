"""Fabrics and prints: two-coloured patterns, and the figures on chest and back."""

import colorsys
from dataclasses import dataclass

import numpy as np

from jcdm.data.synthetic.vectors import Floats

PATTERNS = ("plain", "stripes", "columns", "checks", "dots", "blocks", "diagonal")
PRINTS = ("disc", "ring", "square", "diamond", "heart", "star", "cross", "bars", "arrow", "band")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """A pattern of two colours (3,) in [0, 1]; `period` in metres."""

    pattern: str
    ground: Floats
    figure: Floats
    period: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Print:
    """A figure printed on the chest or the back; `radius` and `height` above the hips in metres."""

    shape: str
    color: Floats
    second: Floats
    radius: float
    height: float


def _color(hue: float, saturation: float, value: float) -> Floats:
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value))


def vivid(rng: np.random.Generator, hue: float) -> Floats:
    """Draw a saturated colour (3,) of a hue in [0, 1)."""
    return _color(hue, rng.uniform(0.60, 0.95), rng.uniform(0.45, 0.95))


def contrast(rng: np.random.Generator, hue: float, ground: Floats) -> Floats:
    """A second colour that stands out: another hue, white, or near black."""
    kind = rng.random()
    bright = float(ground @ np.array([0.30, 0.59, 0.11])) > 0.5
    if kind < 0.40:
        return np.full(3, 0.08) if bright else np.array([0.97, 0.96, 0.93])
    shifted = hue + rng.uniform(0.25, 0.75)
    return _color(shifted, rng.uniform(0.65, 0.95), 0.38 if bright else 0.98)


def draw_fabric(rng: np.random.Generator, hue: float, plain: float) -> Fabric:
    """Draw a fabric of a hue; `plain` is the chance of a cloth without pattern."""
    ground = vivid(rng, hue)
    if rng.random() < 0.12:
        ground = np.array([0.95, 0.94, 0.90]) if rng.random() < 0.6 else np.full(3, 0.10)
    pattern = "plain" if rng.random() < plain else str(rng.choice(PATTERNS[1:]))
    figure = contrast(rng, hue, ground)
    return Fabric(pattern=pattern, ground=ground, figure=figure, period=rng.uniform(0.055, 0.12))


def draw_back(rng: np.random.Generator, front: Fabric, hue: float, plain: float) -> Fabric:
    """The back panel: the same cloth, the colours swapped, or another cloth altogether."""
    kind = rng.random()
    if kind < 0.45:
        return front
    if kind < 0.60 and front.pattern != "plain":
        return Fabric(
            pattern="plain", ground=front.figure, figure=front.ground, period=front.period
        )
    return draw_fabric(rng, hue + rng.uniform(0.2, 0.8), plain)


def draw_print(
    rng: np.random.Generator, shapes: tuple[str, ...], hue: float, cloth: Fabric, height: float
) -> Print:
    """Draw a print of one of `shapes` that stands out from its cloth; `height` in metres."""
    color = contrast(rng, hue, cloth.ground)
    return Print(
        shape=str(rng.choice(shapes)),
        color=color,
        second=contrast(rng, hue + 0.4, color),
        radius=rng.uniform(0.072, 0.105),
        height=height,
    )
