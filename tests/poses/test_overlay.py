"""A skeleton over a photograph: where it is seen, and where the photograph is left alone."""

import numpy as np
import pytest
from PIL import Image

from jcdm.data.pose_files import StoredPose
from jcdm.data.pose_maps import COLOURS
from jcdm.poses.overlay import draw_overlay

SIZE = (200, 160)  # width, height


def make_pose(**more: np.ndarray) -> StoredPose:
    joints = np.zeros((18, 3))
    joints[2], joints[3], joints[4] = (0.2, 0.2, 0.9), (0.5, 0.2, 0.8), (0.8, 0.8, 0.0)
    return StoredPose(keypoints=joints, size=(SIZE[1], SIZE[0]), **more)


def at(picture: Image.Image, x: float, y: float) -> np.ndarray:
    return np.asarray(picture, float)[int(y * SIZE[1]), int(x * SIZE[0])]


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_joints_shine_through_on_any_photograph(grey: int) -> None:
    photo = Image.new("RGB", SIZE, (grey,) * 3)
    drawn = draw_overlay(photo, make_pose())
    assert drawn.size == SIZE
    for joint, x in ((2, 0.2), (3, 0.5)):
        expected = 0.65 * np.array(COLOURS[joint]) + 0.35 * grey
        assert at(drawn, x, 0.2) == pytest.approx(expected, abs=2)
    limb = at(drawn, 0.35, 0.2)
    assert np.abs(limb - grey).max() > 40, "the limb is drawn too"


def test_what_is_not_seen_is_not_drawn_and_the_rest_is_untouched() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    drawn = np.asarray(draw_overlay(Image.fromarray(pixels), make_pose()))
    changed = np.argwhere((drawn != pixels).any(axis=-1))
    assert changed[:, 0].max() < 0.3 * SIZE[1] and changed[:, 1].max() < 0.6 * SIZE[0]


def test_hands_and_face_are_dots() -> None:
    hands, face = np.zeros((2, 21, 3)), np.zeros((68, 3))
    hands[1, 20], face[5] = (0.3, 0.8, 1), (0.9, 0.5, 1)
    hands[0, 0] = (5, 5, 1)  # outside the picture
    hands[0, 1] = (0.7, 0.8, 0)  # not seen
    drawn = draw_overlay(Image.new("RGB", SIZE), make_pose(hands=hands, face=face))
    assert at(drawn, 0.3, 0.8) == pytest.approx([0.65 * 255, 0.65 * 210, 0], abs=2)
    assert at(drawn, 0.9, 0.5) == pytest.approx([0.65 * 255] * 3, abs=2)
    assert not at(drawn, 0.7, 0.8).any()
    plain = draw_overlay(Image.new("RGB", SIZE), make_pose())
    assert not at(plain, 0.3, 0.8).any() and not at(plain, 0.9, 0.5).any()
