"""Shoes and boots as tubes, and the stool for a seated person."""

from collections.abc import Iterator

import numpy as np

from jcdm.data.synthetic.body import leg_outline, limb
from jcdm.data.synthetic.garments import Shoes
from jcdm.data.synthetic.lids import lidded
from jcdm.data.synthetic.skeleton import ANKLE_HEIGHT, Proportions, Skeleton
from jcdm.data.synthetic.tubes import Part, Tube

# Distance forward of the ankle, half width, upper edge above the ankle; metres.
_SHOE = np.array(
    [
        [-0.066, 0.004, -0.030],
        [-0.062, 0.024, 0.000],
        [-0.040, 0.034, 0.012],
        [0.000, 0.036, 0.016],
        [0.045, 0.039, -0.002],
        [0.085, 0.044, -0.026],
        [0.120, 0.044, -0.040],
        [0.150, 0.034, -0.048],
        [0.166, 0.018, -0.054],
        [0.170, 0.003, -0.062],
    ]
)


def shoes(bones: Skeleton, body: Proportions, kind: Shoes) -> Iterator[Tube]:
    """Two shoes, with shafts when they are boots."""
    forward, width, upper = _SHOE.T * (1.06 if body.male else 0.95)
    sole = -ANKLE_HEIGHT + 0.002
    for leg, axes in zip(bones.legs, bones.feet_axes, strict=True):
        height = (upper - sole) / 2.0
        centers = (
            leg.end + forward[:, None] * axes[:, 2] + ((upper + sole) / 2)[:, None] * axes[:, 1]
        )
        yield Tube(
            part=Part.SHOE,
            centers=centers,
            lateral=np.broadcast_to(axes[:, 0], centers.shape),
            forward=np.broadcast_to(axes[:, 1], centers.shape),
            half_width=width,
            front=height,
            back=height,
            along=forward,
            square=2.7,
        )
        if kind.shaft > 0.0:
            low = 1.0 - kind.shaft / sum(leg.lengths)
            fraction = np.linspace(1.03, low, 7)
            outline = leg_outline(body, fraction) + 0.010
            yield lidded(limb(leg, outline, fraction, part=Part.SHOE, window=0.07))


def stool(bones: Skeleton) -> Tube:
    """A round stool under a seated person."""
    top_height = float(bones.pelvis[1]) - 0.105
    height = np.array([0.0, 0.0, top_height - 0.05, top_height, top_height])
    radius = np.array([0.003, 0.15, 0.17, 0.17, 0.003])
    centers = np.zeros((5, 3))
    centers[:, 1] = height
    centers[:, 2] = float(bones.pelvis[2]) + 0.02
    return Tube(
        part=Part.STOOL,
        centers=centers,
        lateral=np.tile([1.0, 0.0, 0.0], (5, 1)),
        forward=np.tile([0.0, 0.0, 1.0], (5, 1)),
        half_width=radius,
        front=radius,
        back=radius,
        along=height,
    )
