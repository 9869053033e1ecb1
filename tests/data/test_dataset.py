"""A sample depends on (seed, epoch, subject) alone and shows what its record says."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image

from jcdm.config import DataConfig, VisibilityConfig
from jcdm.data.dataset import MultiViewDataset
from jcdm.data.index import write_index
from jcdm.data.sequence_dataset import SequenceDataset
from jcdm.data.transforms import clip_pixels, fit_view, image_tensor
from jcdm.errors import DataError, MissingViewError
from jcdm.grid import GridShape
from jcdm.records import Sample, SubjectRecord

MakeSubject = Callable[..., SubjectRecord]


def dataset(records: Any, kind: type = MultiViewDataset, **options: Any) -> MultiViewDataset:
    settings = {
        "height": 40,
        "width": 30,
        "grid": GridShape(rows=2, cols=2),
        "clip_size": 16,
        "seed": 3,
        "train": True,
    }
    return kind(records, **(settings | options))


def equal(first: Sample, second: Sample) -> bool:
    return all(
        torch.equal(getattr(first, name), getattr(second, name))
        for name in ("images", "clip_pixels", "pose_maps", "keypoints", "visible", "present")
    )


def numbers_shown(sample: Sample) -> list[int]:
    """Read off each view's number from its grey level (see `make_subject`); -1 = black."""
    levels = ((sample.images + 1) * 127.5).mean((1, 2, 3))
    return [-1 if level == 0 else round((level.item() - 15.5) / 20) for level in levels]


def test_the_same_place_gives_the_same_sample_in_any_order(make_subject: MakeSubject) -> None:
    records = [make_subject(name, seed=n) for n, name in enumerate(("anna", "bo", "cem"))]
    places = [(epoch, index) for epoch in range(2) for index in range(3)]
    forward = {place: dataset(records)[place] for place in places}
    people = dataset(records)
    backward = {place: people[place] for place in reversed(places)}
    assert all(equal(forward[place], backward[place]) for place in places)
    assert len({sample.key for sample in forward.values()}) == len(places)


def test_epochs_and_seeds_differ_in_training_and_epochs_do_not_in_tests(
    make_subject: MakeSubject,
) -> None:
    records = [make_subject(num_views=8)]
    people = dataset(records)
    assert len({tuple(numbers_shown(people.sample(0, epoch))) for epoch in range(8)}) > 4
    assert not equal(people.sample(0), dataset(records, seed=4).sample(0))
    unseen = dataset(records, train=False)
    assert equal(unseen.sample(0, epoch=0), unseen.sample(0, epoch=5))
    assert numbers_shown(unseen.sample(0)) == [0, 1, 2, 3]


def test_every_view_reaches_every_cell(make_subject: MakeSubject) -> None:
    people = dataset([make_subject(num_views=5)], flip_probability=0.0)
    shown = [numbers_shown(people.sample(0, epoch)) for epoch in range(80)]
    assert {(cell, view) for views in shown for cell, view in enumerate(views)} == {
        (cell, view) for cell in range(4) for view in range(5)
    }
    assert all(len(set(views)) == 4 for views in shown), "no view twice in a grid"


def test_every_choice_of_views_and_references_is_reached(make_subject: MakeSubject) -> None:
    """Five views, four cells: all 5 choices of four, all 14 splits into references and targets."""
    people = dataset([make_subject(num_views=5)], flip_probability=0.0)
    samples = [people.sample(0, epoch) for epoch in range(400)]
    shown = [numbers_shown(sample) for sample in samples]
    assert {frozenset(views) for views in shown} == {frozenset(range(5)) - {v} for v in range(5)}
    splits = {
        (frozenset(given), frozenset(set(views) - set(given)))
        for views, sample in zip(shown, samples, strict=True)
        if (given := [v for v, seen in zip(views, sample.visible, strict=True) if seen])
    }
    assert len(splits) == 5 * 14, "a set of references with a set of targets never came"


def test_ranges_shapes_and_types(make_subject: MakeSubject) -> None:
    sample = dataset([make_subject()], grid=GridShape(rows=2, cols=3)).sample(0)
    assert sample.images.shape == sample.pose_maps.shape == (6, 3, 40, 30)
    assert sample.clip_pixels.shape == (6, 3, 16, 16)
    assert sample.keypoints.shape == (6, 18, 2) and sample.keypoint_valid.shape == (6, 18)
    assert sample.present.sum() == 5 and not sample.visible[~sample.present].any()
    assert sample.images.min() >= -1 and sample.images.max() <= 1
    assert sample.pose_maps.min() == 0 and 0.5 < sample.pose_maps.max() <= 1


def test_an_empty_cell_is_black_and_without_pose(make_subject: MakeSubject) -> None:
    sample = dataset([make_subject(num_views=3)]).sample(0)
    (empty,) = (~sample.present).nonzero()[:, 0].tolist()
    assert (sample.images[empty] == -1).all() and (sample.pose_maps[empty] == 0).all()
    assert not sample.keypoint_valid[empty].any() and not sample.visible[empty]


def test_a_mirrored_sample_mirrors_pictures_clip_and_poses(make_subject: MakeSubject) -> None:
    records = [make_subject(num_views=4)]
    options: dict[str, Any] = {"visibility": VisibilityConfig(max_references=1)}
    plain = dataset(records, flip_probability=0.0, **options).sample(0)
    mirrored = dataset(records, flip_probability=1.0, **options).sample(0)
    assert torch.equal(mirrored.images, plain.images.flip(-1))
    torch.testing.assert_close(mirrored.clip_pixels, plain.clip_pixels.flip(-1), atol=0.02, rtol=0)
    swapped = plain.keypoints[:, [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]]
    torch.testing.assert_close(mirrored.keypoints[..., 0], 1 - swapped[..., 0])
    assert not torch.equal(mirrored.pose_maps, plain.pose_maps)
    assert torch.equal(mirrored.visible, plain.visible)


def test_views_are_cut_by_the_configured_fit(make_subject: MakeSubject) -> None:
    record = make_subject(num_views=4)
    for fit in ("crop", "letterbox", "stretch"):
        sample = dataset([record], train=False, height=40, width=40, fit=fit).sample(0)
        photo = Image.open(record.views[0].image)
        assert torch.equal(sample.images[0], image_tensor(fit_view(photo, (40, 40), fit)[0]))
        assert torch.equal(sample.clip_pixels[0], clip_pixels(photo, 16))


def test_a_pose_map_on_disk_wins_over_drawing(make_subject: MakeSubject) -> None:
    record = make_subject(num_views=2)
    mapped = replace(record.views[0], pose_map=record.views[1].image)
    people = dataset([replace(record, views=(mapped, record.views[1]))], train=False)
    sample = people.sample(0)
    torch.testing.assert_close(sample.pose_maps[0], (sample.images[1] + 1) / 2)


def test_joints_outside_the_cell_are_not_valid(make_subject: MakeSubject) -> None:
    record = make_subject(num_views=2)
    view = record.views[0]
    keypoints = view.keypoints.copy()
    keypoints[0] = (0.5, 0.02)
    valid = view.keypoint_valid.copy()
    valid[0] = True
    record = replace(record, views=(replace(view, keypoints=keypoints, keypoint_valid=valid),) * 2)
    sample = dataset([record], train=False, height=30, width=30).sample(0)
    assert not sample.keypoint_valid[0, 0], "the centre crop cut it off"
    assert sample.keypoint_valid[0].any()


def test_subjects_that_cannot_be_used_are_named(make_subject: MakeSubject) -> None:
    with pytest.raises(DataError, match="no subject"):
        dataset([])
    with pytest.raises(DataError, match=r"1 of 2 subjects have one view only, first: 'bo'"):
        dataset([make_subject("anna"), make_subject("bo", num_views=1)])
    with pytest.raises(DataError, match=r"sequence 'anna' has 3 frames, expected at least 4"):
        dataset([make_subject("anna", num_views=3)], SequenceDataset)


def test_from_an_index_files_must_be_there(make_subject: MakeSubject, tmp_path) -> None:
    record = make_subject()
    index = tmp_path / "index.json"
    write_index(index, [record])
    config = DataConfig(index=index, height=40, width=30)
    options: dict[str, Any] = {"seed": 0, "train": True, "clip_size": 16}
    assert len(MultiViewDataset.from_config(config, **options)) == 1
    record.views[2].image.unlink()
    with pytest.raises(MissingViewError, match=r"1 of 5 pictures .* first: .*anna_2.png"):
        MultiViewDataset.from_config(config, **options)


def test_a_sequence_s_targets_are_frames_in_order_with_one_stride(
    make_subject: MakeSubject,
) -> None:
    people = dataset([make_subject(num_views=10)], SequenceDataset, flip_probability=0.0)
    strides, starts = set(), set()
    for epoch in range(120):
        sample = people.sample(0, epoch)
        shown = torch.tensor(numbers_shown(sample))
        assert len(set(shown.tolist())) == 4
        targets = shown[~sample.visible]
        starts.add(targets[0].item())
        if len(targets) > 1:
            steps = targets.diff()
            assert (steps == steps[0]).all()
            strides.add(steps[0].item())
    assert strides == {1, 2} and len(starts) > 5
