"""Stage 2 against golden tensors of the published implementation."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from jcdm.compat.official_keys_unet import (
    OfficialStage2,
    denoiser_from_official,
    official_from_denoiser,
    our_motion_key,
    split_official_unet,
)
from jcdm.config import MotionConfig, UNetConfig
from jcdm.grid import GridShape, from_grid
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.motion import MotionModules
from jcdm.models.pose_guider import PoseGuider
from jcdm.models.unet import build_unet, unet_config_dict

FORWARD_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
LOSS_TOLERANCE = 1e-5
MOTION = MotionConfig(num_heads=8, norm_num_groups=32, max_positions=32)


def read(folder: Path, name: str) -> dict[str, Tensor]:
    """Read golden tensors, their length-1 frame axis taken away."""
    tensors = load_file(folder / f"{name}.io.safetensors")
    return {key: value.squeeze(2) if value.ndim == 5 else value for key, value in tensors.items()}


def read_json(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.json").read_text())


def unet_arguments(folder: Path, name: str) -> dict:
    config = read_json(folder, name)["config"]
    for side in ("down_block_types", "up_block_types"):
        config[side] = [kind.replace("3D", "2D") for kind in config[side]]
    config.pop("mid_block_type", None)
    return config


def relative_error(found: Tensor, golden: Tensor) -> float:
    return float((found.detach() - golden).norm() / golden.norm())


def max_error(found: Tensor, golden: Tensor) -> float:
    assert found.shape == golden.shape
    return float((found.detach() - golden).abs().max())


@pytest.mark.parametrize(
    ("name", "output"), [("pose_guider", "out.feature"), ("pose_guider3d", "out3d.feature")]
)
def test_pose_guider(parity_dir: Path, name: str, output: str) -> None:
    config = read_json(parity_dir, "pose_guider")[name]
    guider = PoseGuider(
        out_channels=config["conditioning_embedding_channels"],
        block_out_channels=config["block_out_channels"],
    )
    guider.load_state_dict(load_file(parity_dir / f"{name}.weights.safetensors"))
    golden = read(parity_dir, "pose_guider")
    found = guider(golden["in.image_u8"] / 255)
    assert max_error(found, golden[output]) < FORWARD_TOLERANCE


def load_unet(folder: Path, name: str) -> tuple[nn.Module, MotionModules | None]:
    unet = build_unet(unet_arguments(folder, name))
    weights, motion_weights = split_official_unet(load_file(folder / f"{name}.weights.safetensors"))
    unet.load_state_dict(weights)
    if not motion_weights:
        return unet, None
    motion = MotionModules(unet, GridShape(), MOTION)
    motion.load_state_dict(motion_weights)
    motion.attach(unet)
    return unet, motion


@pytest.mark.parametrize("name", ["unet2d", "unet3d"])
def test_unet_forward(parity_dir: Path, name: str) -> None:
    unet, _ = load_unet(parity_dir, name)
    golden = read(parity_dir, name)
    sample, pose = golden["in.sample"], golden["in.pose_cond_fea"]
    tokens = golden["in.encoder_hidden_states"]

    def run(pose: Tensor, timesteps: Tensor, items: slice) -> Tensor:
        stem_input = torch.cat([sample, pose], dim=1)[items]
        return unet(stem_input, timesteps, tokens[items], return_dict=False)[0]

    everything, first = slice(None), slice(1)
    with torch.no_grad():
        for key, found in {
            "out.sample": run(pose, golden["in.timestep"], everything),
            "out.sample_without_pose": run(0 * pose, golden["in.timestep"], everything),
            "out.sample_first_item_t500": run(pose, torch.tensor(500), first),
        }.items():
            assert max_error(found, golden[key]) < FORWARD_TOLERANCE, key


@pytest.mark.parametrize("name", ["unet2d", "unet3d"])
def test_unet_gradients(parity_dir: Path, name: str) -> None:
    unet, motion = load_unet(parity_dir, name)
    golden = read(parity_dir, name)
    inputs = {
        key: golden[f"in.{key}"].requires_grad_()
        for key in ("pose_cond_fea", "encoder_hidden_states")
    }
    stem_input = torch.cat([golden["in.sample"], inputs["pose_cond_fea"]], dim=1)
    found = unet(
        stem_input, golden["in.timestep"], inputs["encoder_hidden_states"], return_dict=False
    )[0]
    loss = F.mse_loss(found, golden["in.grad_target"])
    loss.backward()
    assert loss.item() == pytest.approx(golden["out.loss"].item(), rel=LOSS_TOLERANCE)
    parameters = dict(unet.named_parameters()) | {f"in.{k}": v for k, v in inputs.items()}
    motion_parameters = dict(motion.named_parameters()) if motion else {}
    checked = 0
    for key in (k.removeprefix("grad.") for k in golden if k.startswith("grad.")):
        ours = our_motion_key(key)
        parameter = parameters[key] if ours is None else motion_parameters[ours]
        assert relative_error(parameter.grad, golden[f"grad.{key}"]) < GRADIENT_TOLERANCE, key
        checked += 1
    assert checked == {"unet2d": 12, "unet3d": 9}[name]


def load_denoiser(folder: Path, weights: dict[str, str]) -> JCDMDenoiser:
    """Build a denoiser from the published files that a training step's JSON names."""
    state = {
        part: load_file(folder / f"{name}.weights.safetensors") for part, name in weights.items()
    }
    guider = read_json(folder, "pose_guider")[weights["pose_guider"]]
    has_motion = any("motion_modules" in key for key in state["unet"])
    denoiser = JCDMDenoiser(
        grid_rows=2,
        grid_cols=2,
        latent_channels=4,
        vae_factor=8,
        appearance_dim=state["linear_emb"]["weight"].shape[1],
        unet_config=unet_arguments(folder, weights["unet"]),
        guider_channels=guider["block_out_channels"],
        jci_config={"kind": "linear", "num_tokens": 4, "num_heads": 1, "num_layers": 1},
        motion_config=asdict(MOTION) if has_motion else None,
    )
    denoiser.load_state_dict(denoiser_from_official(OfficialStage2(**state)))
    return denoiser


def training_inputs(golden: dict[str, Tensor]) -> dict[str, Tensor]:
    """Cut the recorded grids into the views that our denoiser is told of."""
    grid = GridShape()
    return {
        "embeddings": golden["in.clip_embeds"],
        "visible": from_grid(golden["in.flag"], grid).flatten(2).mean(-1).bool(),
        "pose_maps": from_grid(golden["in.pose_u8"] / 255, grid),
        "reference_latents": from_grid(golden["in.masked_latents"], grid),
    }


def noisy_and_target(golden: dict[str, Tensor], settings: dict) -> tuple[Tensor, Tensor, Tensor]:
    """Noise the latents as published; returns (noisy, v target, min-SNR weights)."""
    schedule = DDIMScheduler(**settings["scheduler_kwargs"])
    noise = golden["in.base_noise"] + settings["noise_offset"] * golden["in.offset_noise"].view(
        2, 4, 1, 1
    )
    latents, timesteps = golden["in.latents"], golden["in.timesteps"]
    kept = schedule.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
    target = kept.sqrt() * noise - (1 - kept).sqrt() * latents
    snr = (kept / (1 - kept)).flatten()
    return noisy, target, (snr + 1).clamp(max=settings["snr_gamma"]) / (snr + 1)


def gradient_of(denoiser: JCDMDenoiser, official_key: str) -> Tensor:
    part, _, key = official_key.partition(".")
    if part == "denoising_unet":
        motion_key = our_motion_key(key)
        name = f"unet.{key}" if motion_key is None else f"motion.{motion_key}"
    else:
        name = f"injector.projection.{key}" if part == "linear_emb" else official_key
    gradient = denoiser.get_parameter(name).grad
    assert gradient is not None, name
    return gradient


@pytest.mark.parametrize(("part", "stage"), [("part1", "denoiser"), ("part2", "motion")])
def test_training_step(parity_dir: Path, part: str, stage: str) -> None:
    name = f"train_step_stage2_{part}"
    settings, golden = read_json(parity_dir, name), read(parity_dir, name)
    denoiser = load_denoiser(parity_dir, settings["weights"])
    denoiser.freeze_for(stage)
    noisy, target, weights = noisy_and_target(golden, settings)
    found = denoiser(noisy, golden["in.timesteps"], **training_inputs(golden))
    loss = (weights * (found - target).square().mean(dim=(1, 2, 3))).mean()
    loss.backward()
    assert max_error(noisy, golden["mid.noisy_latents"]) < LOSS_TOLERANCE
    assert max_error(target, golden["mid.target_v"]) < LOSS_TOLERANCE
    assert max_error(found, golden["out.pred"]) < FORWARD_TOLERANCE
    assert loss.item() == pytest.approx(golden["out.loss"].item(), rel=LOSS_TOLERANCE)
    trained = [p for p in denoiser.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == settings["num_trainable"]
    norm = torch.stack([p.grad.norm() for p in trained if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(golden["out.grad_norm_trainable"].item(), rel=1e-3)
    for key in (k.removeprefix("grad.") for k in golden if k.startswith("grad.")):
        error = relative_error(gradient_of(denoiser, key), golden[f"grad.{key}"])
        assert error < GRADIENT_TOLERANCE, key


def test_full_size_layout(parity_dir: Path) -> None:
    """Our defaults have every key and shape of the published full-size files, and no other."""
    with torch.device("meta"):
        denoiser = JCDMDenoiser(
            grid_rows=2,
            grid_cols=2,
            latent_channels=4,
            vae_factor=8,
            appearance_dim=1280,
            unet_config=unet_config_dict(UNetConfig(), 4),
            guider_channels=UNetConfig().pose_guider_channels,
            jci_config={"kind": "linear"},
            motion_config=asdict(MotionConfig()),
        )
    published = read_json(parity_dir, "keys_full")
    ours = official_from_denoiser(denoiser.state_dict())
    unet = published["unet2d_stage2_part1"]["keys"]
    unet |= published["unet3d_stage2_part2"]["motion_keys"]
    for found, golden in (
        (ours.unet, unet),
        (ours.pose_guider, published["pose_guider"]["keys"]),
        (ours.linear_emb, published["linear_emb"]["keys"]),
    ):
        assert {k: list(v.shape) for k, v in found.items()} == {k: v[0] for k, v in golden.items()}
