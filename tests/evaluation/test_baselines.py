from dataclasses import replace

import pytest
import torch

from jcdm.errors import DataError
from jcdm.evaluation import baselines
from jcdm.records import Batch


def make_batch() -> Batch:
    """One person, four views; joints 0 and 1 of view v lie at x = position[v]."""
    position = torch.tensor([0.1, 0.5, 0.2, 0.6])
    keypoints = torch.zeros(1, 4, 18, 2)
    keypoints[0, :, :2, 0] = position[:, None]
    valid = torch.zeros(1, 4, 18, dtype=torch.bool)
    valid[..., :2] = True
    return Batch(
        images=torch.arange(4.0).view(1, 4, 1, 1, 1).expand(1, 4, 3, 8, 8) / 4,
        clip_pixels=torch.zeros(1, 4, 3, 8, 8),
        pose_maps=torch.zeros(1, 4, 3, 8, 8),
        keypoints=keypoints,
        keypoint_valid=valid,
        visible=torch.tensor([[True, True, False, False]]),
        present=torch.ones(1, 4, dtype=torch.bool),
        subjects=("anna",),
        keys=torch.tensor([1]),
    )


def test_the_nearest_reference_has_the_nearest_pose() -> None:
    batch = make_batch()
    assert baselines.nearest_reference(batch)[0, 2:].tolist() == [0, 1]
    copied = baselines.copy_nearest_reference(batch.images, batch)
    assert torch.equal(copied[0, 2], batch.images[0, 0])
    assert torch.equal(copied[0, 3], batch.images[0, 1])


def test_pose_distance_is_a_mean_over_joints_valid_in_both() -> None:
    batch = make_batch()
    valid = batch.keypoint_valid.clone()
    keypoints = batch.keypoints.clone()
    keypoints[0, 0, 1] = torch.tensor([0.1, 0.3])
    valid[0, 3] = False
    distances = baselines.pose_distances(keypoints, valid)
    assert distances[0, 0, 2].item() == pytest.approx((0.1 + (0.1**2 + 0.3**2) ** 0.5) / 2)
    assert torch.isinf(distances[0, 3]).all()
    valid[0, 0, 1] = False
    assert baselines.pose_distances(keypoints, valid)[0, 0, 2].item() == pytest.approx(0.1)


def test_without_a_common_joint_the_first_reference_is_taken() -> None:
    batch = make_batch()
    visible = torch.tensor([[False, True, False, True]])
    blind = replace(batch, keypoint_valid=torch.zeros_like(batch.keypoint_valid), visible=visible)
    assert baselines.nearest_reference(blind)[0].tolist() == [1, 1, 1, 1]


def test_an_absent_view_is_no_reference_and_no_target() -> None:
    batch = replace(make_batch(), present=torch.tensor([[False, True, True, False]]))
    assert baselines.nearest_reference(batch)[0, 2].item() == 1
    assert baselines.target_views(batch).tolist() == [[False, False, True, False]]
    with pytest.raises(DataError, match="'anna' has no reference view"):
        baselines.nearest_reference(replace(batch, visible=torch.tensor([[True] + [False] * 3])))


def test_embedding_baselines_read_references_only() -> None:
    batch = make_batch()
    appearance = torch.tensor([[[1.0, 0.0], [0.0, 3.0], [9.0, 9.0], [7.0, 7.0]]])
    mean = baselines.mean_reference_embedding(appearance, batch)
    assert mean[0].tolist() == [[0.5, 1.5]] * 4
    nearest = baselines.nearest_reference_embedding(appearance, batch)
    assert nearest[0, 2:].tolist() == [[1.0, 0.0], [0.0, 3.0]]
