"""Hair: a cap that the skull pushes through at the face, and the strands that hang from it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jcdm.data.synthetic.body import head_outline
from jcdm.data.synthetic.skeleton import NECK_BASE, Proportions, Skeleton
from jcdm.data.synthetic.tubes import ANGLES, Part, Tube, square_axes
from jcdm.data.synthetic.vectors import Floats, soft_step

STYLES = ("short", "bob", "long", "ponytail", "bun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Looks of a person's head: colours (3,) in [0, 1], hair style and its sizes in metres."""

    skin: Floats
    hair: Floats
    tip: Floats  # colour of the ends of the hair
    tie: Floats  # band of ponytail or bun
    iris: Floats
    lips: Floats
    style: str
    volume: float
    fringe: float
    parting: float  # radians, where the hairline rises
    length: float


_SKINS = ((0.96, 0.80, 0.69), (0.91, 0.72, 0.58), (0.80, 0.58, 0.43), (0.62, 0.42, 0.29))
_DARK_SKINS = ((0.46, 0.30, 0.21), (0.36, 0.23, 0.16))
_HAIRS = (
    (0.07, 0.05, 0.05),
    (0.20, 0.11, 0.06),
    (0.36, 0.20, 0.10),
    (0.58, 0.36, 0.15),
    (0.88, 0.70, 0.36),
    (0.62, 0.20, 0.08),
    (0.60, 0.57, 0.55),
)


def draw_head(rng: np.random.Generator, *, male: bool) -> Head:
    """Draw skin, hair and face of one person."""
    palette = _SKINS + _DARK_SKINS
    skin = np.array(palette[int(rng.integers(len(palette)))]) * rng.uniform(0.94, 1.03)
    hair = np.array(_HAIRS[int(rng.integers(len(_HAIRS)))])
    weights = [0.85, 0.03, 0.05, 0.03, 0.04] if male else [0.14, 0.24, 0.32, 0.18, 0.12]
    lighter = hair + 0.25 * rng.random() if rng.random() < 0.4 else hair
    return Head(
        skin=np.clip(skin, 0.0, 1.0),
        hair=hair,
        tip=np.clip(lighter, 0.0, 1.0),
        tie=np.array([rng.uniform(0.6, 1.0), rng.uniform(0.0, 0.9), rng.uniform(0.0, 0.9)]),
        iris=np.array(
            [(0.15, 0.09, 0.05), (0.12, 0.22, 0.35), (0.15, 0.26, 0.14)][rng.integers(3)]
        ),
        lips=skin * np.array([0.86, 0.48, 0.48]) if male else np.array([0.72, 0.16, 0.20]),
        style=STYLES[int(rng.choice(len(STYLES), p=weights))],
        volume=rng.uniform(0.010, 0.022),
        fringe=rng.uniform(-0.022, 0.012) if rng.random() < 0.3 else rng.uniform(0.012, 0.022),
        parting=rng.uniform(-0.7, 0.7),
        length=rng.uniform(0.10, 0.34),
    )


def hair(bones: Skeleton, body: Proportions, looks: Head) -> Iterator[Tube]:
    """All tubes of a hair style."""
    yield _cap(bones, body, looks)
    if looks.style == "bob":
        yield _curtain(bones, body, looks, -0.150 * body.head, 0.006)
    elif looks.style == "long":
        yield _curtain(bones, body, looks, -0.165 * body.head - looks.length, 0.0)
    elif looks.style == "ponytail":
        yield _ponytail(bones, body, looks)
    elif looks.style == "bun":
        yield _bun(bones, body)


def _cap(bones: Skeleton, body: Proportions, looks: Head) -> Tube:
    height, width, shift, depth = head_outline(body)
    # Where the share is negative the hair lies inside the skull and the face shows.
    level = (height / body.head)[:, None]
    line = 0.052 + looks.fringe + 0.012 * np.cos(ANGLES - looks.parting)
    open_face = np.exp(-((ANGLES / 1.22) ** 6)) * soft_step(line - level, -0.008, 0.008)
    nape = soft_step(-level, 0.050, 0.075)
    sides = soft_step(-level, 0.005, 0.030) * np.exp(-(((np.abs(ANGLES) - 1.45) / 0.38) ** 4))
    bare = np.clip(np.maximum(open_face, np.maximum(nape, sides)), 0.0, 1.0)
    if looks.style in ("bob", "long"):
        bare = open_face
    lift = looks.volume * (1.0 - bare) - 0.012 * bare
    reach = np.maximum(np.hypot(width, depth) / 1.414, 0.012)[:, None]
    axes = bones.head_axes
    centers = bones.head + height[:, None] * axes[:, 1] + shift[:, None] * axes[:, 2]
    # The crown grows upwards too.
    crown = looks.volume * soft_step(height, 0.06 * body.head, 0.13 * body.head)
    shape = centers.shape
    return Tube(
        part=Part.HAIR,
        centers=centers + crown[:, None] * axes[:, 1],
        lateral=np.broadcast_to(axes[:, 0], shape),
        forward=np.broadcast_to(axes[:, 2], shape),
        half_width=width,
        front=depth,
        back=depth,
        along=height,
        swell=1.0 + lift / reach,
    )


def _curtain(bones: Skeleton, body: Proportions, looks: Head, low: float, flare: float) -> Tube:
    """Hair that falls behind the face, over the neck and, when long, down the back."""
    axes = bones.head_axes
    drop = np.linspace(0.04 * body.head, low, 12)
    share = np.linspace(0.0, 1.0, 12)
    hanging = bones.head + drop[:, None] * axes[:, 1] - 0.040 * axes[:, 2]
    # Below the neck the hair lies on the back rather than following the head.
    height = NECK_BASE * body.torso + 0.172 * body.head + drop
    back = 0.075 + 0.07 * soft_step(-drop, 0.12, 0.26)
    trunk = bones.waist + (height - 0.20 * body.torso)[:, None] * bones.chest_axes[:, 1]
    trunk = trunk - back[:, None] * bones.chest_axes[:, 2]
    weight = soft_step(-drop, 0.08, 0.22)[:, None]
    centers = (1.0 - weight) * hanging + weight * trunk
    width = (0.088 + looks.volume + flare * share) * (1.0 - 0.45 * np.clip(share - 0.6, 0, 1))
    depth = 0.060 - 0.030 * soft_step(-drop, 0.05, 0.2)
    closing = np.append(np.ones(11), 0.05)
    lateral, forward = square_axes(
        np.broadcast_to(axes[:, 0], centers.shape),
        np.broadcast_to(axes[:, 2], centers.shape),
        -np.gradient(centers, axis=0),
    )
    return Tube(
        part=Part.TAIL,
        centers=centers,
        lateral=lateral,
        forward=forward,
        half_width=width * closing,
        front=depth * closing * 0.8,
        back=(depth + looks.volume) * closing,
        along=share,
        square=2.6,
    )


def _ponytail(bones: Skeleton, body: Proportions, looks: Head) -> Tube:
    axes = bones.head_axes
    share = np.linspace(0.0, 1.0, 12)
    length = 0.16 + looks.length * 0.6
    back = -0.085 - 0.075 * np.sin(np.minimum(share * 2.2, 1.0) * np.pi / 2) + 0.03 * share
    drop = 0.055 + 0.02 * np.sin(share * np.pi) - length * share**1.5
    centers = bones.head + (
        back[:, None] * axes[:, 2] * body.head + drop[:, None] * axes[:, 1] * body.head
    )
    radius = 0.034 * np.sin(np.clip(share * 0.9 + 0.12, 0, 1) * np.pi) ** 0.6 + 0.004
    lateral, forward = square_axes(
        np.broadcast_to(axes[:, 0], centers.shape),
        np.broadcast_to(axes[:, 1] * 0.7 + axes[:, 2] * 0.7, centers.shape),
        np.gradient(centers, axis=0),
    )
    return Tube(
        part=Part.TAIL,
        centers=centers,
        lateral=lateral,
        forward=forward,
        half_width=radius,
        front=radius,
        back=radius,
        along=share,
    )


def _bun(bones: Skeleton, body: Proportions) -> Tube:
    axes = bones.head_axes
    angle = np.linspace(-1.5, 1.5, 8)
    middle = bones.head + axes @ np.array([0.0, 0.100, -0.085]) * body.head
    upward = axes[:, 1] * 0.75 - axes[:, 2] * 0.66
    centers = middle + 0.048 * np.sin(angle)[:, None] * upward
    radius = 0.050 * np.cos(angle)
    shape = centers.shape
    forward = axes[:, 2] * 0.75 + axes[:, 1] * 0.66
    return Tube(
        part=Part.TAIL,
        centers=centers,
        lateral=np.broadcast_to(axes[:, 0], shape),
        forward=np.broadcast_to(forward, shape),
        half_width=radius,
        front=radius,
        back=radius,
        along=(np.sin(angle) + 1.0) / 2.0,
    )
