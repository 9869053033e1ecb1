"""The 3-D skeleton: body proportions, two-bone limbs and the 18 OpenPose joints.

Body axes: +x is the person's left, +y up, +z where the person faces; metres, the floor at y = 0.
"""

from dataclasses import dataclass

import numpy as np

from jcdm.data.synthetic.poses import Pose
from jcdm.data.synthetic.vectors import Floats, shortest_turn, turn_x, turn_y, turn_z, unit

NUM_JOINTS = 18
WAIST = 0.20  # heights above the hip joints, metres, before the torso factor
NECK_BASE = 0.545
SHOULDER = 0.482
ANKLE_HEIGHT = 0.078
SIDES = (-1.0, 1.0)  # right, left: the sign of x


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportions:
    """How one person differs from the average; factors near 1, lengths in metres."""

    leg: float
    torso: float
    arm: float
    girth: float
    shoulder: float  # half the distance between the shoulder joints
    hip: float  # factor on the pelvis width
    bust: float  # extra depth of the chest, metres
    head: float
    male: bool

    @property
    def thigh(self) -> float:
        """Hip to knee in metres."""
        return 0.425 * self.leg

    @property
    def shin(self) -> float:
        """Knee to ankle in metres."""
        return 0.405 * self.leg

    @property
    def upper_arm(self) -> float:
        """Shoulder to elbow in metres."""
        return 0.285 * self.arm

    @property
    def forearm(self) -> float:
        """Elbow to wrist in metres."""
        return 0.245 * self.arm


def draw_proportions(rng: np.random.Generator) -> Proportions:
    """Draw the body of one person."""
    male = bool(rng.random() < 0.4)
    return Proportions(
        leg=rng.uniform(0.94, 1.08),
        torso=rng.uniform(0.95, 1.06) * (1.03 if male else 1.0),
        arm=rng.uniform(0.95, 1.05) * (1.03 if male else 1.0),
        girth=rng.uniform(0.90, 1.20),
        shoulder=rng.uniform(0.172, 0.198) if male else rng.uniform(0.150, 0.168),
        hip=rng.uniform(0.90, 1.0) if male else rng.uniform(0.97, 1.10),
        bust=0.0 if male else rng.uniform(0.012, 0.032),
        head=rng.uniform(1.02, 1.12),
        male=male,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limb:
    """Two straight bones: start, middle and end (3,) and the axes of each bone.

    A bone's axes (3, 3) hold in their columns the lateral, upward and forward directions carried
    along from the trunk, so that a texture keeps its place on the limb.
    """

    start: Floats
    middle: Floats
    end: Floats
    first_axes: Floats
    second_axes: Floats
    lengths: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """A posed person: trunk axes (3, 3) and origins (3,), limbs right then left, joints (18, 3)."""

    pelvis: Floats
    pelvis_axes: Floats
    waist: Floats
    chest_axes: Floats
    neck_base: Floats
    head_axes: Floats
    head: Floats  # centre of the skull
    arms: tuple[Limb, Limb]
    legs: tuple[Limb, Limb]
    feet_axes: tuple[Floats, Floats]
    joints: Floats


def pose_skeleton(body: Proportions, pose: Pose) -> Skeleton:
    """Place every bone of a body in a pose, the lower foot on the floor."""
    pelvis = np.array([0.0, _pelvis_height(body, pose), 0.0])
    pelvis_axes = turn_z(pose.pelvis_roll) @ turn_x(pose.pelvis_tilt)
    chest_axes = pelvis_axes @ turn_y(pose.twist) @ turn_z(pose.bend) @ turn_x(pose.lean)
    head_axes = chest_axes @ turn_y(pose.head_turn) @ turn_x(pose.head_nod)
    waist = pelvis + pelvis_axes[:, 1] * WAIST * body.torso
    neck_base = waist + chest_axes[:, 1] * (NECK_BASE - WAIST) * body.torso
    neck_base = neck_base - chest_axes[:, 2] * 0.012
    head = neck_base + head_axes @ np.array([0.0, 0.172, 0.022]) * body.head
    arms = tuple(_arm(body, pose, waist, chest_axes, i) for i in (0, 1))
    legs = tuple(_leg(body, pose, pelvis, pelvis_axes, i) for i in (0, 1))
    feet = tuple(_foot_axes(pose, i) for i in (0, 1))
    return Skeleton(
        pelvis=pelvis,
        pelvis_axes=pelvis_axes,
        waist=waist,
        chest_axes=chest_axes,
        neck_base=neck_base,
        head_axes=head_axes,
        head=head,
        arms=(arms[0], arms[1]),
        legs=(legs[0], legs[1]),
        feet_axes=(feet[0], feet[1]),
        joints=_joints(body, arms, legs, head, head_axes),
    )


def _pelvis_height(body: Proportions, pose: Pose) -> float:
    reach = body.thigh + body.shin
    return ANKLE_HEIGHT + reach * float(max(-pose.ankles[0][1], -pose.ankles[1][1]))


def _arm(body: Proportions, pose: Pose, waist: Floats, axes: Floats, side: int) -> Limb:
    mirror = np.array([SIDES[side], 1.0, 1.0])
    # A raised arm lifts the shoulder joint with the collar bone.
    raised = 0.055 * max(0.0, float(pose.wrists[side][1]) + 0.3)
    height = (SHOULDER - WAIST) * body.torso + raised
    start = waist + axes @ np.array([SIDES[side] * (body.shoulder - 0.4 * raised), height, -0.012])
    reach = body.upper_arm + body.forearm
    target = start + axes @ (pose.wrists[side] * mirror) * reach
    pole = axes @ (pose.elbows[side] * mirror)
    return _two_bones(start, target, pole, (body.upper_arm, body.forearm), axes)


def _leg(body: Proportions, pose: Pose, pelvis: Floats, axes: Floats, side: int) -> Limb:
    mirror = np.array([SIDES[side], 1.0, 1.0])
    start = pelvis + axes[:, 0] * SIDES[side] * 0.088 * body.hip
    # Ankles are placed from the upright pelvis, so that a tilted pelvis keeps its feet down.
    level = pelvis + np.array([start[0] - pelvis[0], 0.0, start[2] - pelvis[2]])
    target = level + pose.ankles[side] * mirror * (body.thigh + body.shin)
    return _two_bones(start, target, pose.knees[side] * mirror, (body.thigh, body.shin), axes)


def _two_bones(
    start: Floats, target: Floats, pole: Floats, lengths: tuple[float, float], axes: Floats
) -> Limb:
    """Solve a limb that reaches for `target` and bends towards `pole` (law of cosines)."""
    first, second = lengths
    direction = unit(target - start)
    reach = float(np.linalg.norm(target - start))
    reach = min(max(reach, abs(first - second) + 0.02), 0.998 * (first + second))
    along = (first**2 - second**2 + reach**2) / (2.0 * reach)
    across = np.sqrt(max(first**2 - along**2, 0.0))
    sideways = unit(pole - direction * (pole @ direction))
    middle = start + direction * along + sideways * across
    end = start + direction * reach
    upper, lower = unit(middle - start), unit(end - middle)
    first_axes = shortest_turn(-axes[:, 1], upper) @ axes
    second_axes = shortest_turn(upper, lower) @ first_axes
    return Limb(
        start=start,
        middle=middle,
        end=end,
        first_axes=first_axes,
        second_axes=second_axes,
        lengths=lengths,
    )


def _foot_axes(pose: Pose, side: int) -> Floats:
    outward = SIDES[side] * float(pose.foot_turn[side])
    return turn_y(outward) @ turn_x(float(pose.foot_pitch[side]))


def _joints(
    body: Proportions, arms: tuple[Limb, ...], legs: tuple[Limb, ...], head: Floats, axes: Floats
) -> Floats:
    def face(x: float, y: float, z: float) -> Floats:
        return head + axes @ np.array([x, y, z]) * body.head

    neck = (arms[0].start + arms[1].start) / 2.0
    limbs = [p for limb in (*arms, *legs) for p in (limb.start, limb.middle, limb.end)]
    features = [face(s * 0.031, 0.012, 0.073) for s in SIDES]
    features += [face(s * 0.073, -0.006, -0.008) for s in SIDES]
    return np.stack([face(0.0, -0.027, 0.095), neck, *limbs, *features])
