"""The frozen encoders against golden tensors of the published code."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE

TOLERANCE = 1e-4


def read(folder: Path, name: str) -> tuple[dict, dict[str, Tensor], dict[str, Tensor]]:
    config = json.loads((folder / f"{name}.json").read_text())["config"]
    weights = load_file(folder / f"{name}.weights.safetensors")
    return config, weights, load_file(folder / f"{name}.io.safetensors")


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < TOLERANCE


def test_vae(parity_dir: Path) -> None:
    config, weights, golden = read(parity_dir, "vae")
    model = AutoencoderKL(**config)
    model.load_state_dict(weights, strict=True)
    vae = FrozenVAE(model)
    assert (vae.factor, vae.latent_channels, vae.scaling_factor) == (8, 4, 0.18215)
    moments = vae.encode(golden["in.pixels"])
    assert_close(moments.mean, golden["out.mean"])
    assert_close(moments.std, torch.exp(0.5 * golden["out.logvar"]))
    sampled = vae.sample_latents(moments, golden["in.sample_noise"])
    assert_close(sampled / 0.18215, golden["out.sample"])
    assert_close(vae.decode(golden["in.z"] * 0.18215), golden["out.decoded"].clamp(-1, 1))


@pytest.mark.parametrize("through_folder", [False, True])
def test_clip_vision(parity_dir: Path, tmp_path: Path, through_folder: bool) -> None:
    config, weights, golden = read(parity_dir, "clip_vision")
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(**config))
    model.load_state_dict(weights, strict=True)
    if through_folder:
        model.save_pretrained(tmp_path)
    clip = FrozenCLIPVision.from_folder(tmp_path) if through_folder else FrozenCLIPVision(model)
    assert_close(clip.embed(golden["in.pixel_values"]), golden["out.image_embeds"])
    assert_close(clip.embed(torch.zeros(1, 3, 56, 56)), golden["out.zero_image_embeds"])
