"""Hands are rainbows of thin lines under blue discs, faces white discs, both above the body."""

import numpy as np
import pytest
from golden_poses import GoldenPose, golden_names, golden_pose
from PIL import Image
from slow_pose_map import Shape, bar, disc, slow_map

from jcdm.data.keypoints import HAND_EDGES, flip_face, flip_hands, flip_keypoints
from jcdm.data.pose_details import HAND_COLOURS
from jcdm.data.pose_maps import draw_pose_map
from jcdm.data.pose_reading import read_pose_map
from jcdm.errors import DataError

NO_BODY = (np.zeros((18, 2)), np.zeros(18, bool))
SURE = 0.3


def draw(pose: GoldenPose) -> np.ndarray:
    body = (pose.keypoints, pose.valid)
    return draw_pose_map(*body, *pose.size, hands=pose.hands, face=pose.face, min_confidence=SURE)


def draw_alone(pose: GoldenPose, **details: np.ndarray | None) -> np.ndarray:
    return draw_pose_map(*NO_BODY, *pose.size, min_confidence=SURE, **details)


@pytest.mark.parametrize("name", golden_names(details=True))
def test_hands_and_face_are_drawn_as_they_always_were(name: str) -> None:
    pose = golden_pose(name)
    np.testing.assert_array_equal(draw(pose), pose.drawn)


@pytest.mark.parametrize("name", golden_names(details=True))
def test_every_pixel_away_from_an_edge_has_the_colour_of_the_topmost_shape(name: str) -> None:
    pose = golden_pose(name)
    assert pose.hands is not None and pose.face is not None
    radius, shapes = max(1.25, max(pose.size) / 128), []
    for hand in pose.hands:
        seen = hand[:, 2] >= SURE
        for number, (start, end) in enumerate(HAND_EDGES):
            if seen[start] and seen[end]:
                line = bar(hand[start, :2], hand[end, :2], radius / 2, pose.size)
                shapes.append(Shape(distance=line, colour=HAND_COLOURS[number]))
        shapes += [
            Shape(distance=disc(point[:2], radius, pose.size), colour=(0, 0, 255))
            for point in hand[seen]
        ]
    shapes += [
        Shape(distance=disc(point[:2], 0.75 * radius, pose.size), colour=(255, 255, 255))
        for point in pose.face[pose.face[:, 2] >= SURE]
    ]
    drawn = draw_alone(pose, hands=pose.hands, face=pose.face)
    colours, certain = slow_map(shapes, pose.size)
    np.testing.assert_allclose(drawn[certain], colours[certain], atol=10)
    assert certain.mean() > 0.8
    assert max(pose.size) < 512 or colours[certain].any(axis=1).sum() > 300


@pytest.mark.parametrize(("side", "width"), [(128, 1.6), (256, 1.6), (512, 2.0), (1024, 4.0)])
def test_lines_of_hands_have_their_width_and_the_rainbow(side: int, width: float) -> None:
    hands = np.zeros((2, 21, 3))
    for edge, (start, end) in enumerate(HAND_EDGES):
        hands[:] = 0
        hands[0, start], hands[0, end] = (0.1, 0.5, 1), (0.9, 0.5, 1)
        drawn = draw_pose_map(*NO_BODY, side, side, hands=hands)
        middle = drawn[:, side // 2].astype(float)
        colour = np.array(HAND_COLOURS[edge])
        assert middle.sum() / colour.sum() == pytest.approx(width, abs=0.4)
        np.testing.assert_allclose(
            middle / middle.max(), middle.max(1)[:, None] / middle.max() * colour / 255, atol=0.02
        )
    assert HAND_COLOURS[0] == (255, 0, 0) and len(set(HAND_COLOURS)) == 20


@pytest.mark.parametrize(("side", "diameter"), [(128, 1.875), (256, 3.0), (512, 6.0)])
def test_a_face_point_is_a_white_disc(side: int, diameter: float) -> None:
    face = np.zeros((68, 3))
    face[30] = (0.25, 0.75, 0.01)
    drawn = draw_pose_map(*NO_BODY, side, side, face=face)
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert (drawn[..., 0] == drawn[..., 1]).all() and (drawn[..., 1] == drawn[..., 2]).all()
    assert (rows.mean() + 0.5) / side == pytest.approx(0.75, abs=0.003)
    assert (columns.mean() + 0.5) / side == pytest.approx(0.25, abs=0.003)
    assert 2 * np.sqrt(drawn[..., 0].sum() / 255 / np.pi) == pytest.approx(diameter, abs=0.8)


def test_points_below_the_confidence_asked_for_are_not_drawn() -> None:
    pose = golden_pose("details_256")
    assert pose.hands is not None and pose.face is not None
    hands, face = pose.hands.copy(), pose.face.copy()
    hands[..., 2], face[..., 2] = 0.5, 0.5
    hands[0, 4, 2], face[8, 2] = 0.4, 0.4
    size = pose.size
    all_points = draw_pose_map(*NO_BODY, *size, hands=hands, face=face, min_confidence=0.4)
    surer = draw_pose_map(*NO_BODY, *size, hands=hands, face=face, min_confidence=0.41)
    unseen_hands, unseen_face = hands.copy(), face.copy()
    unseen_hands[0, 4] = unseen_face[8] = (0.5, 0.5, 0)
    unseen = draw_pose_map(*NO_BODY, *size, hands=unseen_hands, face=unseen_face)
    assert (all_points != surer).any()
    np.testing.assert_array_equal(surer, unseen)
    assert not draw_pose_map(
        *NO_BODY, *size, hands=np.zeros((2, 21, 3)), face=np.zeros((68, 3))
    ).any()


def test_a_mirrored_pose_with_details_is_the_mirrored_picture() -> None:
    pose = golden_pose("details_512x384")
    assert pose.hands is not None and pose.face is not None
    drawn = draw_alone(pose, hands=pose.hands, face=pose.face)[:, ::-1].astype(int)
    mirrored = draw_alone(pose, hands=flip_hands(pose.hands), face=flip_face(pose.face))
    assert np.abs(drawn - mirrored).mean() < 0.05
    assert (np.abs(drawn - mirrored).max(axis=2) > 128).mean() < 1e-3
    left = draw_alone(pose, hands=pose.hands * [[[1]], [[0]]])[:, ::-1].astype(int)
    as_right = flip_hands(pose.hands) * [[[0]], [[1]]]
    assert np.abs(left - draw_alone(pose, hands=as_right)).mean() < 0.05


def test_the_body_of_a_map_with_details_is_still_read_back() -> None:
    pose = golden_pose("details_512x384")
    whole = Image.fromarray(draw(pose))
    keypoints, valid = read_pose_map(whole, "whole")
    limbs = [2, 3, 5, 6, *range(8, 14)]  # the rest is hidden by discs of hands and face
    assert valid[limbs].all()
    away = np.abs(keypoints - pose.keypoints)[limbs] * pose.size[::-1]
    assert away.max() < 3
    flipped, _ = flip_keypoints(keypoints, valid)
    assert np.abs(flipped - keypoints).max() > 0.1


@pytest.mark.parametrize(
    "details", [{"hands": np.zeros((21, 3))}, {"face": np.zeros((70, 3))}], ids=["hands", "face"]
)
def test_another_number_of_points_is_refused_in_one_line(details: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError, match=r"found (hands|face) of shape .* expected \("):
        draw_pose_map(*NO_BODY, 32, 32, **details)
