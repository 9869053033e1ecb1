"""Poses in JSON: one, many, with gaps; and files that are something else."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jcdm.data.pose_files import StoredPose, read_pose_file, write_pose_file
from jcdm.errors import DataError

JOINTS = [[i / 20, i / 40] for i in range(18)]


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    "content",
    [JOINTS, {"keypoints": JOINTS}, {"frames": [{"keypoints": JOINTS}]}, {"frames": [JOINTS]}],
)
def test_one_pose_in_every_spelling(tmp_path: Path, content: Any) -> None:
    (pose,) = read_pose_file(write(tmp_path / "a.json", content))
    assert pose.size is None
    assert pose.keypoints[:, :2] == pytest.approx(np.array(JOINTS, np.float32))
    assert (pose.keypoints[:, 2] == 1).all()


def test_joints_that_are_not_seen(tmp_path: Path) -> None:
    joints: list = [list(joint) for joint in JOINTS]
    joints[3], joints[4], joints[5] = None, [-1, 0.5], [0.2, 0.3, 0]
    joints[6] = [0.2, 0.3, 0.7]
    (pose,) = read_pose_file(write(tmp_path / "a.json", {"keypoints": joints}))
    assert pose.keypoints[[3, 4, 5], 2].tolist() == [0, 0, 0]
    assert pose.keypoints[6] == pytest.approx([0.2, 0.3, 0.7])


def test_a_sequence_knows_the_size_of_its_frames(tmp_path: Path) -> None:
    frames = [{"keypoints": JOINTS}, {"keypoints": JOINTS, "size": [30, 20]}]
    poses = read_pose_file(write(tmp_path / "a.json", {"frames": frames, "size": [300, 200]}))
    assert [pose.size for pose in poses] == [(300, 200), (30, 20)]


@pytest.mark.parametrize("number", [1, 3])
def test_what_is_written_is_read_back(tmp_path: Path, number: int) -> None:
    keypoints = np.random.default_rng(0).random((number, 18, 3)).astype(np.float32)
    poses = tuple(StoredPose(keypoints=points, size=(64, 48)) for points in keypoints)
    write_pose_file(tmp_path / "a.json", poses, made_by="a test")
    again = read_pose_file(tmp_path / "a.json")
    assert np.array([pose.keypoints for pose in again]) == pytest.approx(keypoints, abs=1e-6)
    assert {pose.size for pose in again} == {(64, 48)}


def test_hands_face_and_detector_are_read_back(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    pose = StoredPose(
        keypoints=random.random((18, 3)).astype(np.float32),
        size=(64, 48),
        hands=random.random((2, 21, 3)).astype(np.float32),
        face=random.random((68, 3)).astype(np.float32),
        detector="DWPose: a.onnx 0123",
    )
    write_pose_file(tmp_path / "a.json", (pose,), origin={"picture_sha256": "x"})
    (again,) = read_pose_file(tmp_path / "a.json")
    assert again.hands == pytest.approx(pose.hands, abs=1e-6)
    assert again.face == pytest.approx(pose.face, abs=1e-6)
    assert (again.detector, again.size) == (pose.detector, (64, 48))
    assert json.loads((tmp_path / "a.json").read_text())["origin"] == {"picture_sha256": "x"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"], "no partial file stays"


def test_what_a_file_does_not_say_is_none_and_frames_share_what_it_does(tmp_path: Path) -> None:
    frames = [{"keypoints": JOINTS, "size": None}, {"keypoints": JOINTS, "detector": "hand"}]
    content = {"frames": frames, "size": [30, 20], "detector": "camera"}
    poses = read_pose_file(write(tmp_path / "a.json", content))
    assert [pose.detector for pose in poses] == ["camera", "hand"]
    assert [pose.size for pose in poses] == [(30, 20)] * 2
    assert poses[0].hands is None and poses[0].face is None
    (bare,) = read_pose_file(write(tmp_path / "b.json", JOINTS))
    assert bare.detector is None


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pose = StoredPose(keypoints=np.zeros((18, 3)), size=None)
    write_pose_file(tmp_path / "a.json", (pose,))
    before = (tmp_path / "a.json").read_text()
    monkeypatch.setattr(Path, "replace", lambda *_: pytest.fail("the disk is full"))
    with pytest.raises(pytest.fail.Exception):
        write_pose_file(tmp_path / "a.json", (pose, pose))
    assert (tmp_path / "a.json").read_text() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (json.dumps({"keypoints": JOINTS, "hands": [[]]}), "hands: found [[]], expected the left"),
        (
            json.dumps({"keypoints": JOINTS, "hands": [[], []]}),
            "hands: found 0 joints; expected 21",
        ),
        (json.dumps({"keypoints": JOINTS, "face": JOINTS}), "face: found 18 joints; expected 68"),
        (json.dumps({"keypoints": JOINTS, "face": 3}), "face: found int joints; expected 68"),
        (json.dumps({"keypoints": JOINTS, "detector": 3}), "'detector' is 3, expected a name"),
        (json.dumps({"keypoints": None}), "found NoneType joints"),
        ("{", "cannot be read as JSON"),
        ("3", "holds int"),
        ('{"frames": []}', "'frames' holds nothing"),
        ('{"frames": [{"a": 1}]}', "frame 0 holds no 'keypoints'"),
        (json.dumps(JOINTS[:-1]), "found 17 joints"),
        (json.dumps({"keypoints": [["a", 1]] * 18}), "joint 0 is ['a', 1]"),
        ('{"keypoints": [[NaN, 1]' + ", [0, 0]" * 17 + "]}", "joint 0 is [nan, 1]"),
        (json.dumps({"keypoints": JOINTS, "size": [0, 5]}), "'size' is [0, 5]"),
        (json.dumps({"keypoints": JOINTS, "size": True}), "'size' is True"),
    ],
)
def test_another_file_is_one_line(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_pose_file(path)
    assert expected in str(caught.value) and "a.json" in str(caught.value)
    assert "\n" not in str(caught.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=19)
        | st.dictionaries(
            st.sampled_from(["keypoints", "frames", "size", "hands", "x"]), inner, max_size=3
        )
    ),
    max_leaves=40,
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_any_json_is_poses_or_one_of_our_errors(
    tmp_path_factory: pytest.TempPathFactory, content: Any
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "any.json", content)
    try:
        assert read_pose_file(path)
    except DataError as error:
        assert "\n" not in str(error)
