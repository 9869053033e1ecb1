from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from jcdm.errors import DataError
from jcdm.records import Batch, SubjectRecord, ViewRecord


def make_batch(size: int = 2, views: int = 4) -> Batch:
    return Batch(
        images=torch.zeros(size, views, 3, 8, 8),
        clip_pixels=torch.zeros(size, views, 3, 4, 4),
        pose_maps=torch.zeros(size, views, 3, 8, 8),
        keypoints=torch.zeros(size, views, 18, 2),
        keypoint_valid=torch.ones(size, views, 18, dtype=torch.bool),
        visible=torch.ones(size, views, dtype=torch.bool),
        present=torch.ones(size, views, dtype=torch.bool),
        subjects=("a",) * size,
        keys=torch.arange(size),
    )


def test_a_batch_names_the_field_that_does_not_fit():
    with pytest.raises(DataError, match=r"visible has shape \(2, 3\), expected \(2, 4\)"):
        replace(make_batch(), visible=torch.ones(2, 3, dtype=torch.bool))


def test_moving_a_batch_leaves_its_keys_on_the_cpu():
    moved = make_batch().to("meta")
    assert moved.images.is_meta and moved.visible.is_meta
    assert not moved.keys.is_meta


def test_keypoints_of_the_wrong_length_are_refused():
    with pytest.raises(DataError, match=r"a\.png: found keypoints \(17, 2\)"):
        ViewRecord(
            image=Path("a.png"), keypoints=np.zeros((17, 2)), keypoint_valid=np.zeros(18, bool)
        )


def test_a_subject_without_views_is_refused():
    with pytest.raises(DataError, match=r"'anna' has no views"):
        SubjectRecord(subject="anna", views=())
