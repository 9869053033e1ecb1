"""Joints read back from drawings: our own, JPEG copies, drawings with hands, real ones."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from jcdm.data.pose_maps import COLOURS, LIMBS, draw_pose_map
from jcdm.data.pose_reading import is_pose_map, read_pose_map
from jcdm.errors import DataError

STANDING = np.array(
    [
        *((0.50, 0.12), (0.50, 0.22), (0.40, 0.22), (0.36, 0.38), (0.33, 0.52)),
        *((0.60, 0.22), (0.64, 0.38), (0.68, 0.52), (0.44, 0.52), (0.43, 0.72), (0.42, 0.92)),
        *((0.56, 0.52), (0.57, 0.72), (0.58, 0.92)),
        *((0.46, 0.07), (0.54, 0.07), (0.40, 0.11), (0.60, 0.11)),
    ],
    np.float32,
)
ALL = np.ones(18, bool)


def drawn(valid: np.ndarray = ALL, size: tuple[int, int] = (512, 384)) -> Image.Image:
    return Image.fromarray(draw_pose_map(STANDING, valid, *size))


def as_jpeg(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=92)
    return Image.open(buffer)


def assert_close(picture: Image.Image, valid: np.ndarray, pixels: float) -> None:
    found, seen = read_pose_map(picture, "map")
    assert (seen == valid).all()
    gap = np.abs(found - STANDING)[valid] * picture.size
    assert gap.max() < pixels


@pytest.mark.parametrize("size", [(512, 384), (1024, 1024), (256, 176)])
def test_our_own_drawing_is_read_back(size: tuple[int, int]) -> None:
    assert_close(drawn(size=size), ALL, 1.0)


def test_a_compressed_drawing_is_read_back() -> None:
    assert_close(as_jpeg(drawn(size=(1024, 768))), ALL, 2.0)


def test_joints_that_were_not_drawn_stay_missing() -> None:
    valid = ALL.copy()
    valid[[4, 10, 13, 16]] = False
    assert_close(drawn(valid), valid, 1.0)


def test_discs_of_a_hand_are_no_knee() -> None:
    """Hands are drawn with discs in the colour of the left knee."""
    valid = ALL.copy()
    valid[[12, 13]] = False
    pixels = np.asarray(drawn(valid)).copy()
    for x in (250, 262, 275):
        cv2.line(pixels, (255, 265), (x, 290), (0, 100, 160), 2)
        cv2.circle(pixels, (x, 290), 4, COLOURS[12], -1)
    assert_close(Image.fromarray(pixels), valid, 1.0)


def test_photographs_and_blank_pictures_are_no_pose_maps() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert not is_pose_map(Image.fromarray(noise))
    black = Image.new("RGB", (64, 64))
    assert not is_pose_map(black)
    assert is_pose_map(drawn())
    with pytest.raises(DataError, match="blank: found 0 joints in this pose map"):
        read_pose_map(black, "blank")


def test_real_renderings_with_hands_are_read() -> None:
    named = os.environ.get("JCDM_PROTOCOL_DIR")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "protocol"
    maps = sorted((folder / "dwpose_maps").glob("*.png"))
    if not maps:
        pytest.skip("no real pose maps beside the checkout; name a folder by JCDM_PROTOCOL_DIR")
    for path in maps:
        picture = Image.open(path).convert("RGB")
        assert is_pose_map(picture)
        keypoints, valid = read_pose_map(picture, path.name)
        assert valid.sum() >= 12
        pixels = np.asarray(picture).max(axis=-1)
        limbs = [limb for limb in LIMBS if valid[list(limb)].all()]
        points = [np.linspace(keypoints[a], keypoints[b], 50) * picture.size for a, b in limbs]
        columns, rows = np.concatenate(points).astype(int).T
        assert (pixels[rows, columns] > 40).mean() > 0.97, path.name
