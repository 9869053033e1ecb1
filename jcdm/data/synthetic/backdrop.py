"""Plain studio backgrounds and the soft shadow under the feet."""

import colorsys
from dataclasses import dataclass

import numpy as np

from jcdm.data.synthetic.camera import Camera
from jcdm.data.synthetic.vectors import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    """A studio wall: colours (3,) at the top and the bottom, and the light on the person.

    `light` (3,) points to the lamp in camera axes; `gradient` is the sideways fall-off.
    """

    top: Floats
    bottom: Floats
    gradient: float
    light: Floats


def draw_backdrop(studio: np.random.Generator, shot: np.random.Generator) -> Backdrop:
    """Draw a wall: mostly light and pale, now and then a stronger colour.

    All photographs of a person come from one `studio`, which sets the paint; each `shot` has its
    own light, so that no two walls are quite alike.
    """
    strong = studio.random() < 0.25
    hue = studio.random()
    saturation = studio.uniform(0.18, 0.40) if strong else studio.uniform(0.0, 0.10)
    value = studio.uniform(0.55, 0.85) if strong else studio.uniform(0.78, 0.94)
    paint = np.array(colorsys.hsv_to_rgb(hue, saturation, value))
    top = np.clip(paint * shot.uniform(0.96, 1.04), 0.0, 1.0)
    light = np.array([shot.uniform(-0.65, 0.65), shot.uniform(0.35, 0.75), 0.80])
    return Backdrop(
        top=top,
        bottom=np.clip(top * shot.uniform(0.88, 1.04), 0.0, 1.0),
        gradient=shot.uniform(-0.05, 0.05),
        light=light / np.linalg.norm(light),
    )


def paint_backdrop(
    wall: Backdrop, camera: Camera, contacts: Floats, size: tuple[int, int]
) -> Floats:
    """Paint the wall (H, W, 3) in [0, 1] with a shadow around floor contacts (n, 3) in metres."""
    height, width = size
    down = np.linspace(0.0, 1.0, height)[:, None]
    across = np.linspace(-1.0, 1.0, width)
    rows = wall.top * (1.0 - down) + wall.bottom * down
    shade = np.broadcast_to(1.0 + wall.gradient * across, (height, width))
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    dark = np.zeros((height, width))
    radius = 0.17 * camera.scale
    for spot in camera.project(contacts):
        column = np.exp(-(((x - spot[0]) / radius) ** 2))
        row = np.exp(-(((y - spot[1]) / (0.30 * radius)) ** 2))
        dark = np.maximum(dark, row[:, None] * column)
    return np.asarray(rows[:, None, :] * (shade * (1.0 - 0.34 * dark))[..., None])
