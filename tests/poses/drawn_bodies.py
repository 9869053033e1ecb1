"""Poses of drawn bodies seen by a camera: all joints known, also those that cloth would hide."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jcdm.data.pose_files import StoredPose
from jcdm.data.synthetic.camera import Camera
from jcdm.data.synthetic.poses import Pose, draw_standing_pose, walk_pose
from jcdm.data.synthetic.skeleton import Proportions, draw_proportions, pose_skeleton

SIZE = (400, 300)  # height, width
FAR = Camera(yaw=0.0, pitch=0.0, distance=200.0, height=1.0, scale=180.0, offset=(150.0, 200.0))
"""So far away that a body's size in the picture does not depend on where it stands."""


def body(number: int) -> Proportions:
    """Draw a body; odd ones have long legs, a short trunk and broad shoulders."""
    drawn = draw_proportions(np.random.default_rng(number))
    if number % 2 == 0:
        return drawn
    return replace(
        drawn, leg=1.15 * drawn.leg, torso=0.93 * drawn.torso, shoulder=1.12 * drawn.shoulder
    )


def standing() -> Pose:
    """A frontal stance with all bones across the line of sight, arms a little away."""
    pose = draw_standing_pose(np.random.default_rng(0))
    wrists = np.array([[0.46, -0.88, 0.0], [0.46, -0.88, 0.0]])
    ankles = np.array([[0.1, -0.985, 0.0], [0.1, -0.985, 0.0]])
    knees = np.array([[0.15, 0.0, 1.0], [0.15, 0.0, 1.0]])
    elbows = np.array([[0.4, 0.0, -1.0], [0.4, 0.0, -1.0]])
    return replace(
        pose, wrists=wrists, elbows=elbows, ankles=ankles, knees=knees, twist=0.0, bend=0.0,
        lean=0.0, head_turn=0.0, head_nod=0.0,
    )  # fmt: skip


def see(who: Proportions, pose: Pose, camera: Camera = FAR) -> StoredPose:
    """Project a posed body's joints; all are seen, with confidence 0.8."""
    joints = camera.project(pose_skeleton(who, pose).joints)[:, :2] / SIZE[::-1]
    return StoredPose(keypoints=np.column_stack([joints, np.full(18, 0.8)]), size=SIZE)


def walking(who: Proportions, turns: Sequence[float], camera: Camera = FAR) -> list[StoredPose]:
    """A walk, one frame for each turn (radians) of the body before the camera."""
    return [
        see(who, walk_pose(2 * np.pi * k / 16), camera.turned(turn)) for k, turn in enumerate(turns)
    ]


def pixels(pose: StoredPose) -> np.ndarray:
    """Joints (18,2) in pixels."""
    assert pose.size is not None
    return pose.keypoints[:, :2] * pose.size[::-1]
