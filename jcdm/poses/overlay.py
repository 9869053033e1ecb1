"""A skeleton drawn over its photograph, to check by eye whether the joints sit where they should.

Body in the colours of pose maps, hands in yellow, the face in white.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jcdm.data.pose_files import StoredPose
from jcdm.data.pose_maps import draw_pose_map
from jcdm.data.strokes import SOFT_EDGE, Colour, fill_disc, fixed_point, pixel_centres

OPACITY = 0.65
OVERLAY_SUFFIX = ".png"
_HANDS, _FACE = (255, 210, 0), (255, 255, 255)
_SMALLEST_DOT, _DOT_PER_PIXEL = 1.6, 2 / 512  # radius; finer than in pose maps, to see the hand
_MARK = ("Software", "jcdm poses extract")


def draw_overlay(picture: Image.Image, pose: StoredPose) -> Image.Image:
    """Lay a pose, half transparent, over an RGB picture; joints with confidence 0 are left out."""
    pixels = np.asarray(picture.convert("RGB"))
    height, width = pixels.shape[:2]
    body = pose.keypoints
    drawn = draw_pose_map(body[:, :2], body[:, 2] > 0, height, width)
    if pose.hands is not None:
        _draw_dots(drawn, pose.hands.reshape(-1, 3), _HANDS)
    if pose.face is not None:
        _draw_dots(drawn, pose.face, _FACE)
    opacity = OPACITY * drawn.max(axis=-1, keepdims=True).astype(np.float32).clip(0, 128) / 128
    blended = pixels * (1 - opacity) + drawn * opacity
    return Image.fromarray(np.rint(blended).astype(np.uint8))


def save_overlay(path: Path, picture: Image.Image, pose: StoredPose) -> None:
    """Draw and write an overlay as PNG, whole or not at all, with a mark of whose it is."""
    mark = PngInfo()
    mark.add_text(*_MARK)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_overlay(picture, pose).save(partial, format="PNG", pnginfo=mark)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def is_overlay(path: Path) -> bool:
    """Tell a file of `save_overlay` from any other."""
    try:
        with Image.open(path) as picture:
            return picture.info.get(_MARK[0]) == _MARK[1]
    except (OSError, ValueError, SyntaxError):  # what Pillow raises for what it cannot read
        return False


def _draw_dots(canvas: np.ndarray, joints: np.ndarray, colour: Colour) -> None:
    """Draw seen joints (N,3), x and y in [0,1], as small discs on an RGB canvas (H,W,3)."""
    radius = max(_SMALLEST_DOT, _DOT_PER_PIXEL * max(canvas.shape)) - SOFT_EDGE
    for centre in fixed_point(pixel_centres(joints[joints[:, 2] > 0, :2], canvas)):
        fill_disc(canvas, centre, radius, colour)
