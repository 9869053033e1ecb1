"""Defects 12, 13, 17 and 18: what training was told, and which numbers it drew."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from defect_tools import listen
from test_stages import build, change_views, loss
from torch import Tensor
from training_world import KINDS

from jcdm.data.loader import build_loader
from jcdm.diffusion.noising import noise_embeddings
from jcdm.diffusion.schedule import build_prior_scheduler, build_prior_train_scheduler
from jcdm.pipelines.noise import KeyedNoise
from jcdm.pipelines.prior import predict_batch
from jcdm.records import Batch
from jcdm.training.people import training_people

STAGE_2 = ("denoiser", "motion")


def told(stage: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """Tokens (B,T,E) and pose features that the U-Net gets in a training step."""
    calls = listen(stage.denoiser.unet)
    loss(stage, batch, training=True)
    (sample, _), options = calls[0]
    num_pose_channels = stage.denoiser.unet.conv_in.out_channels
    return options["encoder_hidden_states"], sample[:, -num_pose_channels:]


def awake(world: Path, kind: str, **shares: float) -> tuple[Any, Batch]:
    """A stage of part 1 or 2 that drops these shares, its pose guider no longer silent."""
    none = {"drop_prior": 0.0, "drop_pose": 0.0, "drop_all": 0.0}
    stage, batch = build(world, kind, train=none | shares)
    torch.nn.init.ones_(stage.denoiser.pose_guider.conv_out.bias)
    return stage, batch


@pytest.mark.parametrize("kind", STAGE_2)
@pytest.mark.parametrize("share", ["drop_prior", "drop_pose", "drop_all"])
def test_defect_12_dropped_conditions_reach_the_unet_as_the_null(
    world: Path, kind: str, share: str
) -> None:
    stage, batch = awake(world, kind, **{share: 1.0})
    tokens, pose = told(stage, batch)
    null = stage.denoiser.injector.null_tokens(len(batch.keys), 4)
    assert torch.equal(tokens, null) == (share != "drop_pose")
    assert (pose == 0).all() == (share != "drop_prior")
    tokens, pose = told(*awake(world, kind))
    assert not (tokens == null).all(2).any() and not (pose == 0).all(1).any(), "nothing to drop"


def test_defect_12_the_null_is_trained_by_dropped_samples_alone(world: Path) -> None:
    for share in (0.0, 1.0):
        stage, batch = awake(world, "denoiser", drop_prior=share)
        stage.module.train()
        stage.step(batch).loss.backward()
        assert (stage.denoiser.injector.null.grad.abs().sum() > 0) == (share == 1.0)


@pytest.mark.parametrize("kind", STAGE_2)
def test_defect_13_stage_2_is_told_what_the_frozen_prior_predicts(world: Path, kind: str) -> None:
    stage, batch = build(world, kind)
    calls = listen(stage.module)
    loss(stage, batch)
    predicted = predict_batch(
        stage.prior,
        build_prior_scheduler(),
        stage.clip,
        batch,
        num_steps=stage.config.prior.training_steps,
        guidance=1.0,
        noise=KeyedNoise(batch.keys),
    )
    torch.testing.assert_close(calls[0][1]["embeddings"], predicted.embeddings)


@pytest.mark.parametrize("kind", STAGE_2)
def test_defect_13_hidden_views_enter_no_condition(world: Path, kind: str) -> None:
    stage, batch = build(world, kind)
    calls = listen(stage.module)
    for shown in (batch, change_views(batch, references=False)):
        loss(stage, shown)
    before, after = (options for _, options in calls)
    assert before["reference_patches"] is None, "they have a test of their own"
    for name, condition in before.items():
        if name != "reference_patches":
            assert torch.equal(after[name], condition), f"{name} knows what is to be painted"
    loss(stage, change_views(batch, references=True))
    assert not torch.equal(calls[-1][1]["embeddings"], before["embeddings"]), "references do"


@pytest.mark.parametrize("world_size", [2, 3])
def test_defect_17_processes_read_different_people_and_draw_different_numbers(
    world: Path, world_size: int
) -> None:
    stage, _ = build(world, "prior")
    people = training_people("prior", stage.config, stage.clip.image_size)
    ranks = [
        list(islice(_loader(people, rank=rank, world_size=world_size), 6))
        for rank in range(world_size)
    ]
    keys = [{key for batch in batches for key in batch.keys.tolist()} for batches in ranks]
    assert len(set().union(*keys)) == world_size * 6 * 2, "no sample of an epoch is read twice"
    embeddings = torch.zeros(2, 4, 16)
    noisy = [
        noise_embeddings(embeddings, batches[0].keys, build_prior_train_scheduler(), 0.1)
        for batches in ranks
    ]
    numbers = torch.cat([one.noisy for one in noisy])
    assert len(numbers.flatten(1).unique(dim=0)) == 2 * world_size
    assert len(torch.cat([one.timesteps for one in noisy])[:, 0].unique()) > 1


def test_defect_17_a_sample_s_numbers_are_its_own_on_any_process(world: Path) -> None:
    stage, _ = build(world, "prior")
    people = training_people("prior", stage.config, stage.clip.image_size)
    alone = next(_loader(people, rank=0, world_size=1, batch_size=4))
    shared = [next(_loader(people, rank=rank, world_size=2)) for rank in range(2)]
    together = torch.cat([loss(stage, batch).per_sample for batch in shared])
    torch.testing.assert_close(together, loss(stage, alone).per_sample)


def _loader(people: Any, *, rank: int, world_size: int, batch_size: int = 2) -> Iterator[Batch]:
    return build_loader(people, batch_size=batch_size, seed=0, rank=rank, world_size=world_size)


@pytest.mark.parametrize("kind", KINDS)
def test_defect_18_all_views_of_a_sample_share_one_timestep(world: Path, kind: str) -> None:
    stage, batch = build(world, kind)
    calls = listen(stage.module)
    loss(stage, batch)
    timesteps = calls[0][0][1]
    assert len(timesteps) == 4 and len(timesteps.flatten().unique()) > 1, "one a sample"
    if kind != "prior":
        assert timesteps.shape == (4,)
        return
    assert timesteps.shape == (4, 4) and torch.equal(timesteps, timesteps[:, :1].expand(4, 4))
    published, _ = build(world, "prior", prior={"timesteps": "view"})
    calls = listen(published.module)
    loss(published, batch)
    assert not torch.equal(calls[0][0][1], calls[0][0][1][:, :1].expand(4, 4))
