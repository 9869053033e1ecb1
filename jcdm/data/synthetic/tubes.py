"""Generalised cylinders: the one shape of which bodies, hair, clothes and shoes are made."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from jcdm.data.synthetic.skeleton import NECK_BASE, WAIST, Limb, Proportions, Skeleton
from jcdm.data.synthetic.vectors import Floats, soft_step, unit

NUM_SEGMENTS = 20
ANGLES = np.linspace(-np.pi, np.pi, NUM_SEGMENTS + 1)
"""Angles around a tube: 0 is the front, +pi/2 the person's left, +-pi the seam at the back."""


class Part(IntEnum):
    """Which surface a triangle belongs to; decides how it is coloured."""

    BODY = 0
    ARM = 1
    HAND = 2
    HEAD = 3
    EAR = 4
    HAIR = 5
    TAIL = 6
    TORSO_CLOTH = 7
    SLEEVE = 8
    PELVIS_CLOTH = 9
    LEG_CLOTH = 10
    SKIRT = 11
    SHOE = 12
    STOOL = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Tube:
    """Rings along a line. n rings; lengths in metres.

    `centers`, `lateral`, `forward` (n, 3); `half_width`, `front`, `back` (n,) are the ring's
    extents to the sides and along +-forward; `along` (n,) is the texture's coordinate along the
    tube; `square` is the exponent of the ring's outline (2 = ellipse, more = boxier); `swell`
    (n, NUM_SEGMENTS + 1) multiplies the outline, for noses, hairlines and folds. `over` is
    by how much (metres) the tube wins against others at its depth: cloth worn on top of cloth.
    """

    part: Part
    centers: Floats
    lateral: Floats
    forward: Floats
    half_width: Floats
    front: Floats
    back: Floats
    along: Floats
    square: float = 2.0
    swell: Floats | None = None
    over: float = 0.0


def resample(table: Floats, num: int = 96) -> Floats:
    """Smooth a table whose first column is the sorted position (monotone cubic, no overshoot)."""
    x, y = table[:, 0], table[:, 1:]
    slope = np.diff(y, axis=0) / np.diff(x)[:, None]
    product = slope[:-1] * slope[1:]
    tangent = np.zeros_like(y)
    safe = np.where(product > 0, slope[:-1] + slope[1:], 1.0)
    tangent[1:-1] = np.where(product > 0, 2.0 * product / safe, 0.0)
    tangent[0], tangent[-1] = slope[0], slope[-1]
    fine = np.linspace(x[0], x[-1], num)
    i = np.clip(np.searchsorted(x, fine, side="right") - 1, 0, len(x) - 2)
    width = (x[i + 1] - x[i])[:, None]
    t = (fine - x[i])[:, None] / width
    start = (1 + 2 * t) * (1 - t) ** 2 * y[i] + t * (1 - t) ** 2 * width * tangent[i]
    end = t * t * (3 - 2 * t) * y[i + 1] + t * t * (t - 1) * width * tangent[i + 1]
    return np.concatenate([fine[:, None], start + end], 1)


def look_up(table: Floats, position: Floats) -> Floats:
    """Read every column of a resampled table at positions (n,); returns (columns, n)."""
    return np.stack([np.interp(position, table[:, 0], column) for column in table.T[1:]])


def square_axes(lateral: Floats, forward: Floats, along: Floats) -> tuple[Floats, Floats]:
    """Make ring axes (n, 3) unit length and perpendicular to the tube's direction `along`."""
    along = unit(along)
    lateral = unit(lateral - along * (lateral * along).sum(-1, keepdims=True))
    forward = forward - along * (forward * along).sum(-1, keepdims=True)
    forward = forward - lateral * (forward * lateral).sum(-1, keepdims=True)
    return lateral, unit(forward)


def spine_rings(
    bones: Skeleton, body: Proportions, height: Floats
) -> tuple[Floats, Floats, Floats]:
    """Centres, lateral and forward axes (n, 3) of trunk rings at heights above the hips (n,).

    Each ring blends the places that pelvis, chest and head would give it, so the trunk bends
    smoothly at waist and neck. `height` is in metres of the average body.
    """
    tall = height[:, None] * body.torso
    waist, neck = WAIST * body.torso, NECK_BASE * body.torso
    lower = bones.pelvis + tall * bones.pelvis_axes[:, 1]
    middle = bones.waist + (tall - waist) * bones.chest_axes[:, 1]
    upper = bones.neck_base + (tall - neck) * bones.head_axes[:, 1]
    at_waist = soft_step(height, WAIST - 0.12, WAIST + 0.12)[:, None]
    at_neck = soft_step(height, NECK_BASE - 0.05, NECK_BASE + 0.05)[:, None]
    weights = (1.0 - at_waist, at_waist * (1.0 - at_neck), at_neck)
    centers = weights[0] * lower + weights[1] * middle + weights[2] * upper
    frames = (bones.pelvis_axes, bones.chest_axes, bones.head_axes)
    axes = [sum(w * f[:, k] for w, f in zip(weights, frames, strict=True)) for k in range(3)]
    lateral, forward = square_axes(np.asarray(axes[0]), np.asarray(axes[2]), np.asarray(axes[1]))
    return centers, lateral, forward


def limb_rings(limb: Limb, along: Floats, window: float) -> tuple[Floats, Floats, Floats]:
    """Centres, lateral and forward axes (n, 3) of rings `along` metres (n,) from a limb's start.

    The bend at the middle joint is spread over `window` metres to both sides.
    """
    reach = limb.lengths[0]
    weight = soft_step(along, reach - window, reach + window)[:, None]
    first = limb.start - along[:, None] * limb.first_axes[:, 1]
    second = limb.middle - (along[:, None] - reach) * limb.second_axes[:, 1]
    axes = [
        (1.0 - weight) * limb.first_axes[:, k] + weight * limb.second_axes[:, k] for k in range(3)
    ]
    lateral, forward = square_axes(axes[0], axes[2], axes[1])
    return (1.0 - weight) * first + weight * second, lateral, forward
