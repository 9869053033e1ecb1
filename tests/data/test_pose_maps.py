"""A pose map shows each valid joint and limb in its colour, at any size."""

import statistics
import time

import cv2
import numpy as np
import pytest
from golden_poses import GoldenPose, golden_names, golden_pose
from slow_pose_map import Shape, disc, ellipse, slow_map

from jcdm.data.keypoints import FLIP_PERMUTATION, flip_keypoints
from jcdm.data.pose_maps import COLOURS, LIMBS, draw_pose_map

KEYPOINTS = np.random.default_rng(3).uniform(0.1, 0.9, (18, 2))
ALL = np.ones(18, dtype=bool)


def only(*joints: int) -> np.ndarray:
    return np.isin(np.arange(18), joints)


def test_seventeen_limbs_join_all_joints_into_one_person():
    assert len(LIMBS) == 17
    reached = {1}
    for _ in LIMBS:
        reached |= {j for limb in LIMBS for j in limb if reached & set(limb)}
    assert reached == set(range(18))


def test_the_rainbow_has_the_well_known_ends():
    assert len(set(COLOURS)) == 18
    assert (COLOURS[0], COLOURS[1], COLOURS[12]) == ((255, 0, 0), (255, 85, 0), (0, 0, 255))


@pytest.mark.parametrize(("side", "diameter"), [(128, 2.5), (256, 4), (512, 8)])
@pytest.mark.parametrize("joint", [0, 4, 17])
def test_a_single_joint_is_a_disc_of_its_colour_at_its_place(joint, side, diameter):
    keypoints = np.full((18, 2), 0.5)
    keypoints[joint] = (0.25, 0.75)
    drawn = draw_pose_map(keypoints, only(joint), side, side)
    assert drawn.shape == (side, side, 3) and drawn.dtype == np.uint8
    assert drawn[side * 3 // 4, side // 4].tolist() == list(COLOURS[joint])
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert (rows.mean() + 0.5) / side == pytest.approx(0.75, abs=0.002)
    assert (columns.mean() + 0.5) / side == pytest.approx(0.25, abs=0.002)
    area = drawn.max(axis=2).sum() / max(COLOURS[joint])  # a pixel of the smooth edge counts less
    assert 2 * np.sqrt(area / np.pi) == pytest.approx(diameter, abs=0.4)


def test_a_limb_is_dimmed_and_lies_between_its_joints():
    keypoints = np.full((18, 2), 0.5)
    keypoints[2], keypoints[3] = (0.2, 0.5), (0.8, 0.5)
    drawn = draw_pose_map(keypoints, only(2, 3), 256, 256)
    colour = COLOURS[LIMBS.index((2, 3))]
    np.testing.assert_allclose(drawn[128, 128], [0.6 * c for c in colour], atol=1)
    assert not drawn[120].any() and not drawn[128, 230:].any()


def test_missing_joints_and_their_limbs_are_not_drawn():
    assert not draw_pose_map(KEYPOINTS, np.zeros(18, dtype=bool), 64, 64).any()
    without_neck = draw_pose_map(KEYPOINTS, ALL & ~only(1), 64, 64)
    assert (without_neck != draw_pose_map(KEYPOINTS, ALL, 64, 64)).any()
    moved = KEYPOINTS.copy()
    moved[1] = 0.0
    np.testing.assert_array_equal(draw_pose_map(moved, ALL & ~only(1), 64, 64), without_neck)


def test_limbs_are_two_to_three_pixels_wide_at_small_sizes():
    keypoints = np.full((18, 2), 0.5)
    keypoints[2], keypoints[3] = (0.1, 0.5), (0.9, 0.5)
    column = draw_pose_map(keypoints, only(2, 3), 128, 96)[:, 48].astype(float)
    width = column.sum() / (0.6 * sum(COLOURS[LIMBS.index((2, 3))]))
    assert 2.0 <= width <= 3.2


def test_a_drawing_follows_the_size():
    small, large = (draw_pose_map(KEYPOINTS, ALL, s, s).astype(float) for s in (512, 1024))
    halved = large.reshape(512, 2, 512, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - halved).mean() < 1.0


def test_a_limb_to_a_joint_outside_is_drawn_up_to_the_border():
    keypoints = np.full((18, 2), 0.5)
    keypoints[3] = (1.5, 0.5)
    drawn = draw_pose_map(keypoints, only(2, 3), 64, 64)
    assert drawn[32, 62].any()


def test_wild_coordinates_do_no_harm():
    wild = KEYPOINTS.copy()
    wild[4] = (1e300, -1e300)
    assert draw_pose_map(wild, ALL, 32, 32).any()


def test_a_mirrored_pose_has_left_colours_on_the_right_arm():
    drawn = draw_pose_map(KEYPOINTS, only(2, 3, 4), 128, 128)
    mirrored = draw_pose_map(*flip_keypoints(KEYPOINTS, only(2, 3, 4)), 128, 128)
    assert (drawn.any(axis=2)[:, ::-1] == mirrored.any(axis=2)).mean() > 0.99
    left = draw_pose_map(*flip_keypoints(*flip_keypoints(KEYPOINTS, only(2, 3, 4))), 128, 128)
    np.testing.assert_array_equal(left, drawn)
    row, column = np.argwhere(mirrored.max(axis=2) == 255)[0]
    assert tuple(mirrored[row, column]) in (COLOURS[5], COLOURS[6], COLOURS[7])


@pytest.mark.parametrize("name", golden_names(details=False))
def test_a_body_is_drawn_as_it_always_was(name: str) -> None:
    pose = golden_pose(name)
    np.testing.assert_array_equal(draw_pose_map(pose.keypoints, pose.valid, *pose.size), pose.drawn)


def body_shapes(pose: GoldenPose) -> list[Shape]:
    radius = max(1.25, 4 / 512 * max(pose.size))
    shapes = []
    for (start, end), colour in zip(LIMBS, COLOURS, strict=False):
        if pose.valid[start] and pose.valid[end]:
            distance = ellipse(pose.keypoints[start], pose.keypoints[end], radius, pose.size)
            shapes.append(Shape(distance=distance, colour=tuple(0.6 * c for c in colour)))
    for joint in np.flatnonzero(pose.valid):
        distance = disc(pose.keypoints[joint], radius, pose.size)
        shapes.append(Shape(distance=distance, colour=COLOURS[joint]))
    return shapes


@pytest.mark.parametrize("name", golden_names(details=False))
def test_every_pixel_away_from_an_edge_has_the_colour_of_the_topmost_shape(name: str) -> None:
    pose = golden_pose(name)
    drawn = draw_pose_map(pose.keypoints, pose.valid, *pose.size)
    colours, certain = slow_map(body_shapes(pose), pose.size)
    np.testing.assert_allclose(drawn[certain], colours[certain], atol=10)
    assert certain.mean() > 0.6
    assert min(pose.size) < 256 or colours[certain].any(axis=1).sum() > 200


def test_a_mirrored_person_has_the_colours_of_left_and_right_exchanged() -> None:
    pose = golden_pose("front_512x384")
    drawn = draw_pose_map(pose.keypoints, pose.valid, *pose.size)[:, ::-1]
    mirrored = draw_pose_map(*flip_keypoints(pose.keypoints, pose.valid), *pose.size)
    limbs = [LIMBS.index((FLIP_PERMUTATION[a], FLIP_PERMUTATION[b])) for a, b in LIMBS]
    exchanged = np.full_like(drawn, 1)  # a mixed colour, of which the drawing has none unmixed
    exchanged[(drawn == 0).all(axis=2)] = 0
    for mine, other in [*enumerate(FLIP_PERMUTATION)]:
        exchanged[(drawn == COLOURS[mine]).all(axis=2)] = COLOURS[other]
    for mine, other in enumerate(limbs):
        exchanged[(drawn == np.rint(0.6 * np.array(COLOURS[mine]))).all(axis=2)] = np.rint(
            0.6 * np.array(COLOURS[other])
        )
    unmixed = (exchanged != 1).all(axis=2)
    same = np.abs(exchanged.astype(int) - mirrored).max(axis=2) <= 1
    assert unmixed.mean() > 0.95 and (unmixed & exchanged.any(axis=2)).sum() > 1500
    # The smooth edges of a mirrored shape may differ by a pixel; no limb may.
    assert same[unmixed & exchanged.any(axis=2)].mean() > 0.99


def test_five_hundred_maps_a_second_on_one_core() -> None:
    pose = golden_pose("front_256")
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        seconds = []
        for _ in range(5):
            start = time.process_time()
            for _ in range(50):
                draw_pose_map(pose.keypoints, pose.valid, 256, 256)
            seconds.append((time.process_time() - start) / 50)
    finally:
        cv2.setNumThreads(threads)
    assert statistics.median(seconds) < 1 / 500
