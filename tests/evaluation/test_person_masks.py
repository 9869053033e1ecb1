"""Masks made from joints cover the drawn person, and know when there is nothing to cover."""

import numpy as np
import pytest
from person_pairs import NOBODY, drawn, pose

from jcdm.data.keypoints import JOINT_NAMES, flip_keypoints
from jcdm.data.synthetic import Region
from jcdm.evaluation.person_scores.masks import face_circle, face_mask, garment_mask, person_mask
from jcdm.evaluation.person_scores.stature import PixelPose

PEOPLE = [(identity, view) for identity in range(3) for view in range(8)]
CLOTHES = (Region.TOP, Region.BOTTOM, Region.DRESS)


def standing(*without: str) -> np.ndarray:
    """A person who stands upright, 0.8 of a square picture tall, but for some joints."""
    places = {
        "nose": (0.50, 0.17),
        "neck": (0.50, 0.25),
        "right_shoulder": (0.40, 0.25),
        "right_elbow": (0.38, 0.40),
        "right_wrist": (0.37, 0.52),
        "right_hip": (0.45, 0.48),
        "right_knee": (0.45, 0.68),
        "right_ankle": (0.45, 0.88),
        "right_eye": (0.485, 0.155),
        "right_ear": (0.465, 0.16),
    }
    rows = []
    for name in JOINT_NAMES:
        x, y = places[name.replace("left", "right")]
        rows.append((1 - x if name.startswith("left") else x, y, name not in without))
    return np.array(rows, np.float32)


def shares(size: tuple[int, int], *, hidden: bool) -> np.ndarray:
    """Of every drawn person: share of the body that is covered, share of the mask on the body."""
    found = []
    for identity, view in PEOPLE:
        shown = drawn(identity, view, size)
        mask = person_mask(pose(shown, hidden=hidden), size)
        body = (shown.regions != Region.BACKGROUND) & (shown.regions != Region.PROP)
        assert mask is not None
        found.append(((mask & body).sum() / body.sum(), (mask & body).sum() / mask.sum()))
    return np.array(found)


@pytest.mark.parametrize("size", [(128, 96), (128, 64)])
def test_the_mask_covers_drawn_people_without_swallowing_the_picture(size: tuple[int, int]) -> None:
    recall, precision = shares(size, hidden=True).T
    assert recall.min() > 0.93 and recall.mean() > 0.97
    assert precision.min() > 0.45 and precision.mean() > 0.6


def test_joints_that_are_really_hidden_cost_little() -> None:
    recall, precision = shares((128, 96), hidden=False).T
    assert recall.mean() > 0.88 and recall.min() > 0.6 and precision.mean() > 0.6


def test_the_garment_mask_shows_clothes_and_the_face_mask_a_face() -> None:
    clothed, faces, backs = [], [], 0
    for identity, view in PEOPLE:
        shown = drawn(identity, view, (128, 96))
        joints = pose(shown, hidden=False)
        if (mask := garment_mask(joints, (128, 96))) is not None:
            clothed.append(np.isin(shown.regions[mask], CLOTHES).mean())
        if (face := face_mask(joints, (128, 96))) is None:
            backs += shown.side == "back"
        else:
            assert abs(shown.yaw) < 150
            faces.append(np.isin(shown.regions[face], (Region.SKIN, Region.HAIR)).mean())
    assert len(clothed) >= 23 and np.mean(clothed) > 0.7
    assert len(faces) >= 8 and np.mean(faces) > 0.75 and backs >= 5


def test_parts_lie_where_the_body_is() -> None:
    size = (200, 200)
    mask, clothes, face = (f(standing(), size) for f in (person_mask, garment_mask, face_mask))
    assert mask is not None and clothes is not None and face is not None
    hand, shin, crotch, corner = (108, 73), (160, 90), (165, 99), (2, 2)
    assert mask[hand] and mask[shin] and not mask[corner]
    assert not clothes[hand] and not clothes[shin] and clothes[75, 100]
    assert face[33, 100] and not clothes[33, 100] and not face[75, 100]
    assert (mask | clothes == mask).all() and (mask | face == mask).all()
    assert mask[crotch] and not mask[175, 150] and 0.1 < mask.mean() < 0.25


def test_an_arm_before_the_face_is_no_garment_there() -> None:
    joints = standing()
    joints[JOINT_NAMES.index("right_elbow"), :2] = (0.5, 0.16)
    clothes, face = garment_mask(joints, (200, 200)), face_mask(joints, (200, 200))
    assert clothes is not None and face is not None
    assert not (clothes & face).any() and clothes[42, 90]


def test_masks_grow_with_the_person_and_move_with_it() -> None:
    joints, size = standing(), (200, 200)
    small = joints.copy()
    small[:, :2] = 0.5 + (small[:, :2] - 0.5) / 2
    large_mask, small_mask = person_mask(joints, size), person_mask(small, size)
    assert large_mask is not None and small_mask is not None
    assert small_mask.sum() == pytest.approx(large_mask.sum() / 4, rel=0.08)
    xy, known = flip_keypoints(joints[:, :2], joints[:, 2])
    mirrored = person_mask(np.concatenate([xy, known[:, None]], 1), size)
    assert mirrored is not None and (mirrored[:, ::-1] ^ large_mask).mean() < 0.01


def test_hidden_joints_are_completed_only_where_documented() -> None:
    size = (200, 200)
    whole = person_mask(standing(), size)
    assert whole is not None

    def without(*names: str) -> np.ndarray:
        mask = person_mask(standing(*names), size)
        assert mask is not None
        return mask

    mirrored = without("left_shoulder", "left_elbow", "left_wrist")
    assert mirrored[55, 118] and not mirrored[100, 124]
    assert without("right_hip", "left_hip")[90, 100]
    assert without("nose", "right_eye", "left_eye", "right_ear", "left_ear")[30, 100]
    hidden_leg = without("right_knee", "right_ankle")
    assert not hidden_leg[128, 88] and hidden_leg[128, 112]
    joints = standing("right_knee", "left_knee", "right_ankle", "left_ankle")
    joints[:, 1] *= 1.9
    cropped = person_mask(joints, size)
    assert cropped is not None and cropped[199, 90] and cropped[199, 110]


def test_one_wild_joint_does_not_swallow_the_picture() -> None:
    joints = standing()
    joints[JOINT_NAMES.index("right_wrist"), :2] = (-40.0, 60.0)
    mask = person_mask(joints, (200, 200))
    assert mask is not None and mask.mean() < 0.3


@pytest.mark.parametrize("far", [1e3, 1e6, -1e6])
def test_a_pose_far_away_is_drawn_without_an_accident(far: float) -> None:
    joints = standing()
    joints[2:14, :2] *= far
    for find in (person_mask, garment_mask, face_mask):
        mask = find(joints, (60, 40))
        assert mask is None or mask.shape == (60, 40)


def test_there_is_no_mask_without_joints() -> None:
    size = (60, 40)
    lone = NOBODY.copy()
    lone[4] = (0.5, 0.5, 1)
    for joints in (NOBODY, lone):
        assert person_mask(joints, size) is None and garment_mask(joints, size) is None
        assert face_mask(joints, size) is None and face_circle(joints, size) is None
    outside = standing()
    outside[:, 0] += 5
    assert person_mask(outside, size) is None
    assert face_mask(standing("nose"), size) is None
    assert face_mask(standing("right_eye", "left_eye"), size) is None
    assert face_mask(standing("right_eye", "right_ear"), size) is not None
    only_arm = standing(*(n for n in JOINT_NAMES if n not in ("right_elbow", "right_wrist")))
    assert person_mask(only_arm, size) is not None and garment_mask(only_arm, size) is None


def test_stature_is_the_second_longest_limb_in_average_lengths() -> None:
    joints = NOBODY.copy()
    for name, x, y in [("neck", 0.5, 0.2), ("nose", 0.5, 0.1), ("right_shoulder", 0.3, 0.2)]:
        joints[JOINT_NAMES.index(name)] = (x, y, 1)
    body = PixelPose.measure(joints, (100, 200))
    assert body is not None
    assert body.stature == pytest.approx(min(10 / 0.110, 40 / 0.129), rel=1e-5)
    np.testing.assert_allclose(body.find("left_wrist", "neck"), [[99.5, 19.5]], rtol=1e-6)
    joints[0, 2] = 0
    alone = PixelPose.measure(joints, (100, 200))
    assert alone is not None and alone.stature == pytest.approx(40 / 0.129, rel=1e-5)
