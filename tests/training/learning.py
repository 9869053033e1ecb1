"""Over-fitting four people who all take the same poses, so that only references tell them apart."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from jcdm.config import Config
from jcdm.data.loader import collate
from jcdm.records import Batch
from jcdm.seeding import sample_key
from jcdm.training.loop import Trainer
from jcdm.training.people import training_people
from jcdm.training.stages.base import Stage
from jcdm.training.stages.build import build_stage


def four_people(
    kind: str, config: Config, clip_size: int, *, black: bool = False, only_first: bool = False
) -> Batch:
    """Two references and two targets each, all in the poses of the first.

    black: without references; only_first: all four are the first person.
    """
    people = training_people(kind, config, clip_size)
    batch = collate([people.sample(0 if only_first else index) for index in range(4)])
    visible = torch.tensor([[True, True, False, False]] * 4)
    hidden = visible[:, :, None, None, None] & black
    return replace(
        batch,
        images=torch.where(hidden, -1.0, batch.images),
        clip_pixels=torch.where(hidden, batch.clip_pixels.new_zeros(()), batch.clip_pixels),
        pose_maps=batch.pose_maps[:1].expand_as(batch.pose_maps),
        keypoints=batch.keypoints[:1].expand_as(batch.keypoints),
        keypoint_valid=batch.keypoint_valid[:1].expand_as(batch.keypoint_valid),
        visible=visible,
    )


def with_draw(batch: Batch, number: int) -> Batch:
    """The same people with the noise and timesteps of draw `number`."""
    keys = [sample_key(0, number, index) for index in range(len(batch.keys))]
    return replace(batch, keys=torch.tensor(keys))


@torch.no_grad()
def target_loss(stage: Stage, batch: Batch, num_draws: int = 32) -> float:
    """Loss of target views over fixed draws, no condition dropped."""
    stage.module.eval()
    losses: list[Tensor] = []
    for number in range(num_draws):
        losses.append(stage.step(with_draw(batch, 10**6 + number)).logs["target_loss"])
    stage.module.train()
    return torch.stack(losses).mean().item()


def overfit(kind: str, config: Config, out: Path, **people: bool) -> tuple[float, float]:
    """Train on the four people; returns the target loss before and after."""
    stage = build_stage(kind, config)
    batch = four_people(kind, config, stage.clip.image_size, **people)
    trainer = Trainer(stage, config, Accelerator(cpu=True))
    before = target_loss(stage, batch)
    trainer.run((with_draw(batch, number) for number in count()), run=out)
    return before, target_loss(stage, batch)
