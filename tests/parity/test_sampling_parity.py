"""Sampling of both stages against recorded latents and pictures of the published pipelines."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.compat.official_keys_prior import prior_config_from_official, prior_state_from_official
from jcdm.compat.official_keys_unet import OfficialStage2, denoiser_from_official
from jcdm.diffusion.schedule import build_prior_scheduler, prior_timesteps, published_sampling
from jcdm.grid import GridShape, from_grid
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.noise import GeneratorNoise
from jcdm.pipelines.outputs import to_uint8
from jcdm.pipelines.prior import predict_appearance
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.records import Batch

LATENTS, PICTURE_LEVELS = 1e-3, 1
MOTION = {
    "axis": "views",
    "num_heads": 8,
    "norm_num_groups": 32,
    "max_positions": 32,
    "num_frames": 1,
}


class RecordedNoise:
    """Noise that was written down: one tensor (B,...) a call, in the order of the calls."""

    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = list(tensors)

    def normal(self, purpose: str, shape: Any) -> Tensor:
        found = self.tensors.pop(0)
        assert found.shape[1:] == torch.Size(shape), purpose
        return found

    def generators(self) -> list[torch.Generator]:
        return []


def load_prior(folder: Path) -> AppearancePriorTransformer:
    state = prior_state_from_official(load_file(folder / "apm_motion.weights.safetensors"))
    prior = AppearancePriorTransformer(**prior_config_from_official(state, num_heads=4))
    prior.load_state_dict(state)
    return prior.eval()


def predict(folder: Path, golden: dict[str, Tensor], noise: Any) -> Tensor:
    prior_views = {
        "pose": golden["in.pose"][None],
        "reference_appearance": golden["in.img_embeds"][None, :, 0],
        "visibility_embeds": golden["in.mask_embeds"][None, :, 0],
    }
    out = predict_appearance(
        load_prior(folder),
        build_prior_scheduler(),
        **prior_views,
        visible=torch.tensor([[True, True, False, False]]),
        num_steps=5,
        noise=noise,
    )
    return out.embeddings[0]


@pytest.mark.parametrize("guidance", ["g1", "g2"])
def test_prior_sampling(parity_dir: Path, guidance: str) -> None:
    """The published guidance gives both halves the same conditions: its scale 2 equals 1."""
    golden = load_file(parity_dir / "stage1_pipeline.io.safetensors")
    noise = RecordedNoise(golden["in.latents"][None], *golden[f"{guidance}.step_noise"][:, None])
    found = predict(parity_dir, golden, noise)
    assert not noise.tensors
    assert (found - golden[f"{guidance}.image_embeds"]).abs().max() < LATENTS


def test_prior_sampling_from_a_seed(parity_dir: Path) -> None:
    golden = load_file(parity_dir / "stage1_pipeline.io.safetensors")
    noise = GeneratorNoise(torch.Generator().manual_seed(42), 1)
    found = predict(parity_dir, golden, noise)
    assert (found - golden["seed42.image_embeds"]).abs().max() < LATENTS


def test_prior_timesteps(parity_dir: Path) -> None:
    golden = load_file(parity_dir / "stage1_pipeline.io.safetensors")
    scheduler = build_prior_scheduler()
    assert prior_timesteps(scheduler, 5) == golden["g1.timesteps"].tolist()
    assert prior_timesteps(scheduler, 20) == golden["sched.timesteps_20steps"].tolist()


def read_json(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"{name}.json").read_text())


def load_denoiser(folder: Path, unet: str, guider: str) -> JCDMDenoiser:
    config = read_json(folder, unet)["config"]
    config.pop("mid_block_type", None)
    for side in ("down_block_types", "up_block_types"):
        config[side] = [kind.replace("3D", "2D") for kind in config[side]]
    names = {"unet": unet, "pose_guider": guider, "linear_emb": "linear_emb"}
    weights = {k: load_file(folder / f"{v}.weights.safetensors") for k, v in names.items()}
    denoiser = JCDMDenoiser(
        grid_rows=2,
        grid_cols=2,
        latent_channels=4,
        vae_factor=8,
        appearance_dim=48,
        unet_config=config,
        guider_channels=read_json(folder, "pose_guider")[guider]["block_out_channels"],
        jci_config={"kind": "linear"},
        motion_config=MOTION if unet == "unet3d" else None,
    )
    denoiser.load_state_dict(denoiser_from_official(OfficialStage2(**weights)))
    return denoiser.eval()


def load_pipeline(folder: Path, unet: str, guider: str) -> JCDMPipeline:
    vae = AutoencoderKL(**read_json(folder, "vae")["config"])
    vae.load_state_dict(load_file(folder / "vae.weights.safetensors"))
    clip = CLIPVisionConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    pipeline = JCDMPipeline(
        vae=vae.eval(),
        image_encoder=CLIPVisionModelWithProjection(clip),
        prior=load_prior(folder),
        denoiser=load_denoiser(folder, unet, guider),
        scheduler=published_sampling(),
        prior_scheduler=build_prior_scheduler(),
        layout="grid",
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def recorded_batch(golden: dict[str, Tensor]) -> Batch:
    def views(name: str) -> Tensor:
        grid = golden[name].permute(2, 0, 1)[None].float() / 255
        return from_grid(grid, GridShape())

    return Batch(
        images=views("in.masked_image_u8") * 2 - 1,
        pose_maps=views("in.pose_image_u8"),
        clip_pixels=torch.zeros(1, 4, 3, 1, 1),
        keypoints=torch.zeros(1, 4, 18, 2),
        keypoint_valid=torch.zeros(1, 4, 18, dtype=torch.bool),
        visible=torch.tensor([[True, True, False, False]]),
        present=torch.ones(1, 4, dtype=torch.bool),
        subjects=("golden",),
        keys=torch.zeros(1, dtype=torch.int64),
    )


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize(
    ("name", "unet", "guider"),
    [
        ("pipeline_no_motion", "unet2d", "pose_guider"),
        ("pipeline_motion", "unet3d", "pose_guider3d"),
    ],
)
def test_image_sampling(parity_dir: Path, name: str, unet: str, guider: str, scale: int) -> None:
    golden = load_file(parity_dir / f"{name}.io.safetensors")
    pipeline = load_pipeline(parity_dir, unet, guider)
    steps: list[Tensor] = []
    noise = RecordedNoise(from_grid(golden["in.initial_noise"], GridShape()))
    _, latents = pipeline.paint(
        recorded_batch(golden),
        noise,
        SamplingOptions(num_steps=5, guidance_scale=scale),
        embeddings=golden["in.pred_embeds"],
        callback=lambda _pipe, _i, _t, tensors: steps.append(tensors["latents"]),
    )
    for found, expected in zip(steps, golden[f"g{scale}.latents_after_step"], strict=True):
        expected = expected.reshape(1, 4, 16, 24)  # without the length-1 frame axis
        assert found.shape == expected.shape
        assert (found - expected).abs().max() < LATENTS
    picture = to_uint8(pipeline.decode_grids(latents))[0].permute(1, 2, 0).numpy()
    gap = np.abs(picture.astype(int) - golden[f"g{scale}.image_u8"].numpy().astype(int)).max()
    assert gap <= PICTURE_LEVELS


def test_reference_latents(parity_dir: Path) -> None:
    golden = load_file(parity_dir / "pipeline_no_motion.io.safetensors")
    pipeline = load_pipeline(parity_dir, "unet2d", "pose_guider")
    found = pipeline.reference_latents(recorded_batch(golden))
    expected = from_grid(golden["mid.masked_latents"], GridShape())
    assert (found - expected).abs().max() < 1e-4
