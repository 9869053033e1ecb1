"""The bare body as tubes: trunk with neck, arms, hands, legs and head."""

from collections.abc import Iterator

import numpy as np

from jcdm.data.synthetic.skeleton import SIDES, Limb, Proportions, Skeleton
from jcdm.data.synthetic.tubes import (
    ANGLES,
    Part,
    Tube,
    limb_rings,
    look_up,
    resample,
    spine_rings,
)
from jcdm.data.synthetic.vectors import Floats, unit

TRUNK_TOP = 0.68
# Height above the hips, half width, front, back; metres of the average body.
_TRUNK_WOMAN = resample(
    np.array(
        [
            [-0.100, 0.060, 0.050, 0.060],
            [-0.060, 0.140, 0.085, 0.110],
            [0.000, 0.166, 0.096, 0.122],
            [0.060, 0.156, 0.098, 0.104],
            [0.140, 0.126, 0.094, 0.080],
            [0.200, 0.113, 0.088, 0.076],
            [0.270, 0.121, 0.090, 0.082],
            [0.350, 0.137, 0.106, 0.092],
            [0.410, 0.143, 0.098, 0.096],
            [0.460, 0.150, 0.082, 0.092],
            [0.500, 0.143, 0.066, 0.079],
            [0.525, 0.102, 0.053, 0.066],
            [0.550, 0.058, 0.048, 0.056],
            [0.600, 0.050, 0.048, 0.050],
            [0.680, 0.049, 0.048, 0.050],
        ]
    )
)
_TRUNK_MAN = resample(
    np.array(
        [
            [-0.100, 0.060, 0.055, 0.060],
            [-0.060, 0.136, 0.088, 0.105],
            [0.000, 0.158, 0.098, 0.112],
            [0.060, 0.152, 0.100, 0.098],
            [0.140, 0.142, 0.100, 0.084],
            [0.200, 0.140, 0.098, 0.084],
            [0.270, 0.147, 0.100, 0.092],
            [0.350, 0.160, 0.112, 0.102],
            [0.410, 0.168, 0.110, 0.106],
            [0.460, 0.178, 0.094, 0.102],
            [0.500, 0.170, 0.077, 0.090],
            [0.525, 0.126, 0.064, 0.077],
            [0.550, 0.072, 0.057, 0.066],
            [0.600, 0.060, 0.056, 0.058],
            [0.680, 0.058, 0.055, 0.057],
        ]
    )
)
# Fraction of the limb, half width, half depth.
_ARM = resample(
    np.array(
        [
            [-0.054, 0.003, 0.003],
            [-0.048, 0.021, 0.026],
            [-0.030, 0.036, 0.043],
            [0.000, 0.045, 0.052],
            [0.07, 0.048, 0.055],
            [0.22, 0.042, 0.049],
            [0.45, 0.036, 0.040],
            [0.54, 0.034, 0.036],
            [0.66, 0.034, 0.037],
            [0.85, 0.026, 0.028],
            [1.00, 0.022, 0.026],
            [1.04, 0.021, 0.025],
        ]
    )
)
_LEG = resample(
    np.array(
        [
            [-0.10, 0.070, 0.078],
            [0.00, 0.084, 0.094],
            [0.12, 0.083, 0.093],
            [0.30, 0.071, 0.078],
            [0.47, 0.054, 0.058],
            [0.53, 0.050, 0.054],
            [0.60, 0.050, 0.056],
            [0.70, 0.051, 0.059],
            [0.85, 0.039, 0.043],
            [0.95, 0.032, 0.037],
            [1.04, 0.031, 0.040],
        ]
    )
)
# Height from the middle of the head, half width, centre's shift forward, half depth.
_HEAD = np.array(
    [
        [-0.124, 0.003, 0.048, 0.003],
        [-0.120, 0.023, 0.046, 0.024],
        [-0.105, 0.039, 0.034, 0.044],
        [-0.080, 0.053, 0.018, 0.064],
        [-0.050, 0.063, 0.006, 0.080],
        [-0.020, 0.069, -0.001, 0.089],
        [0.010, 0.073, -0.004, 0.094],
        [0.040, 0.074, -0.006, 0.096],
        [0.070, 0.070, -0.007, 0.090],
        [0.095, 0.057, -0.008, 0.074],
        [0.113, 0.038, -0.009, 0.050],
        [0.123, 0.018, -0.009, 0.024],
        [0.126, 0.002, -0.009, 0.003],
    ]
)
HEAD_HEIGHTS = _HEAD[:, 0]
SHOULDER_CAP = np.array([-0.054, -0.048, -0.040, -0.030, -0.015])
"""Where, as shares of the arm above the joint, the rounded top of an arm has its rings."""


def trunk_outline(body: Proportions, height: Floats) -> Floats:
    """Half width, front and back (3, n) of the trunk at heights above the hips, in metres."""
    table = _TRUNK_MAN if body.male else _TRUNK_WOMAN
    width, front, back = look_up(table, height)
    # The neck and the shoulder slope keep their size; hips and belly take weight.
    soft = np.clip((0.50 - height) / 0.15, 0.0, 1.0)
    girth = 1.0 + (body.girth - 1.0) * soft
    hips = 1.0 + (body.hip - 1.0) * np.clip((0.20 - height) / 0.12, 0.0, 1.0)
    bust = body.bust * np.exp(-(((height - 0.365) / 0.055) ** 2))
    reach = np.clip((height - 0.30) / 0.12, 0.0, 1.0) * np.clip((0.52 - height) / 0.04, 0.0, 1.0)
    broad = 1.0 + (body.shoulder / (0.185 if body.male else 0.160) - 1.0) * reach
    return np.stack([width * girth * hips * broad, front * girth + bust, back * girth])


def arm_outline(body: Proportions, fraction: Floats) -> Floats:
    """Half width and half depth (2, n) of an arm at fractions of its length."""
    return look_up(_ARM, fraction) * (1.0 + 0.7 * (body.girth - 1.0)) * (1.16 if body.male else 1)


def leg_outline(body: Proportions, fraction: Floats) -> Floats:
    """Half width and half depth (2, n) of a leg at fractions of its length."""
    return look_up(_LEG, fraction) * (1.0 + 0.8 * (body.girth - 1.0))


def trunk(bones: Skeleton, body: Proportions, low: float) -> Tube:
    """Skin of trunk and neck from height `low` above the hips up into the head."""
    height = np.concatenate([np.arange(low, 0.44, 0.045), np.linspace(0.44, TRUNK_TOP, 10)])
    width, front, back = trunk_outline(body, height)
    centers, lateral, forward = spine_rings(bones, body, height)
    return Tube(
        part=Part.BODY,
        centers=centers,
        lateral=lateral,
        forward=forward,
        half_width=width,
        front=front,
        back=back,
        along=height,
        square=2.3,
    )


def limb(
    bones: Limb, outline: Floats, fraction: Floats, *, part: Part, window: float, square: float = 2
) -> Tube:
    """A tube around a limb; `outline` (2, n) half width and depth at `fraction` (n,)."""
    along = fraction * sum(bones.lengths)
    centers, lateral, forward = limb_rings(bones, along, window)
    width, depth = outline
    return Tube(
        part=part,
        centers=centers,
        lateral=lateral,
        forward=forward,
        half_width=width,
        front=depth,
        back=depth,
        along=along,
        square=square,
    )


def hands(bones: Skeleton, body: Proportions) -> Iterator[Tube]:
    """Both hands: a tapered palm with fingers, and a thumb that points forward."""
    scale = 1.08 if body.male else 0.98
    for arm, side in zip(bones.arms, SIDES, strict=True):
        down = -arm.second_axes[:, 1]
        lateral, forward = arm.second_axes[:, 0], arm.second_axes[:, 2]
        # A loose hand curls a little towards the thigh.
        length = np.array([-0.02, 0.0, 0.03, 0.07, 0.10, 0.135, 0.165, 0.172]) * scale
        width = np.array([0.020, 0.021, 0.020, 0.017, 0.014, 0.012, 0.008, 0.002]) * scale
        depth = np.array([0.024, 0.027, 0.038, 0.043, 0.041, 0.034, 0.020, 0.003]) * scale
        curl = -side * 1.6 * np.clip(length - 0.05, 0.0, None) ** 2
        centers = arm.end + length[:, None] * down + curl[:, None] * lateral
        yield _straight(Part.HAND, centers, lateral, forward, width, depth)
        step = np.array([0.02, 0.05, 0.085, 0.10]) * scale
        out = np.array([0.012, 0.040, 0.054, 0.058]) * scale
        centers = arm.end + step[:, None] * down + out[:, None] * forward
        radius = np.array([0.014, 0.013, 0.010, 0.002]) * scale
        yield _straight(Part.HAND, centers, lateral, forward, radius, radius)


def head(bones: Skeleton, body: Proportions) -> Iterator[Tube]:
    """The head with a nose, and two ears."""
    height, width, shift, depth = _HEAD.T * body.head
    swell = np.ones((len(height), len(ANGLES)))
    nose = np.exp(-((ANGLES / 0.17) ** 2))
    swell += nose * (np.exp(-(((HEAD_HEIGHTS + 0.030) / 0.020) ** 2)) * 0.26)[:, None]
    axes = bones.head_axes
    centers = bones.head + height[:, None] * axes[:, 1] + shift[:, None] * axes[:, 2]
    yield _straight(Part.HEAD, centers, axes[:, 0], axes[:, 2], width, depth, height, swell)
    step = np.array([-0.032, -0.026, -0.008, 0.012, 0.026, 0.031]) * body.head
    size = np.array([0.002, 0.012, 0.017, 0.020, 0.014, 0.002]) * body.head
    for side in SIDES:
        middle = bones.head + axes @ np.array([side * 0.073, -0.006, -0.008]) * body.head
        centers = middle + step[:, None] * unit(axes[:, 1] + 0.15 * side * axes[:, 0])
        yield _straight(Part.EAR, centers, axes[:, 0], axes[:, 2], size * 0.55, size)


def head_outline(body: Proportions) -> tuple[Floats, Floats, Floats, Floats]:
    """Height, half width, shift forward and half depth (n,) of the head's rings, in metres."""
    height, width, shift, depth = _HEAD.T * body.head
    return height, width, shift, depth


def _straight(
    part: Part,
    centers: Floats,
    lateral: Floats,
    forward: Floats,
    width: Floats,
    depth: Floats,
    along: Floats | None = None,
    swell: Floats | None = None,
) -> Tube:
    """A tube whose rings share one pair of axes."""
    shape = centers.shape
    return Tube(
        part=part,
        centers=centers,
        lateral=np.broadcast_to(lateral, shape),
        forward=np.broadcast_to(forward, shape),
        half_width=width,
        front=depth,
        back=depth,
        along=np.linspace(0.0, 1.0, len(centers)) if along is None else along,
        swell=swell,
    )
