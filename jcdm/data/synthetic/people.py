"""One drawn person in one view: identity, pose and camera to image, joints and regions."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from jcdm.data.synthetic.backdrop import Backdrop, draw_backdrop, paint_backdrop
from jcdm.data.synthetic.body import (
    SHOULDER_CAP,
    arm_outline,
    hands,
    head,
    leg_outline,
    limb,
    trunk,
)
from jcdm.data.synthetic.camera import Camera, fit_camera
from jcdm.data.synthetic.clothes import outfit
from jcdm.data.synthetic.footwear import stool
from jcdm.data.synthetic.garments import draw_outfit, without_prints
from jcdm.data.synthetic.hair import draw_head, hair
from jcdm.data.synthetic.materials import Looks
from jcdm.data.synthetic.mesh import Mesh, build_mesh
from jcdm.data.synthetic.occlusion import find_visible_joints
from jcdm.data.synthetic.poses import Pose, draw_pose
from jcdm.data.synthetic.shading import shade
from jcdm.data.synthetic.skeleton import Skeleton, draw_proportions, pose_skeleton
from jcdm.data.synthetic.streams import Purpose, stream
from jcdm.data.synthetic.tubes import Part, Tube
from jcdm.errors import ConfigError

GENERATOR_VERSION = 1
"""Raised whenever the pixels of a view change."""

MIN_SIZE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnView:
    """A drawn photograph and what is known about it.

    `image` (H, W, 3) uint8; `keypoints` (18, 2) float32, x then y in [0, 1] of the view, outside
    that range when out of frame; `keypoint_valid` (18,) bool, False = out of frame or hidden;
    `regions` (H, W) uint8 of `Region`; `yaw` in degrees in [-180, 180), 0 = front, positive = the
    face turns to the right of the image; `side` is front, side or back; `framing` full or upper.
    """

    image: npt.NDArray[np.uint8]
    keypoints: npt.NDArray[np.float32]
    keypoint_valid: npt.NDArray[np.bool_]
    regions: npt.NDArray[np.uint8]
    yaw: float
    side: str
    framing: str


@lru_cache(maxsize=64)
def draw_looks(seed: int, identity: int) -> Looks:
    """Draw what all views of a person share: body, head and outfit."""
    body = draw_proportions(stream(seed, identity, Purpose.BODY))
    return Looks(
        body=body,
        head=draw_head(stream(seed, identity, Purpose.HEAD), male=body.male),
        outfit=draw_outfit(stream(seed, identity, Purpose.OUTFIT), male=body.male),
    )


def render_view(
    *,
    seed: int,
    identity: int,
    view: int,
    size: tuple[int, int],
    model: int | None = None,
    prints: bool = True,
) -> DrawnView:
    """Draw one view of a person; `size` is (H, W) in pixels.

    Eight consecutive views look from eight directions around the person, each in its own pose.
    `model`: another identity, who takes this one's pose in front of this one's camera; without
    `prints` chest and back are plain. Equal arguments give equal pixels in any order and process.
    Raises ConfigError for a negative number or a size below 16 pixels.
    """
    check_size(size)
    looks = draw_looks(seed, identity if model is None else model)
    if not prints:
        looks = replace(looks, outfit=without_prints(looks.outfit))
    pose = draw_pose(stream(seed, identity, Purpose.POSE, view))
    rng = stream(seed, identity, Purpose.CAMERA, view)
    start = stream(seed, identity, Purpose.CAMERA).uniform(-12.0, 12.0)
    yaw = start + _direction(view) + rng.uniform(-14.0, 14.0)
    framing = "upper" if rng.random() < 0.25 else "full"
    bones = pose_skeleton(looks.body, pose)
    mesh = dress(looks, bones, pose)
    camera = Camera(
        yaw=np.radians(yaw),
        pitch=rng.uniform(-0.03, 0.10),
        distance=rng.uniform(3.6, 5.5),
        height=rng.uniform(0.9, 1.3),
    )
    bottom = None
    if framing == "upper":
        bottom = float(bones.pelvis[1]) - rng.uniform(0.02, 0.20)
    camera = fit_camera(
        camera,
        mesh.vertices,
        size,
        fill=rng.uniform(0.90, 0.95),
        place=(rng.random(), rng.random()),
        bottom=bottom,
    )
    wall = draw_backdrop(
        stream(seed, identity, Purpose.STUDIO), stream(seed, identity, Purpose.BACKDROP, view)
    )
    return paint_person(looks, bones, mesh, camera, wall, size=size, framing=framing)


def _direction(view: int) -> float:
    """Nominal yaw in degrees: front, back and both sides first, then what lies between."""
    turns = (0.0, 180.0, 90.0, -90.0, 45.0, -135.0, -45.0, 135.0)
    return turns[view % 8] + 22.5 * (view // 8 % 2)


def check_size(size: tuple[int, int]) -> None:
    """Refuse an image too small to hold a person (ConfigError)."""
    if min(size) < MIN_SIZE:
        raise ConfigError(f"size {tuple(size)} is too small: height and width need {MIN_SIZE} px.")


def dress(looks: Looks, bones: Skeleton, pose: Pose) -> Mesh:
    """Build the dressed person's surface in a pose."""
    body, worn = looks.body, looks.outfit
    tubes: list[Tube] = [trunk(bones, body, 0.05 if worn.top.hem > 0.08 else 0.42)]
    # Skin far under cloth is left out: it costs time and could only show through by mistake.
    arm_steps = np.concatenate([SHOULDER_CAP, np.linspace(0.02, 1.04, 16)])
    if worn.top.sleeve > 0.0:
        arm_steps = np.linspace(worn.top.sleeve - 0.06, 1.04, 16)
    leg_steps = np.linspace(max(worn.bottom.length - 0.08, -0.05), 1.04, 18)
    for bone in bones.arms:
        outline = arm_outline(body, arm_steps)
        tubes.append(limb(bone, outline, arm_steps, part=Part.ARM, window=0.06))
    for bone in bones.legs:
        outline = leg_outline(body, leg_steps)
        tubes.append(limb(bone, outline, leg_steps, part=Part.ARM, window=0.07))
    tubes.extend(hands(bones, body))
    tubes.extend(head(bones, body))
    tubes.extend(hair(bones, body, looks.head))
    tubes.extend(outfit(bones, body, worn))
    if pose.seated:
        tubes.append(stool(bones))
    return build_mesh(tubes)


def paint_person(
    looks: Looks,
    bones: Skeleton,
    mesh: Mesh,
    camera: Camera,
    wall: Backdrop,
    *,
    size: tuple[int, int],
    framing: str,
) -> DrawnView:
    """Render a dressed person in front of a wall and find out which joints can be seen."""
    picture = shade(looks, mesh, camera, wall.light, size)
    contacts = np.stack([_on_floor(leg.end) for leg in bones.legs])
    scene = paint_backdrop(wall, camera, contacts, size)
    scene = scene * (1.0 - picture.coverage[..., None]) + picture.color
    keypoints = camera.project(bones.joints)
    yaw = (np.degrees(camera.yaw) + 180.0) % 360.0 - 180.0
    return DrawnView(
        image=np.clip(scene * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8),
        keypoints=(keypoints[:, :2] / [size[1], size[0]]).astype(np.float32),
        keypoint_valid=find_visible_joints(keypoints, picture.depth, size),
        regions=picture.regions,
        yaw=float(yaw),
        side=_side(float(yaw)),
        framing=framing,
    )


def _on_floor(point: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.array([point[0], 0.0, point[2]])


def _side(yaw: float) -> str:
    if abs(yaw) < 50.0:
        return "front"
    return "back" if abs(yaw) > 130.0 else "side"
