"""Colour of every surface point, from its place on the body: skin, face, hair and cloth."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jcdm.data.synthetic.face import paint_face
from jcdm.data.synthetic.garments import Bottom, Outfit, Region, Top
from jcdm.data.synthetic.hair import Head
from jcdm.data.synthetic.mesh import Integers
from jcdm.data.synthetic.skeleton import Proportions
from jcdm.data.synthetic.textures import stamp, weave
from jcdm.data.synthetic.tubes import Part
from jcdm.data.synthetic.vectors import Facts, Floats

_TRUNK_GIRTH, _LEG_GIRTH, _ARM_GIRTH = 0.84, 0.46, 0.32


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """n points of one part: angle (radians), along and sideways (metres), each (n,)."""

    angle: Floats
    along: Floats
    sideways: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """All that colouring needs to know about a person."""

    body: Proportions
    head: Head
    outfit: Outfit


def color_surface(looks: Looks, parts: Integers, texture: Floats) -> tuple[Floats, Integers]:
    """Colour points: parts (n,), texture (n, 3) -> colours (n, 3) in [0, 1], regions (n,)."""
    colors = np.empty((len(parts), 3))
    regions = np.empty(len(parts), np.uint8)
    for part, paint in _PAINTERS.items():
        index = np.flatnonzero(parts == part)
        if len(index):
            angle, along, sideways = texture[index].T
            surface = Surface(angle=angle, along=along, sideways=sideways)
            colors[index], regions[index] = paint(looks, surface)
    return colors, regions


Painted = tuple[Floats, Integers | int]


def _skin(looks: Looks, at: Surface) -> Painted:
    return np.broadcast_to(looks.head.skin, (len(at.angle), 3)), Region.SKIN


def _face(looks: Looks, at: Surface) -> Painted:
    scale = looks.body.head
    return paint_face(looks.head, at.angle, at.along / scale, at.sideways / scale), Region.SKIN


def _hair(looks: Looks, at: Surface) -> Painted:
    strands = 0.90 + 0.10 * np.sin(at.angle * 17.0 + 3.0 * np.sin(at.angle * 5.0))
    # A parting: a lighter line over the crown.
    line = np.exp(-(((at.angle - looks.head.parting) / 0.10) ** 2)) * (at.along > 0.07)
    return looks.head.hair * (strands + 0.25 * line)[:, None], Region.HAIR


def _tail(looks: Looks, at: Surface) -> Painted:
    head = looks.head
    strands = 0.90 + 0.10 * np.sin(at.angle * 13.0 + 2.0 * np.sin(at.angle * 3.0))
    share = np.clip(at.along, 0.0, 1.0)[:, None]
    colors = (head.hair * (1.0 - share) + head.tip * share) * strands[:, None]
    if head.style in ("ponytail", "bun"):
        colors[(at.along > 0.06) & (at.along < 0.20)] = head.tie
    return colors, Region.HAIR


def _torso_cloth(looks: Looks, at: Surface) -> Painted:
    cut = looks.outfit.top
    front = np.abs(at.angle) < np.pi / 2
    colors = _two_sides(cut, at, front)
    for side, figure in ((front, cut.front_print), (~front, cut.back_print)):
        index = np.flatnonzero(side)
        painted = colors[index]
        # Seen from behind, the person's right is on the right: mirror the print's x.
        across = at.sideways[index] * (1.0 if figure is cut.front_print else -1.0)
        stamp(painted, figure, across, at.along[index])
        colors[index] = painted
    colors[at.along < cut.hem + 0.018] = cut.trim
    bare, collar = _bare_shoulders(looks.body, cut, at, front)
    colors[collar] = cut.trim
    colors[bare] = looks.head.skin
    return colors, np.where(bare, Region.SKIN, cut.region).astype(np.uint8)


def _two_sides(cut: Top | Bottom, at: Surface, front: Facts, girth: float = 0.84) -> Floats:
    across = at.angle / (2.0 * np.pi) * girth
    if cut.front is cut.back:
        return np.array(weave(cut.front, across, at.along, girth))
    ahead = weave(cut.front, across, at.along, girth)
    behind = weave(cut.back, across, at.along, girth)
    return np.where(front[:, None], ahead, behind)


def _bare_shoulders(body: Proportions, cut: Top, at: Surface, front: Facts) -> tuple[Facts, Facts]:
    """Where neckline and arm holes leave the trunk bare, and the collar along them."""
    drop = np.where(front, cut.neck_drop[0], cut.neck_drop[1])
    depth = 0.522 - drop * np.clip(1.0 - (at.sideways / cut.neck_width) ** 2, 0.0, 1.0)
    above = at.along - np.where(np.abs(at.sideways) < cut.neck_width, depth, 0.522)
    if cut.sleeve > 0.0:
        return above > 0.0, (above > -0.014) & (above <= 0.0)
    edge = 0.72 * body.shoulder - 0.25 * np.clip(at.along - 0.44, -0.05, 0.10)
    outside = np.where(at.along > 0.375, np.abs(at.sideways) - edge, -1.0)
    rim = np.maximum(above, outside)
    return rim > 0.0, (rim > -0.010) & (rim <= 0.0)


def _sleeve(looks: Looks, at: Surface) -> Painted:
    cut, arm = looks.outfit.top, looks.body.upper_arm + looks.body.forearm
    across = at.angle / (2.0 * np.pi) * _ARM_GIRTH
    colors = np.array(weave(cut.sleeve_fabric, across, at.along, _ARM_GIRTH))
    colors[at.along > cut.sleeve * arm - 0.020] = cut.trim
    return colors, cut.region


def _pelvis_cloth(looks: Looks, at: Surface) -> Painted:
    cut = looks.outfit.bottom
    front = np.abs(at.angle) < np.pi / 2
    colors = _two_sides(cut, at, front)
    pocket = ~front & (np.abs(np.abs(at.sideways) - 0.075) < 0.040)
    colors[pocket & (at.along > -0.03) & (at.along < 0.055)] = cut.pocket
    colors[at.along > 0.125] = cut.trim
    return colors, cut.region


def _leg_cloth(looks: Looks, at: Surface) -> Painted:
    cut, leg = looks.outfit.bottom, looks.body.thigh + looks.body.shin
    colors = _two_sides(cut, at, np.abs(at.angle) < np.pi / 2, _LEG_GIRTH)
    colors[at.along > cut.length * leg - 0.022] = cut.trim
    return colors, cut.region


def _skirt(looks: Looks, at: Surface) -> Painted:
    cut, leg = looks.outfit.bottom, looks.body.thigh + looks.body.shin
    colors = _two_sides(cut, at, np.abs(at.angle) < np.pi / 2, _TRUNK_GIRTH)
    colors[at.along < 0.025 - cut.length * leg] = cut.trim
    if cut.region is Region.BOTTOM:
        colors[at.along > 0.155] = cut.trim
    return colors, cut.region


def _shoe(looks: Looks, at: Surface) -> Painted:
    shoes = looks.outfit.shoes
    colors = np.tile(shoes.color, (len(at.angle), 1))
    # The shaft of a boot has distances along the leg, all larger than a foot.
    colors[(np.abs(at.angle) > 2.25) & (at.along < 0.25)] = shoes.sole
    return colors, Region.SHOES


def _stool(looks: Looks, at: Surface) -> Painted:
    return np.broadcast_to(np.array([0.42, 0.33, 0.26]), (len(at.angle), 3)), Region.PROP


_PAINTERS: dict[Part, Callable[[Looks, Surface], Painted]] = {
    Part.BODY: _skin,
    Part.ARM: _skin,
    Part.HAND: _skin,
    Part.EAR: _skin,
    Part.HEAD: _face,
    Part.HAIR: _hair,
    Part.TAIL: _tail,
    Part.TORSO_CLOTH: _torso_cloth,
    Part.SLEEVE: _sleeve,
    Part.PELVIS_CLOTH: _pelvis_cloth,
    Part.LEG_CLOTH: _leg_cloth,
    Part.SKIRT: _skirt,
    Part.SHOE: _shoe,
    Part.STOOL: _stool,
}
