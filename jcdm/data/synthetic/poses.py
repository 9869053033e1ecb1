"""Poses: where hands and feet go and how the trunk bends, drawn from everyday stances."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np

from jcdm.data.synthetic.vectors import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """One pose. Pairs are right then left; x points outwards on both sides.

    `wrists` (2, 3) are relative to the shoulder in chest axes, in arm lengths; `ankles` (2, 3)
    relative to the hip in leg lengths; `elbows` and `knees` (2, 3) say where a joint points.
    Angles are radians. `seated` asks for a stool.
    """

    wrists: Floats
    elbows: Floats
    ankles: Floats
    knees: Floats
    foot_turn: Floats
    foot_pitch: Floats
    pelvis_tilt: float = 0.0
    pelvis_roll: float = 0.0
    twist: float = 0.0
    bend: float = 0.0
    lean: float = 0.0
    head_turn: float = 0.0
    head_nod: float = 0.0
    seated: bool = False


# Wrist target, elbow direction: x outwards, y up, z forward, in arm lengths.
ARM_STANCES: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "hanging": ((0.16, -0.95, 0.10), (0.5, 0.0, -1.0)),
    "away": ((0.46, -0.84, 0.08), (0.4, 0.0, -1.0)),
    "hip": ((0.10, -0.53, 0.10), (1.0, 0.0, -0.35)),
    "pocket": ((0.13, -0.83, 0.14), (1.0, 0.0, -0.9)),
    "raised": ((0.26, 0.90, 0.06), (1.0, 0.0, 0.1)),
    "wave": ((0.48, 0.42, 0.16), (0.6, -1.0, -0.1)),
    "folded": ((-0.12, -0.40, 0.50), (0.8, -0.9, -0.2)),
    "nape": ((-0.10, 0.34, 0.00), (1.0, 0.35, 0.1)),
    "bent": ((0.30, -0.45, 0.50), (0.5, -0.9, -0.6)),
}
_PAIRED = (("hanging", 0.20), ("hip", 0.15), ("away", 0.13), ("raised", 0.09), ("folded", 0.06))
_MIXED = (
    ("hanging", 0.26),
    ("hip", 0.20),
    ("pocket", 0.12),
    ("away", 0.12),
    ("bent", 0.10),
    ("wave", 0.10),
    ("raised", 0.06),
    ("nape", 0.04),
)
_NO_FEET = np.zeros(2)


def _choose(rng: np.random.Generator, options: tuple[tuple[str, float], ...]) -> str:
    weights = np.array([weight for _, weight in options])
    return options[int(rng.choice(len(options), p=weights / weights.sum()))][0]


def draw_arms(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw wrist targets (2, 3) and elbow directions (2, 3)."""
    if rng.random() < 0.55:
        names = [_choose(rng, _PAIRED)] * 2
    else:
        names = [_choose(rng, _MIXED), _choose(rng, _MIXED)]
    wrists = np.array([ARM_STANCES[name][0] for name in names])
    elbows = np.array([ARM_STANCES[name][1] for name in names])
    return wrists + rng.normal(0.0, 0.025, (2, 3)), elbows + rng.normal(0.0, 0.10, (2, 3))


def draw_pose(rng: np.random.Generator) -> Pose:
    """Draw a pose: standing, weight on one leg, walking or sitting, with arms of any kind."""
    legs: tuple[tuple[Callable[[np.random.Generator], Pose], float], ...] = (
        (draw_standing_pose, 0.40),
        (_shift_weight, 0.25),
        (_stride, 0.25),
        (_sit, 0.10),
    )
    kind = legs[int(rng.choice(len(legs), p=[weight for _, weight in legs]))][0]
    return kind(rng)


class _Trunk(TypedDict):
    twist: float
    bend: float
    lean: float
    head_turn: float
    head_nod: float


def _trunk(rng: np.random.Generator) -> _Trunk:
    return {
        "twist": rng.normal(0.0, 0.14),
        "bend": rng.normal(0.0, 0.04),
        "lean": rng.normal(0.02, 0.05),
        "head_turn": rng.normal(0.0, 0.22),
        "head_nod": rng.normal(0.02, 0.08),
    }


def draw_standing_pose(rng: np.random.Generator) -> Pose:
    """Draw a pose on two straight legs, with arms of any kind."""
    wrists, elbows = draw_arms(rng)
    spread = rng.uniform(0.0, 0.16)
    ankles = np.array([[spread, -0.985, 0.0], [spread, -0.985, 0.0]])
    ankles[:, 2] = rng.normal(0.0, 0.035, 2)
    return Pose(
        wrists=wrists,
        elbows=elbows,
        ankles=ankles,
        knees=np.array([[0.15, 0.0, 1.0], [0.15, 0.0, 1.0]]),
        foot_turn=rng.uniform(0.0, 0.35, 2),
        foot_pitch=_NO_FEET,
        **_trunk(rng),
    )


def _shift_weight(rng: np.random.Generator) -> Pose:
    wrists, elbows = draw_arms(rng)
    free = int(rng.integers(2))
    ankles = np.array([[0.02, -0.99, 0.0], [0.02, -0.99, 0.0]])
    ankles[free] = [rng.uniform(-0.06, 0.20), -0.972, rng.uniform(0.04, 0.16)]
    roll = rng.uniform(0.03, 0.09) * (1.0 if free == 0 else -1.0)
    trunk = _trunk(rng)
    trunk["bend"] -= roll
    return Pose(
        wrists=wrists,
        elbows=elbows,
        ankles=ankles,
        knees=np.array([[0.2, 0.0, 1.0], [0.2, 0.0, 1.0]]),
        foot_turn=rng.uniform(0.05, 0.5, 2),
        foot_pitch=_NO_FEET,
        pelvis_roll=roll,
        **trunk,
    )


def _stride(rng: np.random.Generator) -> Pose:
    pose = walk_pose(rng.uniform(0.0, 2.0 * np.pi), swing=rng.uniform(0.6, 1.1))
    if rng.random() < 0.5:
        return pose
    wrists, elbows = draw_arms(rng)
    return replace(pose, wrists=wrists, elbows=elbows, **_trunk(rng))


def _sit(rng: np.random.Generator) -> Pose:
    wrists = np.array([[0.06, -0.66, 0.52], [0.06, -0.66, 0.52]])
    elbows = np.array([[1.0, -0.2, -0.8], [1.0, -0.2, -0.8]])
    if rng.random() < 0.5:
        one = int(rng.integers(2))
        name = _choose(rng, (("hip", 0.4), ("bent", 0.3), ("wave", 0.3)))
        wrists[one], elbows[one] = ARM_STANCES[name]
    spread = rng.uniform(0.0, 0.10)
    forward = rng.uniform(0.40, 0.56, 2)
    return Pose(
        wrists=wrists + rng.normal(0.0, 0.02, (2, 3)),
        elbows=elbows,
        ankles=np.stack([np.full(2, spread), np.full(2, -0.52), forward], 1),
        knees=np.array([[0.1, 0.9, 1.0], [0.1, 0.9, 1.0]]),
        foot_turn=rng.uniform(0.0, 0.3, 2),
        foot_pitch=_NO_FEET,
        pelvis_tilt=-0.06,
        seated=True,
        **_trunk(rng),
    )


def walk_pose(phase: float, *, swing: float = 1.0) -> Pose:
    """One moment of a walk; `phase` in radians, a full stride is 2 pi; `swing` scales the step."""
    angles = np.array([phase, phase + np.pi])
    forward = np.sin(angles)
    # A foot is in the air while it travels forward.
    lifted = np.clip(np.cos(angles), 0.0, 1.0)
    ankles = np.stack(
        [np.full(2, 0.01), -0.965 + 0.10 * swing * lifted**2, 0.28 * swing * forward - 0.02], 1
    )
    arm_forward = -0.36 * swing * forward
    wrists = np.stack([np.full(2, 0.14), np.full(2, -0.90), 0.10 + arm_forward], 1)
    return Pose(
        wrists=wrists,
        elbows=np.array([[0.4, 0.0, -1.0], [0.4, 0.0, -1.0]]),
        ankles=ankles,
        knees=np.array([[0.05, 0.0, 1.0], [0.05, 0.0, 1.0]]),
        foot_turn=np.full(2, 0.08),
        foot_pitch=0.35 * swing * np.clip(-forward, 0.0, 1.0) - 0.12 * np.clip(forward, 0.0, 1.0),
        twist=0.12 * swing * float(forward[0]),
        lean=0.04,
        head_turn=-0.10 * swing * float(forward[0]),
    )


def sway(pose: Pose, phase: float) -> Pose:
    """A standing pose at one moment of quiet breathing; `phase` in radians, 2 pi is one breath."""
    wave = float(np.sin(phase))
    return replace(
        pose,
        wrists=pose.wrists + 0.015 * wave,
        lean=pose.lean + 0.015 * wave,
        bend=pose.bend + 0.02 * float(np.cos(phase)),
        head_turn=pose.head_turn + 0.10 * wave,
    )
