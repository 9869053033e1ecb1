"""Joints mirror with left and right exchanged, and missing ones cannot be taken for real ones."""

import numpy as np
import torch

from jcdm.data.keypoints import (
    FACE_FLIP_PERMUTATION,
    FLIP_PERMUTATION,
    HAND_EDGES,
    JOINT_NAMES,
    flatten_pose,
    flip_face,
    flip_hands,
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


def test_a_hand_is_five_fingers_of_four_bones_from_the_wrist():
    assert len(HAND_EDGES) == 20
    assert [edge for edge in HAND_EDGES if edge[0] == 0] == [(0, 1 + 4 * f) for f in range(5)]
    assert [end for _, end in HAND_EDGES] == list(range(1, 21))
    assert all(end == start + 1 for start, end in HAND_EDGES if start)


def test_mirrored_hands_change_places():
    hands = STREAM.random((2, 21, 3))
    given = hands.copy()
    flipped = flip_hands(hands)
    np.testing.assert_allclose(flipped[0, 4], [1 - hands[1, 4, 0], *hands[1, 4, 1:]])
    np.testing.assert_allclose(flipped[1, 20], [1 - hands[0, 20, 0], *hands[0, 20, 1:]])
    np.testing.assert_allclose(flip_hands(flipped), hands, atol=1e-15)
    np.testing.assert_array_equal(hands, given)


def test_a_symmetric_face_is_its_own_mirror_image():
    """Points of a face drawn by hand after the numbering of the 68 points, right half first."""
    jaw = [(x, 0.2 + 1.2 * (1 - x * x)) for x in np.linspace(-1, 1, 17)]
    brows = [(s * x, -0.5 - 0.1 * i % 3) for s, i, x in _brow()]
    bridge = [(0.0, y) for y in (-0.2, -0.1, 0.0, 0.1)]
    nostrils = [(x, 0.3 - 0.1 * abs(x)) for x in (-0.2, -0.1, 0.0, 0.1, 0.2)]
    right_eye = [(-0.7, 0.0), (-0.6, -0.1), (-0.4, -0.1), (-0.3, 0.0), (-0.4, 0.1), (-0.6, 0.1)]
    left_eye = [(0.3, 0.0), (0.4, -0.1), (0.6, -0.1), (0.7, 0.0), (0.6, 0.1), (0.4, 0.1)]
    outer = [(x, 0.7 - 0.1 * (0.5 - abs(x))) for x in (-0.5, -0.3, -0.1, 0.0, 0.1, 0.3, 0.5)]
    outer += [(x, 0.9 - 0.1 * abs(x)) for x in (0.3, 0.1, 0.0, -0.1, -0.3)]
    inner = [(x, 0.75 - 0.1 * (0.4 - abs(x))) for x in (-0.4, -0.1, 0.0, 0.1, 0.4)]
    inner += [(x, 0.8) for x in (0.1, 0.0, -0.1)]
    points = np.array(
        [*jaw, *brows, *bridge, *nostrils, *right_eye, *left_eye, *outer, *inner], float
    )
    face = np.column_stack([0.5 + points[:, 0] / 4, 0.5 + points[:, 1] / 4, np.ones(68)])
    assert len(np.unique(face, axis=0)) == 68, "equal points would hide a wrong permutation"
    np.testing.assert_allclose(flip_face(face), face, atol=1e-12)


def _brow() -> list[tuple[int, int, float]]:
    """Side, step from the outer end, and distance from the middle of the ten points of brows."""
    right = [(-1, step, 0.9 - 0.15 * step) for step in range(5)]
    return right + [(1, step, 0.9 - 0.15 * step) for step in range(4, -1, -1)]


def test_flipping_a_face_twice_changes_nothing():
    assert sorted(FACE_FLIP_PERMUTATION) == list(range(68))
    face = STREAM.random((68, 3))
    flipped = flip_face(face)
    np.testing.assert_array_equal(flipped[0, 1:], face[16, 1:])
    assert flipped[0, 0] == 1 - face[16, 0]
    np.testing.assert_allclose(flip_face(flipped), face, atol=1e-15)
