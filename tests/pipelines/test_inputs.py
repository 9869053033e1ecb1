"""Photographs and keypoints as callers have them."""

import numpy as np
import pipeline_factory as factory
import pytest
import torch
from PIL import Image

from jcdm.data.pose_maps import draw_pose_map
from jcdm.data.transforms import clip_pixels, unit_tensor
from jcdm.errors import DataError
from jcdm.grid import GridShape
from jcdm.pipelines.inputs import (
    ViewFormat,
    assemble_batch,
    prepare_reference,
    prepare_target,
    prepare_targets,
    read_keypoints,
)

SPEC = ViewFormat(height=16, width=8, clip_size=16)


def test_keypoints_say_what_is_seen_in_three_ways():
    points = factory.pose(1)
    points[0] = np.nan
    points[1] = -1
    with_flags = np.concatenate([points, np.ones((18, 1))], axis=1)
    with_flags[2, 2] = 0
    keypoints, valid = read_keypoints(with_flags, "x")
    assert valid.tolist() == [False] * 3 + [True] * 15
    assert np.isfinite(keypoints).all()
    np.testing.assert_array_equal(keypoints[3:], points[3:])
    assert read_keypoints(points, "x")[1].tolist() == [False] * 2 + [True] * 16


def test_a_reference_is_cut_with_its_keypoints():
    photo = factory.photo(1, height=16, width=16)  # cropped to the middle 8 columns
    points = np.full((18, 2), 0.5, np.float32)
    points[0, 0] = 0.1
    view = prepare_reference(photo, points, SPEC, "x")
    expected = unit_tensor(np.asarray(photo)[:, 4:12]) * 2 - 1
    torch.testing.assert_close(view.image, expected)
    torch.testing.assert_close(view.keypoints[1], torch.tensor([0.5, 0.5]))
    assert view.keypoints[0, 0] < 0
    assert view.valid.tolist() == [False] + [True] * 17
    assert torch.equal(view.clip_pixels, clip_pixels(photo, 16))


def test_a_letterboxed_reference_keeps_all_of_the_photograph():
    spec = ViewFormat(height=16, width=8, clip_size=16, fit="letterbox")
    view = prepare_reference(factory.photo(1, 16, 16), np.full((18, 2), 0.5), spec, "x")
    assert (view.image[:, :4] == -1).all()
    assert view.image[:, 4:12].std() > 0.1


def test_grey_and_transparent_photographs_are_taken():
    for mode in ("L", "RGBA"):
        view = prepare_reference(factory.photo(1).convert(mode), factory.pose(1), SPEC, "x")
        assert view.image.shape == (3, 16, 8)


def test_a_target_is_drawn_and_its_pixels_are_unknown():
    points = factory.pose(2)
    view = prepare_target(points, SPEC, "x")
    drawn = draw_pose_map(points, np.ones(18, bool), 16, 8)
    assert torch.equal(view.pose_map, unit_tensor(drawn))
    assert (view.image == -1).all()


def test_cells_are_filled_in_order_and_the_rest_is_absent():
    references = [prepare_reference(factory.photo(1), factory.pose(1), SPEC, "x")]
    targets = prepare_targets([factory.pose(2), factory.pose(3)], SPEC)
    batch = assemble_batch([(references, targets)], GridShape())
    assert batch.visible.tolist() == [[True, False, False, False]]
    assert batch.present.tolist() == [[True, True, True, False]]
    torch.testing.assert_close(batch.keypoints[0, 2], torch.from_numpy(factory.pose(3)))
    assert not batch.keypoint_valid[0, 3].any()
    assert (batch.pose_maps[0, 3] == 0).all()


def test_pixels_for_coordinates_are_noticed():
    with pytest.raises(DataError, match=r"knee: found the coordinate .*divide x"):
        read_keypoints(factory.pose(1) * 256, "knee")


def test_people_are_counted():
    pipe_lists = [[factory.photo(1)]], [[factory.pose(1)]], [[factory.pose(2)]] * 2
    from jcdm.pipelines.inputs import assemble_people

    with pytest.raises(DataError, match="references of 1 people, keypoints of 1 and poses of 2"):
        assemble_people(*pipe_lists, spec=SPEC, grid=GridShape())
    empty = Image.new("RGB", (8, 16))
    batch, is_one = assemble_people(
        [empty], [factory.pose(1)], [factory.pose(2)], spec=SPEC, grid=None
    )
    assert is_one
    assert batch.visible.shape == (1, 2)
