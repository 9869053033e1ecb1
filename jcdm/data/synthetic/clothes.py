"""Clothes as tubes: shells around trunk and limbs, and skirts."""

from collections.abc import Iterator

import numpy as np

from jcdm.data.synthetic.body import SHOULDER_CAP, arm_outline, leg_outline, limb, trunk_outline
from jcdm.data.synthetic.footwear import shoes
from jcdm.data.synthetic.garments import Bottom, Outfit, Top
from jcdm.data.synthetic.lids import closed, held, lidded
from jcdm.data.synthetic.skeleton import WAIST, Limb, Proportions, Skeleton
from jcdm.data.synthetic.tubes import ANGLES, Part, Tube, limb_rings, spine_rings, square_axes
from jcdm.data.synthetic.vectors import Floats, soft_step

SHOULDER_TOP = 0.548


def _shell(
    bones: Skeleton,
    body: Proportions,
    part: Part,
    height: Floats,
    outline: Floats,
    *,
    over: float = 0.0,
) -> Tube:
    """A shell around the trunk, closed by a lid at its lower edge."""
    centers, lateral, forward = spine_rings(bones, body, height)
    width, front, back = (closed(row, first=True, last=False) for row in outline)
    return Tube(
        part=part,
        centers=held(centers, first=True, last=False),
        lateral=held(lateral, first=True, last=False),
        forward=held(forward, first=True, last=False),
        half_width=width,
        front=front,
        back=back,
        along=held(height, first=True, last=False),
        square=2.35,
        over=over,
    )


def top(bones: Skeleton, body: Proportions, cut: Top, hem: float) -> Iterator[Tube]:
    """The trunk of a top down to `hem` metres above the hips, and its sleeves."""
    low = np.linspace(hem, 0.44, max(4, int((0.44 - hem) / 0.05)))
    height = np.concatenate([low, np.array([0.46, 0.485, 0.50, 0.515, 0.53, SHOULDER_TOP])])
    loose = cut.ease * np.clip((0.52 - height) / 0.10, 0.25, 1.0)
    # A long top falls straight from the hips, it does not close under the body.
    outline = trunk_outline(body, np.maximum(height, 0.0))
    wide, deep = _room_for_legs(bones, body, -height, *spine_rings(bones, body, height))
    outline = np.where(height < 0.03, np.maximum(outline, np.stack([wide, *deep])), outline)
    # Cloth hangs from chest and hips, it does not follow the waist all the way in.
    drape = 0.35 * np.clip(trunk_outline(body, np.full(1, 0.35)) - outline, 0.0, None)
    outline = outline + loose + drape * np.clip((0.36 - height) / 0.1, 0.0, 1.0)
    yield _shell(bones, body, Part.TORSO_CLOTH, height, outline, over=0.022)
    if cut.sleeve > 0.0:
        for arm in bones.arms:
            yield _sleeve(arm, body, cut)


def _sleeve(arm: Limb, body: Proportions, cut: Top) -> Tube:
    fraction = np.concatenate([SHOULDER_CAP, np.linspace(0.02, cut.sleeve, 12)])
    outline = arm_outline(body, fraction)
    ease = cut.ease * (0.55 + 0.25 * fraction / cut.sleeve)
    if cut.sleeve < 0.5:
        ease = ease + 0.010 * np.clip(fraction / cut.sleeve, 0.0, 1.0)
    outline = outline + ease * soft_step(fraction, -0.050, 0.12)
    bare = limb(arm, outline, fraction, part=Part.SLEEVE, window=0.06)
    return lidded(bare)


def trousers(bones: Skeleton, body: Proportions, cut: Bottom) -> Iterator[Tube]:
    """Trousers or shorts: a shell around the pelvis and two legs."""
    height = np.array([-0.10, -0.085, -0.06, -0.03, 0.0, 0.04, 0.08, 0.12, 0.16])
    yield _shell(bones, body, Part.PELVIS_CLOTH, height, trunk_outline(body, height) + 0.008)
    fraction = np.concatenate([[-0.10, -0.05], np.linspace(0.0, cut.length, 16)])
    thigh = leg_outline(body, fraction) + 0.009
    # Wider cuts fall straight from the thigh and open towards the hem.
    straight = np.array([0.066, 0.072])[:, None] + cut.flare * (fraction / 0.97)
    share = soft_step(fraction, 0.15, 0.45) * min(cut.flare / 0.015, 1.0)
    outline = thigh + np.clip(straight - thigh, 0.0, None) * share
    for leg in bones.legs:
        yield lidded(limb(leg, outline, fraction, part=Part.LEG_CLOTH, window=0.07))


def skirt(bones: Skeleton, body: Proportions, cut: Bottom) -> Tube:
    """A skirt from the waist down, wide enough for both legs wherever they are."""
    reach = sum(bones.legs[0].lengths)
    below = np.linspace(-0.19, cut.length * reach, 18)
    middle = _between_legs(bones)
    centers, lateral, forward = limb_rings(middle, below, 0.10)
    at_hip = soft_step(below, -0.06, 0.14)[:, None]
    upper, up_lateral, up_forward = spine_rings(bones, body, -below)
    centers = (1.0 - at_hip) * upper + at_hip * centers
    lateral, forward = square_axes(
        (1.0 - at_hip) * up_lateral + at_hip * lateral,
        (1.0 - at_hip) * up_forward + at_hip * forward,
        np.gradient(centers, axis=0),
    )
    width, front, back = trunk_outline(body, np.maximum(-below, 0.0)) + 0.010
    # The cloth of a seated person lies on the thighs instead of standing out.
    hanging = float(np.clip(middle.first_axes[:, 1] @ bones.pelvis_axes[:, 1], 0.25, 1.0))
    opening = hanging * cut.flare * np.clip(below + 0.05, 0.0, None) / 0.45
    wide, deep = _room_for_legs(bones, body, below, centers, lateral, forward)
    below_hip = soft_step(below, 0.0, 0.10)
    width = np.maximum(width + opening, wide * below_hip)
    front = np.maximum(front + 0.7 * opening, deep[0] * below_hip)
    back = np.maximum(back + 0.7 * opening, deep[1] * below_hip)
    depth = (hanging * cut.flare * 0.5 * soft_step(below, 0.02, 0.35))[:, None]
    return lidded(
        Tube(
            part=Part.SKIRT,
            centers=centers,
            lateral=lateral,
            forward=forward,
            half_width=width,
            front=front,
            back=back,
            along=-below,
            square=2.2,
            swell=1.0 + depth * np.cos(ANGLES * cut.folds),
        )
    )


def _between_legs(bones: Skeleton) -> Limb:
    right, left = bones.legs

    def mean(name: str) -> Floats:
        return np.asarray((getattr(right, name) + getattr(left, name)) / 2.0)

    start, middle, end = mean("start"), mean("middle"), mean("end")
    return Limb(
        start=start,
        middle=middle,
        end=end,
        first_axes=mean("first_axes"),
        second_axes=mean("second_axes"),
        lengths=right.lengths,
    )


def _room_for_legs(
    bones: Skeleton, body: Proportions, below: Floats, centers: Floats, x: Floats, z: Floats
) -> tuple[Floats, tuple[Floats, Floats]]:
    """How far (n,) a skirt must reach sideways, and forward and back, to hold both legs."""
    along = np.maximum(below, 0.0)
    width, depth = leg_outline(body, along / sum(bones.legs[0].lengths)) + 0.012
    offsets = [limb_rings(leg, along, 0.07)[0] - centers for leg in bones.legs]
    side = [np.abs((offset * x).sum(-1)) for offset in offsets]
    ahead = [(offset * z).sum(-1) for offset in offsets]
    wide = np.maximum(side[0], side[1]) + width
    return wide, (np.maximum(*ahead) + depth, depth - np.minimum(*ahead))


def outfit(bones: Skeleton, body: Proportions, worn: Outfit) -> Iterator[Tube]:
    """All clothes of an outfit. A dress or a tucked top ends below the waistband."""
    hem = WAIST - 0.06 if worn.bottom.skirt else worn.top.hem
    yield from top(bones, body, worn.top, hem)
    if worn.bottom.skirt:
        yield skirt(bones, body, worn.bottom)
    else:
        yield from trousers(bones, body, worn.bottom)
    yield from shoes(bones, body, worn.shoes)
