"""Joints of true pictures from a folder and from an index."""

from pathlib import Path

import numpy as np
import pytest

from jcdm.data.index import read_index
from jcdm.data.pose_files import StoredPose, write_pose_file
from jcdm.data.synthetic import write_dataset
from jcdm.errors import DataError
from jcdm.evaluation.truth_poses import pose_reader


def test_a_folder_and_an_index_give_the_same_joints(tmp_path: Path) -> None:
    index = write_dataset(tmp_path, num_identities=1, seed=0, size=(64, 48), num_views=2)
    poses = tmp_path / "poses"
    poses.mkdir()
    views = [view for record in read_index(index) for view in record.views]
    for view in views:
        joints = np.concatenate([view.keypoints, view.keypoint_valid[:, None]], axis=1)
        write_pose_file(
            poses / f"{view.image.stem}.json", (StoredPose(keypoints=joints, size=None),)
        )
    for view in views:
        ours, theirs = pose_reader(poses)(view.image), pose_reader(index)(view.image)
        assert np.allclose(ours, theirs, atol=1e-6) and ours[:, 2].any()
    for reader in (pose_reader(poses), pose_reader(index)):
        assert not reader(Path("somebody.png")).any()


def test_places_without_poses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \.json file; expected pose files"):
        pose_reader(tmp_path)
    pose = StoredPose(keypoints=np.zeros((18, 3)), size=None)
    write_pose_file(tmp_path / "a.json", (pose, pose))
    with pytest.raises(DataError, match="holds 2 poses"):
        pose_reader(tmp_path)(Path("a.png"))
