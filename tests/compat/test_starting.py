"""Training starts from published weights: all of them, in the right places, and counted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import PriorTransformer, UNet2DConditionModel
from torch import Tensor

from jcdm.compat.start_motion import start_motion
from jcdm.compat.start_prior import UNUSED, start_prior
from jcdm.compat.start_unet import start_unet
from jcdm.config import UNetConfig
from jcdm.errors import CheckpointError
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.unet import unet_config_dict
from tests.compat.official_world import FORMATS, build_models, official_states, save_zip
from tests.compat.single_file import single_file_state
from tests.pipelines.pipeline_factory import (
    APPEARANCE,
    CHANNELS,
    MOTION,
    UNET,
    build_denoiser,
    build_prior,
)

INPUTS = 2 * CHANNELS + 1
WIDE = replace(  # single files do not say the number of heads and groups: 8 and 32 as published
    UNetConfig(),
    block_out_channels=(32, 64, 64),
    attention_levels=(True, True, False),
    cross_attention_dim=12,
)


def pretrained(config: UNetConfig = UNET, in_channels: int = CHANNELS) -> UNet2DConditionModel:
    torch.manual_seed(3)
    arguments = unet_config_dict(config, CHANNELS) | {"in_channels": in_channels}
    return UNet2DConditionModel(**arguments).eval()


def denoiser_of(config: UNetConfig) -> JCDMDenoiser:
    return build_denoiser(unet_config=unet_config_dict(config, CHANNELS))


@torch.no_grad()
def run(denoiser: JCDMDenoiser, latents: Tensor, others: Tensor, tokens: Tensor) -> Tensor:
    """Run a denoiser's U-Net with the given other channels and no pose."""
    width = denoiser.unet.config["block_out_channels"][0]
    pose = torch.zeros(len(latents), width, *latents.shape[-2:])
    sample = torch.cat([latents, others, pose], dim=1)
    return denoiser.unet(sample, 300, tokens, return_dict=False)[0]


def numbers() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = (2, CHANNELS, 8, 8), (2, INPUTS - CHANNELS, 8, 8), (2, 3, 12)
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


@pytest.mark.parametrize("where", ["folder", "pipeline", "old weights", "single file"])
def test_the_pretrained_unet_keeps_its_output_whatever_the_new_inputs_hold(
    tmp_path: Path, where: str
) -> None:
    config = WIDE if where == "single file" else UNET
    plain, denoiser = pretrained(config), denoiser_of(config)
    source = tmp_path
    if where == "single file":
        source = tmp_path / "v1-5.ckpt"
        FORMATS["wrapped"][0](single_file_state(plain.state_dict(), 2), source)
    else:
        folder = tmp_path / "unet" if where == "pipeline" else tmp_path
        plain.save_pretrained(folder)
        if where == "old weights":
            (folder / "diffusion_pytorch_model.safetensors").unlink()
            save_zip(plain.state_dict(), folder / "diffusion_pytorch_model.bin")
    report = start_unet(denoiser, source)
    latents, others, tokens = numbers()
    with torch.no_grad():
        expected = plain(latents, 300, tokens).sample
    assert torch.equal(run(denoiser, latents, others, tokens), expected)
    num_new = 9 * (INPUTS - CHANNELS) * config.block_out_channels[0]
    total = sum(p.numel() for p in denoiser.unet.parameters())
    assert (report.num_loaded, sum(report.fresh.values())) == (total - num_new, num_new)
    assert f"{total - num_new:,} of {total:,} parameters" in str(report)


def test_the_new_inputs_learn(tmp_path: Path) -> None:
    pretrained().save_pretrained(tmp_path)
    denoiser = denoiser_of(UNET)
    start_unet(denoiser, tmp_path)
    latents, others, tokens = numbers()
    run.__wrapped__(denoiser, latents, others, tokens).square().mean().backward()
    assert denoiser.unet.conv_in.weight.grad[:, CHANNELS:].abs().max() > 0


def test_a_unet_with_all_inputs_is_taken_as_it_is(tmp_path: Path) -> None:
    plain = pretrained(in_channels=INPUTS)
    plain.save_pretrained(tmp_path)
    denoiser = denoiser_of(UNET)
    assert not start_unet(denoiser, tmp_path).fresh
    assert torch.equal(denoiser.unet.conv_in.weight, plain.conv_in.weight)


def unet_folder(folder: Path, **changes: Any) -> None:
    pretrained(replace(UNET, **changes)).save_pretrained(folder)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"block_out_channels": (16, 32)}, "has shape"),
        ({"layers_per_block": 2}, "weights unknown"),
        ({"num_heads": 4}, "attention_head_dim 4, but unet.num_heads is 2"),
        ({"norm_num_groups": 2}, "norm_num_groups 2, but unet.norm_num_groups is 4"),
    ],
)
def test_a_unet_of_another_size_is_refused(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    unet_folder(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=expected):
        start_unet(denoiser_of(UNET), tmp_path)


def test_a_unet_of_other_latents_is_refused(tmp_path: Path) -> None:
    pretrained(in_channels=5).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="reads 5 channels, expected 4 or 9"):
        start_unet(denoiser_of(UNET), tmp_path)


def test_a_single_file_of_something_else_is_refused(tmp_path: Path) -> None:
    save_zip({"model.diffusion_model.a": torch.ones(1)}, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=r"no U-Net of Stable Diffusion 1\.x"):
        start_unet(denoiser_of(UNET), tmp_path / "a.ckpt")


def kandinsky(num_layers: int = 3, num_heads: int = 2) -> PriorTransformer:
    torch.manual_seed(4)
    return PriorTransformer(
        num_attention_heads=num_heads,
        attention_head_dim=16 // num_heads,
        num_layers=num_layers,
        embedding_dim=APPEARANCE,
        num_embeddings=4,
    )


@pytest.mark.parametrize("where", ["folder", "file"])
def test_all_blocks_of_the_kandinsky_prior_stand_in_order(tmp_path: Path, where: str) -> None:
    theirs = kandinsky()
    theirs.save_pretrained(tmp_path / "prior")
    prior = build_prior(num_layers=3)
    whole = tmp_path / "prior" / "diffusion_pytorch_model.safetensors"
    report = start_prior(prior, tmp_path if where == "folder" else whole)
    for ours, block in zip(prior.layers, theirs.transformer_blocks, strict=True):
        assert_equal_states(ours.within, block)
    assert_equal_states(prior.appearance_out, theirs.proj_to_clip_embeddings)
    assert_equal_states(prior.noisy_in, theirs.proj_in)
    assert_equal_states(prior.pose_in, theirs.embedding_proj)
    assert_equal_states(prior.timestep_in, theirs.time_embedding)
    assert torch.equal(prior.query, theirs.prd_embedding.flatten())
    assert report.unused == UNUSED
    assert report.fresh["attention across views"] > 0
    total = sum(parameter.numel() for parameter in prior.parameters())
    assert report.num_loaded + sum(report.fresh.values()) == total
    assert "Every pretrained block" in str(report)


def assert_equal_states(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    expected = theirs.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in ours.state_dict().items())


def test_a_started_block_computes_what_the_pretrained_one_does(tmp_path: Path) -> None:
    theirs = kandinsky().eval()
    theirs.save_pretrained(tmp_path)
    prior = build_prior(num_layers=3)
    start_prior(prior, tmp_path)
    tokens = torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(0))
    for ours, block in zip(prior.layers, theirs.transformer_blocks, strict=True):
        assert torch.equal(ours.within(tokens), block(tokens))


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ({"num_layers": 2}, "weights missing, first: transformer_blocks.2"),
        ({"num_layers": 4}, "weights unknown, first: transformer_blocks.3"),
        ({"num_heads": 4}, "num_attention_heads 4, but prior.num_heads is 2"),
    ],
)
def test_a_prior_of_another_size_is_refused(
    tmp_path: Path, theirs: dict[str, int], expected: str
) -> None:
    kandinsky(**theirs).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=expected):
        start_prior(build_prior(num_layers=3), tmp_path)


@pytest.mark.parametrize("middle", [True, False], ids=["v2", "v1 and v3"])
def test_motion_modules_start_from_a_motion_file(tmp_path: Path, middle: bool) -> None:
    models = build_models(motion=True)
    state = official_states(models)["motion"]
    alone = {
        f"module.{name}": tensor
        for name, tensor in state.items()
        if "motion_modules" in name and (middle or not name.startswith("mid_block"))
    }
    save_zip({"state_dict": alone}, tmp_path / "motion.ckpt")
    denoiser = build_denoiser()
    denoiser.add_motion(MOTION | {"max_positions": 9})  # other tables than the file's 6 rows
    report = start_motion(denoiser, tmp_path / "motion.ckpt")
    trained = models["denoiser"].motion.state_dict()
    for name, tensor in denoiser.motion.state_dict().items():
        if not name.endswith("pe") and (middle or not name.startswith("mid_block")):
            assert torch.equal(tensor, trained[name]), name
    assert bool(report.fresh) != middle
    if not middle:
        assert not denoiser.motion.mid_block.proj_out.weight.any()
        assert "mid_block, which the file lacks" in str(report)


def test_the_unet_of_a_whole_motion_file_is_named_as_unused(tmp_path: Path) -> None:
    save_zip(official_states(build_models(motion=True))["motion"], tmp_path / "motion_module-1.pth")
    denoiser = build_denoiser(MOTION)
    before = {name: tensor.clone() for name, tensor in denoiser.unet.state_dict().items()}
    report = start_motion(denoiser, tmp_path / "motion_module-1.pth")
    assert "not used: the U-Net around the motion modules" in str(report)
    assert all(torch.equal(t, before[name]) for name, t in denoiser.unet.state_dict().items())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("drop", "1 weight missing, first: up_blocks"),
        ("table", "not the usual sinusoidal table"),
        ("nan", "not finite"),
    ],
)
def test_a_damaged_motion_file_is_refused(tmp_path: Path, change: str, expected: str) -> None:
    state = official_states(build_models(motion=True))["motion"]
    name = next(name for name in state if "up_blocks.0.motion" in name and "proj_out.b" in name)
    table = next(name for name in state if name.endswith("pe"))
    if change == "drop":
        state.pop(name)
    elif change == "table":
        state[table] = state[table] + 1
    else:
        state[name] = torch.full_like(state[name], torch.nan)
    save_zip(state, tmp_path / "motion.pth")
    with pytest.raises(CheckpointError, match=expected):
        start_motion(build_denoiser(MOTION), tmp_path / "motion.pth")
