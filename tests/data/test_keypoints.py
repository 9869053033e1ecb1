"""Joints mirror with left and right exchanged, and missing ones cannot be taken for real ones."""

import numpy as np
import torch

from jcdm.data.keypoints import (
    FLIP_PERMUTATION,
    JOINT_NAMES,
    flatten_pose,
    flip_keypoints,
    keep_in_frame,
)

STREAM = np.random.default_rng(0)


def test_the_permutation_exchanges_left_and_right_names():
    def swap(name: str) -> str:
        side, _, joint = name.partition("_")
        return {"left": f"right_{joint}", "right": f"left_{joint}"}.get(side, name)

    assert [JOINT_NAMES[joint] for joint in FLIP_PERMUTATION] == [swap(n) for n in JOINT_NAMES]


def test_a_mirrored_right_wrist_is_a_left_wrist():
    keypoints, valid = np.zeros((18, 2)), np.zeros(18, dtype=bool)
    keypoints[4], valid[4] = (0.2, 0.7), True
    flipped, still_valid = flip_keypoints(keypoints, valid)
    np.testing.assert_allclose(flipped[7], (0.8, 0.7))
    assert np.flatnonzero(still_valid).tolist() == [7]


def test_flipping_twice_changes_nothing():
    keypoints, valid = STREAM.random((18, 2)), STREAM.random(18) < 0.5
    twice, valid_twice = flip_keypoints(*flip_keypoints(keypoints, valid))
    np.testing.assert_allclose(twice, keypoints, atol=1e-15)
    np.testing.assert_array_equal(valid_twice, valid)


def test_flatten_puts_x_before_y_and_minus_one_for_missing():
    keypoints = torch.arange(2 * 3 * 18 * 2).view(2, 3, 18, 2) / 1000
    valid = torch.ones(2, 3, 18, dtype=torch.bool)
    valid[1, 2, 5] = False
    pose = flatten_pose(keypoints, valid)
    assert pose.shape == (2, 3, 36)
    assert pose[0, 0, :4].tolist() == keypoints[0, 0, :2].flatten().tolist()
    assert pose[1, 2, 10:12].tolist() == [-1, -1]
    assert (pose == -1).sum() == 2


def test_joints_outside_the_frame_are_dropped():
    keypoints, valid = np.full((18, 2), 0.5), np.ones(18, dtype=bool)
    keypoints[0], keypoints[1], keypoints[2] = (-0.1, 0.5), (0.5, 1.1), (0, 1)
    valid[9] = False
    assert np.flatnonzero(~keep_in_frame(keypoints, valid)).tolist() == [0, 1, 9]
