"""Defects 15, 16 and 20: how photographs are cut and mirrored, and what keypoints mean."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from training_world import tiny_config

from jcdm.config import Config
from jcdm.data.checks import check_index
from jcdm.data.dataset import MultiViewDataset
from jcdm.data.images import load_image
from jcdm.data.index import read_index, write_index
from jcdm.data.loader import build_loader
from jcdm.errors import DataError
from jcdm.pipelines import JCDMPipeline
from jcdm.pipelines.inputs import ViewFormat, prepare_reference, prepare_target, read_keypoints
from jcdm.records import SubjectRecord, ViewRecord

SPEC = ViewFormat(height=16, width=8, clip_size=16)


def pictures(world: Path, *, flips: float, num_workers: int) -> Tensor:
    """First 32 training samples' first views (32,3,32,32): square as their photographs."""
    config = tiny_config(world, world / "unused")
    people = MultiViewDataset(
        read_index(config.data.index, "train"),
        height=32,
        width=32,
        grid=config.data.grid,
        flip_probability=flips,
        clip_size=32,
        seed=0,
        train=True,
    )
    batches = build_loader(people, batch_size=8, seed=0, num_workers=num_workers)
    return torch.cat([batch.images[:, 0] for batch in islice(batches, 4)])


def test_defect_15_flips_differ_within_a_worker(world: Path) -> None:
    drawn = pictures(world, flips=0.5, num_workers=1)
    plain = pictures(world, flips=0.0, num_workers=0)
    as_they_are = (drawn == plain).flatten(1).all(1)
    mirrored = (drawn == plain.flip(-1)).flatten(1).all(1)
    assert (as_they_are ^ mirrored).all(), "each picture is mirrored as a whole, or not at all"
    assert 8 <= mirrored.sum() <= 24, f"{int(mirrored.sum())} of 32 mirrored"
    assert (mirrored[1:] != mirrored[:-1]).sum() >= 8, "neighbours are decided apart"


def test_defect_16_sampling_cuts_photographs_as_training_does(packed: tuple[Config, Path]) -> None:
    config, folder = packed
    pipeline = JCDMPipeline.from_pretrained(folder)
    spec = pipeline.view_format(None, None)
    records = read_index(config.data.index, "test")[:1]
    size = pipeline.image_encoder.config.image_size
    clip_fit = config.encoders.clip_fit
    options: dict[str, Any] = {"seed": 0, "train": False, "clip_size": size, "clip_fit": clip_fit}
    sample = MultiViewDataset.from_config(config.data, records=records, **options).sample(0)
    for number, view in enumerate(records[0].views[:4]):
        joints = np.column_stack([view.keypoints, view.keypoint_valid])
        photo = load_image(view.image)
        found = prepare_reference(photo, joints, spec, "view")
        squeezed = prepare_reference(photo, joints, replace(spec, fit="stretch"), "view")
        assert not torch.equal(squeezed.image, found.image), "these need no cut: nothing is tested"
        assert torch.equal(found.image, sample.images[number])
        assert torch.equal(found.clip_pixels, sample.clip_pixels[number])
        assert torch.equal(found.pose_map, sample.pose_maps[number])
        torch.testing.assert_close(
            found.keypoints[found.valid], sample.keypoints[number][found.valid]
        )


def test_defect_20_confidences_say_what_is_seen_and_are_no_coordinates() -> None:
    points = np.random.default_rng(0).random((18, 2))
    confidence = np.linspace(0.1, 0.9, 18)
    confidence[3] = 0.0
    found, valid = read_keypoints(np.column_stack([points, confidence]), "pose")
    assert valid.tolist() == [joint != 3 for joint in range(18)]
    np.testing.assert_allclose(found[valid], points[valid], rtol=1e-6)
    surer = np.column_stack([points, np.minimum(2 * confidence, 1)])
    np.testing.assert_array_equal(read_keypoints(surer, "pose")[0], found)
    for alone in (confidence, confidence[None], np.concatenate([confidence, np.zeros(18)])):
        with pytest.raises(DataError, match=r"expected \(18, 2\) or \(18, 3\)"):
            read_keypoints(alone, "pose")


def test_defect_20_coordinates_in_pixels_are_refused(world: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).uniform(3, 200, (18, 2))
    with pytest.raises(DataError, match=r"expected \[0,1\]; divide x by the picture's width"):
        read_keypoints(pixels, "pose")
    image = read_index(world / "people" / "index.json")[0].views[0].image
    seen = np.ones(18, dtype=bool)
    view = ViewRecord(image=image, keypoints=pixels, keypoint_valid=seen)
    write_index(tmp_path / "index.json", [SubjectRecord(subject="a", views=(view, view))])
    problems = [p for p in check_index(tmp_path / "index.json") if "outside [0, 1]" in p]
    assert len(problems) == 2 and "Divide x by the width" in problems[0]


def test_defect_20_colours_keep_their_channels() -> None:
    red = Image.new("RGB", (8, 16), (255, 0, 0))
    joints = np.random.default_rng(0).random((18, 2))
    target = prepare_target((red, joints), SPEC, "pose")
    assert target.pose_map.mean(dim=(1, 2)).tolist() == [1.0, 0.0, 0.0]
    reference = prepare_reference(red, joints, SPEC, "reference")
    assert reference.image.mean(dim=(1, 2)).tolist() == [1.0, -1.0, -1.0]
