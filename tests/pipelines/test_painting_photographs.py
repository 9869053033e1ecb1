"""Own photographs: letterboxed in, out of their bars again, any number of poses."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pipeline_factory import HEIGHT, WIDTH, components, photo, pose

from jcdm.errors import ConfigError, DataError
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.photographs import (
    Photograph,
    TargetPose,
    paint_photographs,
    recommended_options,
)
from jcdm.pipelines.sampling import SamplingOptions

OPTIONS = SamplingOptions(num_steps=2, prior_steps=2, guidance_scale=1.0)


@pytest.fixture(scope="module")
def pipeline() -> JCDMPipeline:
    built = JCDMPipeline(**components())
    built.set_progress_bar_config(disable=True)
    return built


def references(count: int = 2) -> list[Photograph]:
    return [Photograph(picture=photo(i, 31, 57), keypoints=pose(i)) for i in range(count)]


def poses(count: int, size: tuple[int, int] | None = None) -> list[TargetPose]:
    return [TargetPose(name=f"pose{i}", keypoints=pose(9 + i), size=size) for i in range(count)]


@pytest.mark.parametrize("size", [None, (60, 20), (20, 60), (HEIGHT, WIDTH)])
def test_a_picture_has_the_size_of_its_pose(
    pipeline: JCDMPipeline, size: tuple[int, int] | None
) -> None:
    (painted,) = paint_photographs(pipeline, references(), poses(1, size), OPTIONS)
    assert painted.picture.size[::-1] == (size or (HEIGHT, WIDTH))
    assert painted.pose_map.size[::-1] == (HEIGHT, WIDTH)


def test_a_reference_is_letterboxed_and_not_cut(pipeline: JCDMPipeline) -> None:
    """A mark in the corner of a wide photograph, which a crop would lose, changes the picture."""
    plain = Image.new("RGB", (64, 16), "grey")
    marked = plain.copy()
    marked.paste("red", (0, 0, 12, 16))
    painted = [
        paint_photographs(
            pipeline, [Photograph(picture=picture, keypoints=pose(1))], poses(1), OPTIONS
        )[0].picture
        for picture in (plain, marked)
    ]
    assert not np.array_equal(*(np.asarray(picture) for picture in painted))


def test_a_pose_keeps_its_shape_in_a_frame_of_another_aspect(pipeline: JCDMPipeline) -> None:
    """In a wide frame the person stands small in the middle of the view, not squashed."""
    (wide,) = paint_photographs(pipeline, references(), poses(1, (HEIGHT, 4 * WIDTH)), OPTIONS)
    drawn = np.asarray(wide.pose_map).max(axis=(1, 2))
    edge = HEIGHT * 3 // 8 - 3  # the bar's rows, less what a thick limb reaches into
    assert (drawn[:edge] == 0).all() and (drawn[-edge:] == 0).all() and drawn.any()


def test_more_poses_than_cells_are_painted_grid_by_grid(pipeline: JCDMPipeline) -> None:
    done: list[int] = []
    painted = paint_photographs(pipeline, references(2), poses(5), OPTIONS, report=done.append)
    assert [one.name for one in painted] == [f"pose{i}" for i in range(5)]
    assert done == [2, 4, 5]
    again = paint_photographs(pipeline, references(2), poses(5)[:2], OPTIONS)
    for one, other in zip(again, painted, strict=False):
        assert np.array_equal(np.asarray(one.picture), np.asarray(other.picture))


def test_the_seed_decides(pipeline: JCDMPipeline) -> None:
    first, second, other = (
        paint_photographs(pipeline, references(), poses(1), OPTIONS, seed=seed)[0].picture
        for seed in (0, 0, 1)
    )
    assert np.array_equal(np.asarray(first), np.asarray(second))
    assert not np.array_equal(np.asarray(first), np.asarray(other))


def test_references_beyond_the_grid_are_refused_with_the_reason(pipeline: JCDMPipeline) -> None:
    with pytest.raises(DataError, match="4 references, but a grid of 2 x 2 has room for at most 3"):
        paint_photographs(pipeline, references(4), poses(1), OPTIONS)


def test_joints_that_are_not_seen_stay_so(pipeline: JCDMPipeline) -> None:
    points = np.concatenate([pose(3), np.zeros((18, 1), np.float32)], axis=1)
    points[[1, 2], 2] = 1
    target = TargetPose(name="two joints", keypoints=points, size=(40, 40))
    (painted,) = paint_photographs(pipeline, references(), [target], OPTIONS)
    assert np.asarray(painted.pose_map).any()
    points[:, 2] = 0
    target = TargetPose(name="no joint", keypoints=points, size=(40, 40))
    (painted,) = paint_photographs(pipeline, references(), [target], OPTIONS)
    assert not np.asarray(painted.pose_map).any()


def test_settings_come_from_the_caller_then_from_the_folder(tmp_path: Path) -> None:
    assert recommended_options(tmp_path) == SamplingOptions.preset("standard")
    (tmp_path / "sampling.json").write_text(json.dumps({"num_steps": 3, "prior_steps": 2}))
    options = recommended_options(tmp_path, num_steps=7, guidance_scale=None)
    assert (options.num_steps, options.prior_steps) == (7, 2)
    for content in ("{", "[]", '{"num_wings": 2}', '{"guidance_scale": -1}'):
        (tmp_path / "sampling.json").write_text(content)
        with pytest.raises(ConfigError):
            recommended_options(tmp_path)
    assert torch.is_grad_enabled()
