"""A fitted sequence has the reference's bones, size and place, and the driving one's motion."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_bodies import FAR, SIZE, body, pixels, see, standing, walking

from jcdm.data.pose_files import StoredPose
from jcdm.data.synthetic.camera import Camera
from jcdm.errors import ConfigError, DataError
from jcdm.poses.proportions import (
    BONES,
    MID_HIP,
    BoneRatio,
    PixelPoses,
    bone_lengths,
    compare_bones,
    pixel_poses,
)
from jcdm.poses.retarget import describe_fit, retarget

FRONT = [0.0] * 12
TURNING = list(np.linspace(-1.2, 1.2, 12))
STREAM = np.random.default_rng(7)


def hide(pose: StoredPose, *joints: int) -> StoredPose:
    keypoints = pose.keypoints.copy()
    keypoints[list(joints)] = 0
    return replace(pose, keypoints=keypoints)


def stretch(pose: StoredPose, factor: float, shift: tuple[float, float] = (0, 0)) -> StoredPose:
    """Scale a picture, and move the pose in it by pixels."""
    assert pose.size is not None
    size = (round(pose.size[0] * factor), round(pose.size[1] * factor))
    keypoints = pose.keypoints.copy()
    keypoints[:, :2] = (pixels(pose) * factor + shift) / size[::-1]
    return replace(pose, keypoints=keypoints, size=size)


def with_details(pose: StoredPose) -> StoredPose:
    return replace(
        pose,
        hands=np.column_stack([STREAM.random((42, 2)), np.full(42, 0.5)]).reshape(2, 21, 3),
        face=np.column_stack([STREAM.random((68, 2)), np.full(68, 0.5)]),
    )


def all_lengths(poses: list[StoredPose]) -> np.ndarray:
    """Lengths (F,bones) in pixels, written apart from `bone_lengths`."""
    lengths = []
    for pose in poses:
        points = np.vstack([pixels(pose), (pixels(pose)[8] + pixels(pose)[11]) / 2])
        pairs = [pair for sides in BONES.values() for pair in sides]
        lengths.append([np.hypot(*(points[end] - points[start])) for start, end in pairs])
    return np.array(lengths)


@pytest.mark.parametrize("turns", [FRONT, TURNING], ids=["front", "turning"])
def test_a_sequence_fitted_to_another_body_is_that_bodys_own_sequence(turns: list[float]) -> None:
    other = walking(body(1), turns)
    fitted = retarget(walking(body(4), turns), other)
    before, after = all_lengths(walking(body(4), turns)), all_lengths(list(fitted.poses))
    wanted = all_lengths(other)
    off = np.abs(before - wanted).mean(axis=0) / wanted.mean(axis=0)
    assert off.max() > 0.15, "the two bodies differ"
    assert np.abs(after - wanted).max() < 3.0  # pixels of a body of 270
    assert np.abs(after - wanted).mean() < 0.5
    away = [np.hypot(*(pixels(a) - pixels(b)).T) for a, b in zip(fitted.poses, other, strict=True)]
    assert np.mean(away) < 2.5 and np.max(away) < 8


def test_one_photograph_is_enough_to_have_its_bone_lengths() -> None:
    reference = see(body(1), standing(), FAR.turned(0.1))
    fitted = retarget(walking(body(4), FRONT), [reference])
    after = all_lengths(list(fitted.poses))
    wanted = all_lengths(walking(body(1), FRONT))
    assert np.abs(after - wanted).mean(axis=0).max() < 1.6  # pixels of a body of 270
    assert {ratio.source for ratio in fitted.bones.values()} == {"measured"}
    assert fitted.poses[0].size == SIZE and fitted.standing_on == "feet"


def test_a_sequence_fitted_to_itself_stays_as_it_is() -> None:
    near = Camera(yaw=0.0, pitch=0.1, distance=4.0, height=1.0, scale=150.0, offset=(150.0, 200.0))
    walk = [with_details(pose) for pose in walking(body(4), TURNING, near)]
    walk[3], walk[5] = hide(walk[3], 4, 11), hide(walk[5], 1, 2)
    walk[8] = hide(walk[8], *range(18))
    fitted = retarget(walk, walk)
    assert fitted.scale == pytest.approx(1)
    for frame, (pose, given) in enumerate(zip(fitted.poses, walk, strict=True)):
        np.testing.assert_allclose(pose.keypoints, given.keypoints, atol=1e-6)
        assert pose.hands is not None and given.hands is not None and given.face is not None
        if frame not in (3, 8):  # without wrist, no hand
            np.testing.assert_allclose(pose.hands, given.hands, atol=1e-6)
            np.testing.assert_allclose(pose.face, given.face, atol=1e-6)
    hands = fitted.poses[3].hands
    assert hands is not None and not hands[1].any() and hands[0].any()
    assert not fitted.poses[8].keypoints.any()


def test_the_size_and_place_of_the_driving_person_do_not_matter() -> None:
    walk, reference = walking(body(4), TURNING), [see(body(1), standing())]
    plain = retarget(walk, reference)
    moved = retarget([stretch(pose, 1.5, (37, -21)) for pose in walk], reference)
    assert moved.scale == pytest.approx(plain.scale / 1.5)
    assert moved.num_outside == plain.num_outside == 0
    for one, other in zip(plain.poses, moved.poses, strict=True):
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-9)


def test_the_fitted_sequence_follows_the_reference() -> None:
    walk, reference = walking(body(4), TURNING), see(body(1), standing())
    plain = retarget(walk, [reference])
    moved = retarget(walk, [stretch(reference, 2.0, (11, -7))])
    for one, other in zip(plain.poses, moved.poses, strict=True):
        np.testing.assert_allclose(2 * pixels(one) + (11, -7), pixels(other), atol=1e-6)
        assert other.size == (800, 600)
    aside = retarget(walk, [stretch(reference, 1.0, (1000, 0))])
    assert aside.num_outside == 12 * 18


def test_frames_of_another_shape_are_not_stretched() -> None:
    walk, reference = walking(body(4), FRONT), see(body(1), standing())
    wide = [replace(p, size=(400, 900), keypoints=p.keypoints * (1 / 3, 1, 1)) for p in walk]
    for one, other in zip(
        retarget(walk, [reference]).poses, retarget(wide, [reference]).poses, strict=True
    ):
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-9)


def test_steps_and_jumps_are_kept_in_the_scale_of_the_body() -> None:
    still = see(body(4), standing())
    ways = np.array([(0, 0), (8, 0), (16, 0), (24, -30), (32, 0), (40, 0), (48, 0)])
    walk = [stretch(still, 1.0, (x, y)) for x, y in ways]
    reference = see(body(1), standing(), replace(FAR, scale=240.0))
    fitted = retarget(walk, [reference])
    feet = np.array([pixels(pose)[[10, 13]].mean(axis=0) for pose in fitted.poses])
    moved = np.diff(feet, axis=0)
    np.testing.assert_allclose(moved, np.diff(ways, axis=0) * fitted.scale, atol=1e-6)
    ground = pixels(reference)[[10, 13], 1].max()
    low = np.array([pixels(pose)[[10, 13], 1].max() for pose in fitted.poses])
    np.testing.assert_allclose(low[[0, 1, 2, 4, 5, 6]], ground, atol=1e-6)
    assert low[3] == pytest.approx(ground - 30 * fitted.scale)
    hips = [pixels(pose)[[8, 11], 0].mean() for pose in fitted.poses]
    assert np.median(hips) == pytest.approx(pixels(reference)[[8, 11], 0].mean())


def test_directions_are_kept_and_foreshortened_bones_stay_short() -> None:
    walk = walking(body(4), TURNING)
    pointing = walk[6].keypoints.copy()
    pointing[4, :2] = pointing[3, :2] + 0.1 * (pointing[4, :2] - pointing[3, :2])
    walk[6] = replace(walk[6], keypoints=pointing)
    fitted = retarget(walk, [see(body(1), standing())])
    pairs = [pair for sides in BONES.values() for pair in sides if MID_HIP not in pair]
    before, after = all_lengths(walk), all_lengths(list(fitted.poses))
    for given, pose in zip(walk, fitted.poses, strict=True):
        for start, end in pairs:
            one, other = (pixels(p)[end] - pixels(p)[start] for p in (given, pose))
            assert one @ other == pytest.approx(np.hypot(*one) * np.hypot(*other), abs=1e-6)
    ratios = after / before
    np.testing.assert_allclose(ratios, np.broadcast_to(ratios[:1], ratios.shape), rtol=1e-6)


def test_a_bone_that_the_reference_does_not_show_takes_the_bodys_scale() -> None:
    upper = hide(see(body(1), standing()), 9, 10, 12, 13, 4, 7)
    fitted = retarget(walking(body(4), FRONT), [upper])
    assert fitted.standing_on == "hips"
    sources = {bone: ratio.source for bone, ratio in fitted.bones.items()}
    unknown = {bone for bone, source in sources.items() if source == "body scale"}
    assert unknown == {"thigh", "shin", "forearm"}
    assert all(fitted.bones[bone].ratio == fitted.scale for bone in unknown)
    hips = [pixels(pose)[[8, 11], 1].mean() for pose in fitted.poses]
    assert np.median(hips) == pytest.approx(pixels(upper)[[8, 11], 1].mean())
    described = describe_fit(fitted)
    assert described["bones"]["shin"] == {"ratio": round(fitted.scale, 6), "source": "body scale"}
    assert described["standing_on"] == "hips"


def test_a_reference_bone_that_points_at_the_camera_is_limited() -> None:
    short = see(body(1), standing()).keypoints.copy()
    for wrist, elbow in ((4, 3), (7, 6)):
        short[wrist, :2] = short[elbow, :2] + 0.05 * (short[wrist, :2] - short[elbow, :2])
    fitted = retarget(walking(body(4), FRONT), [StoredPose(keypoints=short, size=SIZE)])
    assert fitted.bones["forearm"].source == "limited"
    assert fitted.bones["forearm"].ratio == pytest.approx(fitted.scale / 1.6)


def test_only_shoulders_of_a_reference_are_enough() -> None:
    bust = hide(see(body(1), standing()), *range(8, 14))
    fitted = retarget(walking(body(4), FRONT), [bust])
    assert fitted.standing_on == "neck"
    necks = [pixels(pose)[1] for pose in fitted.poses]
    np.testing.assert_allclose(np.median(necks, axis=0), pixels(bust)[1], atol=1e-6)


def test_unseen_hips_and_necks_make_nothing_jump() -> None:
    walk, reference = walking(body(4), FRONT), [see(body(1), standing())]
    whole = retarget(walk, reference).poses
    gaps = list(walk)
    gaps[4], gaps[5] = hide(walk[4], 8, 11), hide(walk[5], 11, 10)
    gaps[7], gaps[9] = hide(walk[7], 1), hide(walk[9], 10, 13, 3)
    for frame, (pose, complete) in enumerate(
        zip(retarget(gaps, reference).poses, whole, strict=True)
    ):
        seen = pose.keypoints[:, 2] > 0
        assert seen.sum() == (gaps[frame].keypoints[:, 2] > 0).sum()
        assert np.abs(pixels(pose) - pixels(complete))[seen].max() < 8, f"frame {frame}"


def test_hips_that_are_not_seen_move_with_the_neck() -> None:
    still = see(body(4), standing())
    walk = [stretch(still, 1.0, (x, 0)) for x in (0, 0, 40, 0, 0)]
    whole = retarget(walk, [see(body(1), standing())]).poses[2]
    walk[2] = hide(walk[2], 8, 11)
    aside = retarget(walk, [see(body(1), standing())]).poses[2]
    upper = [0, *range(1, 8), 14, 15, 16, 17]
    np.testing.assert_allclose(pixels(aside)[upper, 0], pixels(whole)[upper, 0], atol=1e-6)
    # Legs that hang on the middle of the hips are a little longer, and lift the body.
    np.testing.assert_allclose(pixels(aside)[upper, 1], pixels(whole)[upper, 1], atol=4)


def test_a_raised_foot_that_is_seen_alone_does_not_stand_on_the_ground() -> None:
    lifted = see(body(4), standing()).keypoints.copy()
    lifted[[9, 10], 1] -= 0.1
    walk = [StoredPose(keypoints=lifted, size=SIZE)] * 5
    whole = retarget(walk, [see(body(1), standing())]).poses[2]
    walk[2] = hide(walk[2], 13)
    alone = retarget(walk, [see(body(1), standing())]).poses[2]
    seen = alone.keypoints[:, 2] > 0
    np.testing.assert_allclose(pixels(alone)[seen], pixels(whole)[seen], atol=1e-6)


def test_hands_take_the_bodys_scale_and_a_face_that_of_the_eyes() -> None:
    walk = [with_details(pose) for pose in walking(body(4), FRONT)]
    reference = see(body(1), standing(), replace(FAR, scale=240.0))
    fitted = retarget(walk, [reference])
    for given, pose in zip(walk, fitted.poses, strict=True):
        assert given.hands is not None and given.face is not None
        assert pose.hands is not None and pose.face is not None
        parts = [(given.face, pose.face, 0, fitted.bones["eye"].ratio)]
        parts += [
            (given.hands[side], pose.hands[side], wrist, fitted.scale)
            for side, wrist in enumerate((7, 4))
        ]
        for before, after, joint, ratio in parts:
            away = before[:, :2] * SIZE[::-1] - pixels(given)[joint]
            now = after[:, :2] * SIZE[::-1] - pixels(pose)[joint]
            np.testing.assert_allclose(now, ratio * away, atol=1e-6)
            np.testing.assert_array_equal(after[:, 2], before[:, 2])


def test_the_bodys_scale_is_the_median_of_trunk_thigh_and_shin() -> None:
    theirs = {"trunk": 10.0, "thigh": 10.0, "shin": 10.0, "forearm": 10.0, "head": 10.0}
    ours = {"trunk": 21.0, "thigh": 8.0, "shin": 20.0, "forearm": 16.0, "eye": 3.0}
    scale, bones = compare_bones(theirs, ours)
    assert scale == 2.0
    assert (bones["trunk"].ratio, bones["forearm"].ratio) == (2.1, 1.6)
    assert bones["thigh"] == BoneRatio(ratio=1.25, source="limited")  # a thigh towards the camera
    assert bones["eye"] == bones["head"] == BoneRatio(ratio=2.0, source="body scale")
    assert compare_bones({"forearm": 10.0, "head": 4.0}, {"forearm": 5.0, "head": 4.0})[0] == 0.75


def test_a_sequence_of_side_views_without_one_hip_hangs_on_the_neck() -> None:
    walk = [hide(pose, 11, 12, 13) for pose in walking(body(4), [1.4] * 8)]
    fitted = retarget(walk, [see(body(1), standing())])
    assert fitted.standing_on == "feet"
    for given, pose in zip(walk, fitted.poses, strict=True):
        assert ((pose.keypoints[:, 2] > 0) == (given.keypoints[:, 2] > 0)).all()
        trunk = np.hypot(*(pixels(pose)[8] - pixels(pose)[1]))
        assert 60 < trunk < 140


def test_bone_lengths_are_quantiles_over_frames_and_sides() -> None:
    points = np.zeros((2, 19, 2))
    seen = np.zeros((2, 19), bool)
    points[0, 3], points[0, 4], points[1, 3], points[1, 4] = (0, 0), (3, 4), (0, 0), (0, 7)
    points[0, 6], points[0, 7] = (0, 0), (9, 0)
    seen[:, [3, 4]], seen[0, [6, 7]] = True, True
    poses = PixelPoses(points=points, seen=seen, size=(9, 9))
    assert bone_lengths(poses, 0.5) == {"forearm": 7.0}
    assert bone_lengths(poses, 1.0) == {"forearm": 9.0}


def test_what_cannot_be_fitted_is_refused_in_one_line() -> None:
    walk, reference = walking(body(4), FRONT), see(body(1), standing())
    with pytest.raises(DataError, match="the sequence: found no 'size'"):
        retarget([replace(pose, size=None) for pose in walk], [reference])
    with pytest.raises(DataError, match="the sequence: found frames of different sizes"):
        retarget([stretch(walk[0], 2.0), *walk], [reference])
    with pytest.raises(DataError, match="no bone in common"):
        retarget(walk, [hide(reference, *range(18))])
    with pytest.raises(DataError, match="neither feet, hips nor neck in common"):
        retarget(walk, [hide(reference, 1, 8, 11, 10, 13, 9, 12)])
    with pytest.raises(DataError, match="neither both hips nor the neck"):
        retarget([hide(pose, 1, 8) for pose in walk], [reference])
    with pytest.raises(ConfigError, match="quantile"):
        retarget(walk, [reference], quantile=1.2)


def test_pixels_know_the_middle_of_the_hips() -> None:
    pose = see(body(4), standing())
    poses = pixel_poses([pose, hide(pose, 8)], "x")
    np.testing.assert_allclose(poses.points[0, MID_HIP], pixels(pose)[[8, 11]].mean(axis=0))
    assert poses.seen[:, MID_HIP].tolist() == [True, False]
