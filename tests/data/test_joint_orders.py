"""Joints of other detectors in our order: every name where it belongs, the neck made up."""

import numpy as np
import pytest

from jcdm.data.joint_orders import to_openpose_18
from jcdm.data.keypoints import JOINT_NAMES, flip_keypoints
from jcdm.errors import DataError

COCO = (
    *("nose", "left eye", "right eye", "left ear", "right ear", "left shoulder"),
    *("right shoulder", "left elbow", "right elbow", "left wrist", "right wrist", "left hip"),
    *("right hip", "left knee", "right knee", "left ankle", "right ankle"),
)
BODY_25 = (
    *("nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder"),
    *("left elbow", "left wrist", "middle hip", "right hip", "right knee", "right ankle"),
    *("left hip", "left knee", "left ankle", "right eye", "left eye", "right ear", "left ear"),
    *("left big toe", "left small toe", "left heel", "right big toe", "right small toe"),
    "right heel",
)
ORDERS = {17: COCO, 25: BODY_25, 133: (*COCO, *(f"more {i}" for i in range(116)))}


def joints(count: int) -> np.ndarray:
    return np.random.default_rng(count).random((count, 3))


@pytest.mark.parametrize("count", ORDERS)
def test_every_joint_stands_where_its_name_does(count: int) -> None:
    given = joints(count)
    found = to_openpose_18(given)
    names = [name.replace("_", " ") for name in JOINT_NAMES]
    assert set(names) - {"neck"} <= set(ORDERS[count])
    for place, name in enumerate(names):
        if name in ORDERS[count]:
            assert np.array_equal(found[place], given[ORDERS[count].index(name)]), name


@pytest.mark.parametrize("count", [17, 133])
def test_the_neck_is_between_the_shoulders_and_no_surer_than_they(count: int) -> None:
    given = joints(count)
    left, right = given[5], given[6]
    neck = to_openpose_18(given)[1]
    assert neck[:2] == pytest.approx((left[:2] + right[:2]) / 2)
    assert neck[2] == min(left[2], right[2])
    given[6, 2] = 0
    assert to_openpose_18(given)[1, 2] == 0


def test_a_mirrored_picture_gives_mirrored_joints() -> None:
    given = joints(17)
    mirrored = given.copy()
    mirrored[:, 0] = 1 - mirrored[:, 0]
    swap = [COCO.index(_other_side(name)) for name in COCO]
    found = to_openpose_18(mirrored[swap])
    seen = np.ones(18, bool)
    expected, _ = flip_keypoints(to_openpose_18(given)[:, :2], seen)
    assert found[:, :2] == pytest.approx(expected)


def _other_side(name: str) -> str:
    sides = {"left": "right", "right": "left"}
    first, _, rest = name.partition(" ")
    return f"{sides[first]} {rest}" if first in sides else name


def test_our_own_order_is_left_as_it_is() -> None:
    given = joints(18)
    assert np.array_equal(to_openpose_18(given), given)


@pytest.mark.parametrize("shape", [(16, 3), (17, 2), (25,), (0, 3)])
def test_another_order_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="found joints of shape"):
        to_openpose_18(np.zeros(shape))
