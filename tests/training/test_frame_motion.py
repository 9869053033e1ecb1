from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_world import tiny_config

from jcdm.config import Config
from jcdm.data.dataset import MultiViewDataset
from jcdm.data.sequence_dataset import SequenceDataset
from jcdm.errors import ConfigError, DataError
from jcdm.training.frames import FrameWindowDataset
from jcdm.training.people import training_people, unseen_people, validation_batches


def frames_config(world: Path, num_frames: int) -> Config:
    config = tiny_config(world, world / "unused", "motion")
    motion = replace(config.motion, axis="frames", num_frames=num_frames)
    return replace(config, motion=motion)


def test_targets_are_consecutive_and_windows_overlap_by_a_frame(world: Path) -> None:
    people = training_people("motion", frames_config(world, 2), 32)
    assert isinstance(people, FrameWindowDataset)
    for epoch in range(20):
        cells, visible = people._arrange(people.records[0], epoch)
        frames = [people.records[0].views.index(view) for view in cells]
        first, second = torch.tensor(frames).unflatten(0, (2, 4))
        shown, again = visible.unflatten(0, (2, 4))
        assert torch.equal(shown, again) and torch.equal(first[shown], second[shown])
        targets, later = first[~shown], second[~shown]
        assert torch.equal(targets.diff(), torch.ones_like(targets.diff()))
        assert later[0] == (targets[-1] if len(targets) > 1 else targets[-1] + 1)
        assert not set(first[shown].tolist()) & set([*targets.tolist(), *later.tolist()])


def test_short_sequences_are_refused(world: Path) -> None:
    with pytest.raises(DataError, match=r"has 6 frames, but motion.num_frames=3 needs 8"):
        training_people("motion", frames_config(world, 3), 32)


def test_frames_need_sequences(world: Path) -> None:
    config = frames_config(world, 2)
    config = replace(config, data=replace(config.data, frames=False))
    with pytest.raises(ConfigError, match=r"data.frames=true"):
        training_people("motion", config, 32)


def test_the_data_set_follows_the_configuration(world: Path) -> None:
    views = tiny_config(world, world / "unused", "denoiser")
    moving = tiny_config(world, world / "unused", "motion")
    assert type(training_people("denoiser", views, 32)) is MultiViewDataset
    assert type(training_people("motion", moving, 32)) is SequenceDataset


def test_ranks_share_the_unseen_people(world: Path) -> None:
    people = unseen_people("prior", tiny_config(world, world / "unused"), 32)
    assert people is not None and len(people) == 3
    seen = [
        name
        for rank in range(2)
        for batch in validation_batches(people, 1, rank=rank, world_size=2)
        for name in batch.subjects
    ]
    assert sorted(seen) == sorted(record.subject for record in people.records)
    assert all(record.split == "test" for record in people.records)
