"""A second folder of recorded numbers: other sizes everywhere, recorded from our own models.

Its layout and its names are those of the published recording, so that reading it proves that
nothing in the reader is tied to one set of sizes. What is recorded here comes from the models
alone, built with their own arguments, and not through the code that is to be tested.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from fixture_files import list_files
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.compat.official_keys_prior import prior_state_to_official
from jcdm.compat.official_keys_unet import official_from_denoiser
from jcdm.config import MotionConfig
from jcdm.diffusion.schedule import build_prior_scheduler, published_sampling
from jcdm.grid import GridShape, to_grid
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.noise import GeneratorNoise, KeyedNoise
from jcdm.pipelines.outputs import to_uint8
from jcdm.pipelines.prior import predict_appearance
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.records import Batch

EMBED, TOKEN = 20, 12
LATENT = (12, 8)  # of the grid: taller than wide
FACTOR = 4
GUIDERS = {"pose_guider": [4, 6, 8], "pose_guider3d": [6, 4, 10]}
VISIBLE = torch.tensor([True, False, False, True])
KEYS = torch.tensor([11])
SCALES = (1, 3.5)


class Recording:
    """Writes fixtures into a folder; `random` draws from one stream."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stream = torch.Generator().manual_seed(3)

    def random(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.stream)

    def fill(self, module: nn.Module) -> nn.Module:
        """Give every parameter random numbers, also those that start at zero."""
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(0.2 * self.random(*parameter.shape))
        return module.eval()

    def save(
        self,
        name: str,
        tensors: Mapping[str, Tensor] | None = None,
        settings: Any = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        for kind, content in (("io", tensors), ("weights", weights)):
            if content is not None:
                whole = {k: v.detach().contiguous().clone() for k, v in content.items()}
                save_file(whole, self.folder / f"{name}.{kind}.safetensors")
        if settings is not None:
            (self.folder / f"{name}.json").write_text(json.dumps(settings))


def write_other_fixtures(folder: Path) -> None:
    """Record every kind of model and both samplings."""
    recording = Recording(folder)
    with torch.no_grad():
        vae = record_vae(recording)
        clip = record_clip(recording)
    record_prior(recording, "apm_nomotion", num_views=3, motion=False)
    prior = record_prior(recording, "apm_motion", num_views=5, motion=True)
    with torch.no_grad():
        record_prior_sampling(recording, prior, clip)
        record_stage2(recording, vae)
    list_files(folder)


def record_vae(recording: Recording) -> AutoencoderKL:
    config = {
        "down_block_types": ["DownEncoderBlock2D"] * 3,
        "up_block_types": ["UpDecoderBlock2D"] * 3,
        "block_out_channels": [4, 8, 12],
        "layers_per_block": 2,
        "latent_channels": 3,
        "norm_num_groups": 2,
        "scaling_factor": 0.3,
    }
    vae: Any = AutoencoderKL(**config).eval()
    pixels, noise, z = (recording.random(1, 3, *size) for size in ((24, 16), (6, 4), (6, 4)))
    posterior = vae.encode(pixels).latent_dist
    tensors = {
        "in.pixels": pixels,
        "in.sample_noise": noise,
        "in.z": z,
        "out.mean": posterior.mean,
        "out.logvar": posterior.logvar,
        "out.sample": posterior.mean + torch.exp(0.5 * posterior.logvar) * noise,
        "out.decoded": vae.decode(z).sample,
    }
    recording.save("vae", tensors, {"config": config}, vae.state_dict())
    return vae


def record_clip(recording: Recording) -> CLIPVisionModelWithProjection:
    config = {
        "hidden_size": 24,
        "intermediate_size": 20,
        "projection_dim": EMBED,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "image_size": 32,
        "patch_size": 8,
        "hidden_act": "gelu",
    }
    clip: Any = CLIPVisionModelWithProjection(CLIPVisionConfig(**config)).eval()
    pixels = recording.random(2, 3, 32, 32)
    tensors = {
        "in.pixel_values": pixels,
        "out.image_embeds": clip(pixels).image_embeds,
        "out.zero_image_embeds": clip(torch.zeros(1, 3, 32, 32)).image_embeds,
    }
    recording.save("clip_vision", tensors, {"config": config}, clip.state_dict())
    return clip


def record_prior(
    recording: Recording, name: str, *, num_views: int, motion: bool
) -> AppearancePriorTransformer:
    prior: Any = recording.fill(
        AppearancePriorTransformer(
            embed_dim=EMBED,
            num_layers=3,
            num_heads=2,
            head_dim=12,
            pose_hidden_dim=10,
            attend_across_views=motion,
            num_view_heads=3,
            max_views=7,
            visibility_embedding="clip_constant",
        )
    )
    noisy, target, image, mask = (recording.random(3, num_views, EMBED) for _ in range(4))
    pose, steps = recording.random(3, num_views, 36), torch.arange(3 * num_views) * 60
    conditions = {
        "pose": pose,
        "reference_appearance": image,
        "visibility_embeds": mask,
        "visible": torch.ones(3, num_views, dtype=torch.bool),
    }
    predicted = prior(noisy, steps.view(3, num_views), **conditions)
    loss = (predicted - target).square().mean()
    loss.backward()
    tensors = {
        "in.hidden_states": noisy.flatten(0, 1),
        "in.grad_target": target.flatten(0, 1),
        "in.img_embeds": image.flatten(0, 1)[:, None],
        "in.mask_embeds": mask.flatten(0, 1)[:, None],
        "in.pose": pose.flatten(0, 1),
        "in.timestep": steps,
        "out.pred": predicted.flatten(0, 1),
        "out.pred_t77": prior(noisy, 77, **conditions).flatten(0, 1),
        "out.loss": loss,
        "grad.proj_in.weight": prior.noisy_in.weight.grad,
    }
    config = {"num_attention_heads": 2, "motion_module_kwargs": {"num_attention_heads": 3}}
    weights = prior_state_to_official(prior.state_dict())
    recording.save(name, tensors, {"config": config, "num_views": num_views}, weights)
    return prior


def record_prior_sampling(recording: Recording, prior: Any, clip: Any) -> None:
    views, steps = 6, 4
    pose, image, mask = (recording.random(1, views, n) for n in (36, EMBED, EMBED))
    conditions = {
        "pose": pose,
        "reference_appearance": image,
        "visibility_embeds": mask,
        "visible": torch.ones(1, views, dtype=torch.bool),
        "contrast": "published",
    }

    def sample(noise: Any, scale: float) -> Tensor:
        scheduler = build_prior_scheduler()
        options = conditions | {"num_steps": steps, "guidance": scale, "noise": noise}
        return predict_appearance(prior, scheduler, **options).embeddings[0]

    draws = [KeyedNoise(KEYS).normal(f"prior_step_{i}", (views, EMBED))[0] for i in range(3)]
    tensors = {
        "in.latents": KeyedNoise(KEYS).normal("prior_start", (views, EMBED))[0],
        "in.pose": pose[0],
        "in.img_embeds": image[0, :, None],
        "in.mask_embeds": mask[0, :, None],
        "seed7.image_embeds": sample(GeneratorNoise(torch.Generator().manual_seed(7), 1), 1),
        "sched.timesteps_3steps": torch.tensor([999, 500, 0]),
    }
    zeros = clip(torch.zeros(1, 3, 32, 32)).image_embeds.expand(views, -1)
    for scale in (1, 1.5):
        tensors |= {
            f"g{scale}.step_noise": torch.stack(draws),
            f"g{scale}.image_embeds": sample(KEYS, scale),
            f"g{scale}.negative_image_embeds": zeros,
        }
    settings = {
        "weights": "apm_motion.weights.safetensors (APM), clip_vision.weights.safetensors (CLIP)",
        "scheduler_config": {"clip_sample_range": 10.0, "prediction_type": "sample"},
        "num_inference_steps": steps,
    }
    recording.save("stage1_pipeline", tensors, settings)


def build_denoiser(recording: Recording, guider: str, *, motion: bool) -> JCDMDenoiser:
    widths, groups = ((32, 64), 16) if motion else ((8, 16), 4)
    config = {
        "in_channels": 7,
        "out_channels": 3,
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
        "block_out_channels": list(widths),
        "layers_per_block": 1 if motion else 2,
        "norm_num_groups": groups,
        "cross_attention_dim": TOKEN,
        "attention_head_dim": 2 if motion else [2, 4],
    }
    motion_config = MotionConfig(num_heads=4, max_positions=9, width_divisor=2)
    denoiser = JCDMDenoiser(
        grid_rows=2,
        grid_cols=2,
        latent_channels=3,
        vae_factor=FACTOR,
        appearance_dim=EMBED,
        unet_config=config,
        guider_channels=GUIDERS[guider],
        jci_config={"kind": "linear"},
        motion_config=asdict(motion_config) if motion else None,
    )
    return recording.fill(denoiser)  # type: ignore[return-value]


def record_stage2(recording: Recording, vae: AutoencoderKL) -> None:
    plain = build_denoiser(recording, "pose_guider", motion=False)
    moving = build_denoiser(recording, "pose_guider3d", motion=True)
    moving.injector.load_state_dict(plain.injector.state_dict())
    grid = torch.randint(256, (2, 3, 48, 32), generator=recording.stream).byte()
    tensors = {
        "in.image_u8": grid,
        "out.feature": plain.pose_guider(grid / 255),
        "out3d.feature": framed(moving.pose_guider(grid / 255)),
    }
    settings = {
        name: {"conditioning_embedding_channels": width, "block_out_channels": GUIDERS[name]}
        for name, width in (("pose_guider", 8), ("pose_guider3d", 32))
    }
    recording.save("pose_guider", tensors, settings)
    official = [official_from_denoiser(denoiser.state_dict()) for denoiser in (plain, moving)]
    recording.save("linear_emb", weights=official[0].linear_emb)
    recording.save("pose_guider", weights=official[0].pose_guider)
    recording.save("pose_guider3d", weights=official[1].pose_guider)
    recording.save("unet2d", weights=official[0].unet)
    recording.save("unet3d", weights=official[1].unet)
    record_unet(recording, "unet2d", plain)
    record_unet(recording, "unet3d", moving)
    record_view_sampling(recording, "pipeline_no_motion", plain, vae)
    record_view_sampling(recording, "pipeline_motion", moving, vae)


def framed(tensor: Tensor) -> Tensor:
    """Add the length-1 frame axis of the published 3-D models."""
    return tensor.unsqueeze(-3)


@torch.enable_grad()
def record_unet(recording: Recording, name: str, denoiser: Any) -> None:
    unet, motion = denoiser.unet, denoiser.motion
    sample, target = recording.random(3, 7, *LATENT), recording.random(3, 3, *LATENT)
    pose = recording.random(3, unet.config.block_out_channels[0], *LATENT)
    tokens, steps = recording.random(3, 5, TOKEN), torch.tensor([0, 999, 50])

    def predict(pose: Tensor, steps: Tensor, items: slice = slice(None)) -> Tensor:
        return unet(torch.cat([sample, pose], 1)[items], steps, tokens[items]).sample

    predicted = predict(pose, steps)
    loss = (predicted - target).square().mean()
    loss.backward()
    grids = {
        "in.sample": sample,
        "in.pose_cond_fea": pose,
        "in.grad_target": target,
        "out.sample": predicted,
        "out.sample_without_pose": predict(0 * pose, steps),
        "out.sample_first_item_t250": predict(pose, torch.tensor(250), slice(1)),
    }
    tensors = {key: framed(t) if motion else t for key, t in grids.items()} | {
        "in.encoder_hidden_states": tokens,
        "in.timestep": steps,
        "out.loss": loss,
        "grad.conv_out.bias": unet.conv_out.bias.grad,
    }
    if motion:
        key = "grad.mid_block.motion_modules.0.temporal_transformer.proj_in.weight"
        tensors[key] = motion.mid_block.proj_in.weight.grad
    recording.save(name, tensors, unet_settings(unet, motion))


def unet_settings(unet: Any, motion: Any) -> dict[str, Any]:
    names = ("in_channels", "out_channels", "down_block_types", "up_block_types")
    names += ("block_out_channels", "layers_per_block", "norm_num_groups")
    names += ("cross_attention_dim", "attention_head_dim")
    config = {name: unet.config[name] for name in names}
    if motion is None:
        return {"config": config, "additional_kwargs": {}}
    for side in ("down_block_types", "up_block_types"):
        config[side] = [kind.replace("2D", "3D") for kind in config[side]]
    given = {
        "num_attention_heads": 4,
        "temporal_position_encoding_max_len": 9,
        "temporal_attention_dim_div": 2,
    }
    additional = {"use_motion_module": True, "motion_module_kwargs": given}
    return {
        "config": config | {"mid_block_type": "UNetMidBlock3DCrossAttn"},
        "additional_kwargs": additional,
    }


def record_view_sampling(
    recording: Recording, name: str, denoiser: JCDMDenoiser, vae: AutoencoderKL
) -> None:
    images, poses = (
        torch.randint(256, (1, 4, 3, 24, 16), generator=recording.stream) for _ in range(2)
    )
    images = torch.where(VISIBLE.view(1, 4, 1, 1, 1), images, 0)
    embeddings = recording.random(1, 4, EMBED)
    grid, noise = GridShape(), KeyedNoise(KEYS)
    shape = (4, 3, LATENT[0] // 2, LATENT[1] // 2)
    tensors = {
        "in.pred_embeds": embeddings,
        "in.encoder_hidden_states": denoiser.injector(embeddings, VISIBLE[None]),
        "in.initial_noise": to_grid(noise.normal("latents", shape), grid),
        "in.masked_image_u8": to_grid(images, grid)[0].permute(1, 2, 0).byte(),
        "in.pose_image_u8": to_grid(poses, grid)[0].permute(1, 2, 0).byte(),
        "in.flag": torch.kron(VISIBLE.view(2, 2), torch.ones(shape[2:]))[None],
        "mid.timesteps": torch.tensor([999, 666, 332]),
    }
    tensors |= sample_views(denoiser, vae, recorded_batch(images, poses), embeddings)
    if denoiser.motion is not None:
        tensors = {k: framed(t) if "latents" in k else t for k, t in tensors.items()}
    recording.save(name, tensors, sampling_settings(moving=denoiser.motion is not None))


def recorded_batch(images: Tensor, poses: Tensor) -> Batch:
    """One grid of images and pose maps (1,4,3,H,W) in 0..255, without what paints no picture."""
    return Batch(
        images=images / 127.5 - 1,
        pose_maps=poses / 255,
        clip_pixels=torch.zeros(1, 4, 3, 1, 1),
        keypoints=torch.zeros(1, 4, 18, 2),
        keypoint_valid=torch.zeros(1, 4, 18, dtype=torch.bool),
        visible=VISIBLE[None],
        present=torch.ones(1, 4, dtype=torch.bool),
        subjects=("recorded",),
        keys=KEYS,
    )


def sample_views(
    denoiser: JCDMDenoiser, vae: AutoencoderKL, batch: Batch, embeddings: Tensor
) -> dict[str, Tensor]:
    """Latents after each of three steps and the picture, at every scale of guidance."""
    absent: Any = None
    pipeline = JCDMPipeline(
        vae, absent, absent, denoiser, published_sampling(), build_prior_scheduler(), layout="grid"
    )
    pipeline.set_progress_bar_config(disable=True)
    tensors = {}
    for scale in SCALES:
        steps: list[Tensor] = []
        _, latents = pipeline.paint(
            batch,
            KeyedNoise(KEYS),
            SamplingOptions(num_steps=3, guidance_scale=scale),
            embeddings=embeddings,
            callback=lambda _pipe, _i, _t, seen, to=steps: to.append(seen["latents"]),
        )
        tensors |= {
            f"g{scale}.latents_after_step": torch.stack(steps),
            f"g{scale}.final_latents": latents,
            f"g{scale}.image_u8": to_uint8(pipeline.decode_grids(latents))[0].permute(1, 2, 0),
        }
    return tensors


def sampling_settings(*, moving: bool) -> dict[str, Any]:
    """What the published code would have been asked for."""
    kinds = ("unet3d", "pose_guider3d") if moving else ("unet2d", "pose_guider")
    return {
        "weights": dict(zip(("unet", "pose_guider"), kinds, strict=True))
        | {"vae": "vae", "linear_emb": "linear_emb"},
        "scheduler_kwargs": {"beta_schedule": "linear", "prediction_type": "v_prediction"},
        "num_inference_steps": 3,
        "guidance_scales": [float(scale) for scale in reversed(SCALES)],
        "visible_situation_0_visible": (~VISIBLE).int().tolist(),
        "height": 48,
        "width": 32,
    }
