"""Smooth motion: frames of a walk or of a turn, seen by a camera that stands still."""

from functools import lru_cache
from typing import Literal

import numpy as np

from jcdm.data.synthetic.backdrop import Backdrop, draw_backdrop
from jcdm.data.synthetic.camera import Camera, fit_camera
from jcdm.data.synthetic.people import (
    DrawnView,
    check_size,
    draw_looks,
    dress,
    paint_person,
)
from jcdm.data.synthetic.poses import Pose, draw_standing_pose, sway, walk_pose
from jcdm.data.synthetic.skeleton import pose_skeleton
from jcdm.data.synthetic.streams import Purpose, stream
from jcdm.data.synthetic.vectors import Floats
from jcdm.errors import ConfigError

Motion = Literal["walk", "turn"]
MOTIONS: tuple[Motion, ...] = ("walk", "turn")
_FRAMES_PER_STRIDE = 16


def render_frame(
    *,
    seed: int,
    identity: int,
    frame: int,
    num_frames: int,
    motion: Motion,
    size: tuple[int, int],
) -> DrawnView:
    """Draw one frame of a person in motion; `size` is (H, W) in pixels.

    "walk" strides on the spot, "turn" makes one full turn; both close into a loop after
    `num_frames`. Background and camera stay the same for all frames. Equal arguments give equal
    pixels in any order and process. Raises ConfigError for a wrong number, motion or size.
    """
    check_size(size)
    if not 0 <= frame < num_frames:
        raise ConfigError(f"frame {frame} of {num_frames}: count frames from 0 to num_frames - 1.")
    if motion not in MOTIONS:
        raise ConfigError(f"motion {motion!r} is unknown: choose one of {', '.join(MOTIONS)}.")
    looks = draw_looks(seed, identity)
    camera, wall = _studio(seed, identity, motion, size)
    share = frame / num_frames
    pose, yaw = _moment(seed, identity, motion, share, num_frames)
    bones = pose_skeleton(looks.body, pose)
    mesh = dress(looks, bones, pose)
    camera = camera.turned(camera.yaw + yaw)
    return paint_person(looks, bones, mesh, camera, wall, size=size, framing="full")


def _moment(
    seed: int, identity: int, motion: Motion, share: float, num_frames: int
) -> tuple[Pose, float]:
    """Pose and turn (radians) after a share in [0, 1) of the motion."""
    rng = stream(seed, identity, Purpose.MOTION, MOTIONS.index(motion))
    start, swing, direction = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.75, 1.05), rng.random()
    if motion == "walk":
        strides = max(1, round(num_frames / _FRAMES_PER_STRIDE))
        return walk_pose(start + 2.0 * np.pi * strides * share, swing=swing), 0.0
    turn = 2.0 * np.pi * share * (1.0 if direction < 0.5 else -1.0)
    return sway(draw_standing_pose(rng), start + 2.0 * np.pi * share), turn


@lru_cache(maxsize=16)
def _studio(
    seed: int, identity: int, motion: Motion, size: tuple[int, int]
) -> tuple[Camera, Backdrop]:
    """The fixed camera and wall of a sequence."""
    index = 1_000_000 + MOTIONS.index(motion)  # apart from the indices of single views
    rng = stream(seed, identity, Purpose.CAMERA, index)
    camera = Camera(
        yaw=np.radians(rng.uniform(-180.0, 180.0)),
        pitch=rng.uniform(0.0, 0.08),
        distance=rng.uniform(4.0, 5.5),
        height=rng.uniform(0.9, 1.3),
    )
    room = _room(seed, identity, motion)
    camera = fit_camera(camera, room, size, fill=0.94, place=(0.5, 0.5))
    return camera, draw_backdrop(
        stream(seed, identity, Purpose.STUDIO), stream(seed, identity, Purpose.BACKDROP, index)
    )


def _room(seed: int, identity: int, motion: Motion) -> Floats:
    """Points (N, 3) on an upright cylinder that holds the person at every moment."""
    looks = draw_looks(seed, identity)
    moments = [_moment(seed, identity, motion, share, 16)[0] for share in (0.0, 0.25, 0.5, 0.75)]
    poses = [*moments, walk_pose(np.pi / 2)] if motion == "walk" else moments
    points = np.concatenate(
        [dress(looks, pose_skeleton(looks.body, pose), pose).vertices for pose in poses]
    )
    radius = float(np.hypot(points[:, 0], points[:, 2]).max())
    angle = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    rim = np.stack([radius * np.cos(angle), np.zeros(24), radius * np.sin(angle)], 1)
    # The floor edge of the cylinder would leave much empty floor; the feet stay near the axis.
    floor = rim * 0.6
    top = np.array([0.0, float(points[:, 1].max()), 0.0])
    return np.concatenate([floor, rim + top])
