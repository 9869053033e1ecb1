"""Triangles to pixels: a vectorised z-buffer that keeps, for each pixel, the nearest surface."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jcdm.data.synthetic.mesh import Integers

Floats32 = npt.NDArray[np.float32]
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragments:
    """The visible surface, n covered pixels of a height x width raster.

    `pixels` (n,) flat indices; `triangles` (n,) rows of the mesh; `weights` (n, 3) barycentric;
    `depth` (height, width) distance from the camera in metres, infinity where nothing is.
    """

    pixels: Integers
    triangles: Integers
    weights: Floats32
    depth: Floats32


def rasterize(screen: Floats32, triangles: Integers, height: int, width: int) -> Fragments:
    """Draw front-facing triangles. `screen` (N, 3): x right, y down in pixels, distance > 0.

    A pixel is covered when its centre lies inside a triangle; the nearest one wins, and among
    equally near ones the first.
    """
    # y points down on the screen, so a surface that faces the camera has negative area.
    a, b, c = (screen[triangles[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    limit = np.array([width - 1, height - 1], np.int32)
    low = np.ceil(np.minimum(np.minimum(a, b), c)[:, :2] - 0.5).astype(np.int32)
    high = np.floor(np.maximum(np.maximum(a, b), c)[:, :2] - 0.5).astype(np.int32)
    low, high = np.maximum(low, 0), np.minimum(high, limit)
    kept = np.flatnonzero((area < -1e-6) & (high[:, 0] >= low[:, 0]) & (high[:, 1] >= low[:, 1]))
    planes = _planes(a[kept], b[kept], c[kept], area[kept])
    owner, x, y = _candidates(low[kept], high[kept] - low[kept] + 1)
    w1 = planes[0][owner] * x + planes[1][owner] * y + planes[2][owner]
    w2 = planes[3][owner] * x + planes[4][owner] * y + planes[5][owner]
    inside = np.flatnonzero((w1 >= 0) & (w2 >= 0) & (w1 + w2 <= 1))
    w1, w2, owner = w1[inside], w2[inside], owner[inside]
    depth = planes[6][owner] + w1 * planes[7][owner] + w2 * planes[8][owner]
    pixels = y[inside] * width + x[inside]
    winner = _nearest(pixels, depth, height * width)
    buffer = np.full(height * width, np.inf, np.float32)
    buffer[pixels[winner]] = depth[winner]
    w1, w2 = w1[winner], w2[winner]
    return Fragments(
        pixels=pixels[winner],
        triangles=kept[owner[winner]],
        weights=np.stack([1 - w1 - w2, w1, w2], 1),
        depth=buffer.reshape(height, width),
    )


def _planes(a: Floats32, b: Floats32, c: Floats32, area: Floats32) -> list[Floats32]:
    """Weights of corners b and c as planes over pixel indices, and the depth's three values."""
    inverse = 1.0 / area
    dx1, dy1 = (c[:, 1] - a[:, 1]) * inverse, (a[:, 0] - c[:, 0]) * inverse
    dx2, dy2 = (a[:, 1] - b[:, 1]) * inverse, (b[:, 0] - a[:, 0]) * inverse
    x, y = 0.5 - a[:, 0], 0.5 - a[:, 1]
    depths = [a[:, 2], b[:, 2] - a[:, 2], c[:, 2] - a[:, 2]]
    return [dx1, dy1, dx1 * x + dy1 * y, dx2, dy2, dx2 * x + dy2 * y, *depths]


def _candidates(low: Integers, extent: Integers) -> tuple[Integers, Integers, Integers]:
    """Every pixel of every triangle's bounding box: owner, x and y (m,)."""
    count = extent[:, 0] * extent[:, 1]
    owner = np.repeat(np.arange(len(count)), count)
    first = np.cumsum(count, dtype=np.int32) - count
    local = np.arange(len(owner), dtype=np.int32) - first[owner]
    columns = extent[:, 0][owner]
    row = local // columns
    return owner, low[:, 0][owner] + local - row * columns, low[:, 1][owner] + row


def _nearest(pixels: Integers, depth: Floats32, num_pixels: int) -> Integers:
    """Index of the nearest candidate of each covered pixel, in pixel order."""
    # Positive floats sort like their bits: one integer holds depth above the candidate's index.
    keys = depth.astype(np.float32).view(np.int32).astype(np.int64) << 32
    keys |= np.arange(len(keys), dtype=np.int64)
    best = np.full(num_pixels, _NEVER, np.int64)
    np.minimum.at(best, pixels, keys)
    return (best[best != _NEVER] & 0xFFFFFFFF).astype(np.int64)
