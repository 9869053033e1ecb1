"""Tubes to one triangle mesh with normals and texture coordinates, all tubes in one batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from jcdm.data.synthetic.tubes import ANGLES, Tube
from jcdm.data.synthetic.vectors import Floats, unit

_SIN, _COS = np.sin(ANGLES), np.cos(ANGLES)
Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Triangles of a person. N vertices, T triangles.

    `vertices`, `normals` (N, 3); `texture` (N, 3) holds angle in [-pi, pi], distance along the
    tube and sideways position on it, both metres; `over` (N,) is a surface's advantage in depth,
    metres; `triangles` (T, 3); `parts` (T,) of `Part`.
    """

    vertices: Floats
    normals: Floats
    texture: Floats
    over: Floats
    triangles: Integers
    parts: Integers


def build_mesh(tubes: Sequence[Tube]) -> Mesh:
    """Join tubes into one mesh."""
    vertices, sideways = _place_rings(tubes)
    counts = tuple(len(tube.centers) for tube in tubes)
    upward = tuple(_points_upward(tube) for tube in tubes)
    topology = _topology(counts, upward)
    around = vertices[:, topology.next_angle] - vertices[:, topology.previous_angle]
    along = vertices[topology.next_ring] - vertices[topology.previous_ring]
    normals = unit(np.cross(around, along) * topology.orientation[:, None, None])
    along_tube = np.concatenate([tube.along for tube in tubes])
    texture = np.empty((*sideways.shape, 3))
    texture[..., 0] = ANGLES
    texture[..., 1] = along_tube[:, None]
    texture[..., 2] = sideways
    parts = np.repeat([int(tube.part) for tube in tubes], topology.triangles_per_tube)
    return Mesh(
        vertices=vertices.reshape(-1, 3),
        normals=normals.reshape(-1, 3),
        texture=texture.reshape(-1, 3),
        over=np.repeat([tube.over for tube in tubes], np.array(counts) * len(ANGLES)),
        triangles=topology.triangles,
        parts=parts,
    )


def _place_rings(tubes: Sequence[Tube]) -> tuple[Floats, Floats]:
    def join(name: str) -> Floats:
        return np.concatenate([getattr(tube, name) for tube in tubes])

    power = np.concatenate([np.full(len(t.centers), 2.0 / t.square) for t in tubes])[:, None]
    swell = np.concatenate(
        [np.ones((len(t.centers), len(ANGLES))) if t.swell is None else t.swell for t in tubes]
    )
    sine = np.sign(_SIN) * np.abs(_SIN) ** power * swell
    cosine = np.sign(_COS) * np.abs(_COS) ** power * swell
    depth = np.where(_COS > 0.0, join("front")[:, None], join("back")[:, None])
    sideways = join("half_width")[:, None] * sine
    offset = sideways[..., None] * join("lateral")[:, None]
    offset += (depth * cosine)[..., None] * join("forward")[:, None]
    return join("centers")[:, None] + offset, sideways


def _points_upward(tube: Tube) -> bool:
    up = np.cross(tube.forward[0], tube.lateral[0])
    return bool((tube.centers[-1] - tube.centers[0]) @ up > 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Topology:
    next_angle: Integers
    previous_angle: Integers
    next_ring: Integers
    previous_ring: Integers
    orientation: Floats
    triangles: Integers
    triangles_per_tube: Integers


@lru_cache(maxsize=256)
def _topology(counts: tuple[int, ...], upward: tuple[bool, ...]) -> _Topology:
    """Indices that depend only on how many rings each tube has and which way it runs."""
    segments = len(ANGLES) - 1
    column = np.arange(segments + 1)
    # First and last column are the same seam, so neighbours wrap around it.
    following, previous = column % segments + 1, (column - 1) % segments
    starts = np.cumsum((0, *counts[:-1]))
    first = np.repeat(starts, counts)
    last = first + np.repeat(counts, counts) - 1
    ring = np.arange(sum(counts))
    triangles = [_triangles(s, n, up) for s, n, up in zip(starts, counts, upward, strict=True)]
    return _Topology(
        next_angle=following,
        previous_angle=previous,
        next_ring=np.minimum(ring + 1, last),
        previous_ring=np.maximum(ring - 1, first),
        orientation=np.repeat([1.0 if up else -1.0 for up in upward], counts),
        triangles=np.concatenate(triangles),
        triangles_per_tube=np.array([len(part) for part in triangles]),
    )


def _triangles(start: int, num_rings: int, upward: bool) -> Integers:
    width = len(ANGLES)
    ring, column = np.mgrid[start : start + num_rings - 1, 0 : width - 1]
    corner = (ring * width + column).ravel()
    right, above, opposite = corner + 1, corner + width, corner + width + 1
    one = np.stack([corner, right, opposite], 1)
    two = np.stack([corner, opposite, above], 1)
    both = np.stack([one, two], 1).reshape(-1, 3)
    return both if upward else both[:, ::-1]
