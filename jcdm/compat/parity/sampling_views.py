"""Stage 2: sampling of a painted grid at every recorded guidance scale."""

from collections.abc import Iterator
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from jcdm.compat.parity.comparison import (
    EXACT,
    FORWARD,
    LATENTS,
    LEVELS,
    UNIT_LEVELS,
    Row,
    compare,
)
from jcdm.compat.parity.fixtures import FixtureFolder, guidance_scales
from jcdm.compat.parity.grids import assembly_rows, shown_views
from jcdm.compat.parity.loading import GRID, load_denoiser, load_vae
from jcdm.compat.parity.schedulers import scheduler_row
from jcdm.compat.parity.watching import RecordedNoise, Seen, watch
from jcdm.diffusion.guidance import guide
from jcdm.diffusion.schedule import build_prior_scheduler, published_sampling
from jcdm.grid import from_grid, to_grid
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.outputs import to_output, to_uint8
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.records import NUM_KEYPOINTS, Batch

Tensors = dict[str, Tensor]

_TOLERANCES = {"image_u8": LEVELS, "image_np": UNIT_LEVELS}


@torch.no_grad()
def compare_view_sampling(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare a whole sampling run: conditions, every step, latents and pictures."""
    golden, settings = fixtures.tensors(name), fixtures.settings(name)
    pipeline = _load_pipeline(fixtures, settings["weights"])
    row_name = f"{name}/scheduler_kwargs"
    yield scheduler_row(row_name, pipeline.scheduler, settings["scheduler_kwargs"])
    batch = _recorded_batch(golden, shown_views(settings))
    for tag, scale in guidance_scales(golden, settings):
        options = SamplingOptions(num_steps=settings["num_inference_steps"], guidance_scale=scale)
        seen, found = _paint(pipeline, batch, golden, options)
        for key in (key for key in found if f"{tag}.{key}" in golden):
            tolerance = _TOLERANCES.get(key, LATENTS)
            expected = golden[f"{tag}.{key}"]
            yield compare(f"{name}/{tag}.{key}", found[key], expected, tolerance)
    yield from _condition_rows(name, pipeline, batch, seen, golden)
    yield from assembly_rows(name, golden, settings)


def _load_pipeline(fixtures: FixtureFolder, files: dict[str, str]) -> JCDMPipeline:
    """Build the pipeline without prior and CLIP: the recorded runs are given their embeddings."""
    absent: Any = None
    schedulers: Any = (published_sampling(), build_prior_scheduler())
    pipeline = JCDMPipeline(
        vae=load_vae(fixtures, files["vae"]).model,
        image_encoder=absent,
        prior=absent,
        denoiser=load_denoiser(fixtures, files),
        scheduler=schedulers[0],
        prior_scheduler=schedulers[1],
        layout="grid",
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _recorded_batch(golden: Tensors, visible: Tensor) -> Batch:
    """Cut the recorded grids, pictures in 8 bits, into the views of one person."""
    images, poses = (
        from_grid(rearrange(golden[name], "h w c -> 1 c h w").float() / 255, GRID)
        for name in ("in.masked_image_u8", "in.pose_image_u8")
    )
    num_views = GRID.num_views
    return Batch(
        images=images * 2 - 1,
        pose_maps=poses,
        clip_pixels=torch.zeros(1, num_views, 3, 1, 1),
        keypoints=torch.zeros(1, num_views, NUM_KEYPOINTS, 2),
        keypoint_valid=torch.zeros(1, num_views, NUM_KEYPOINTS, dtype=torch.bool),
        visible=visible[None],
        present=torch.ones(1, num_views, dtype=torch.bool),
        subjects=("recorded",),
        keys=torch.zeros(1, dtype=torch.int64),
    )


def _paint(
    pipeline: JCDMPipeline, batch: Batch, golden: Tensors, options: SamplingOptions
) -> tuple[Seen, Tensors]:
    """Sample with recorded noise; returns what passed by, and the results by recorded names."""
    denoiser, steps = pipeline.denoiser, []
    outputs = {
        "halves": denoiser.unet,
        "pose": denoiser.pose_guider,
        "tokens": denoiser.injector,
    }
    inputs = {"input": (denoiser.unet, 0), "timesteps": (denoiser.unet, 1)}
    with watch(outputs, inputs) as seen:
        _, latents = pipeline.paint(
            batch,
            RecordedNoise([from_grid(golden["in.initial_noise"], GRID)]),
            options,
            embeddings=golden["in.pred_embeds"],
            callback=lambda _pipe, _i, _t, tensors: steps.append(tensors["latents"]),
        )
    halves = torch.stack(seen["halves"])  # one person: a half holds one grid
    decoded = pipeline.decode_grids(latents)
    return (
        seen,
        {
            "unet_out": halves.flip(1),  # theirs: null first
            "pred_after_guidance": guide(halves[:, :1], halves[:, -1:], options.guidance_scale),
            "latents_after_step": torch.stack(steps),
            "final_latents": latents,
            "image_u8": rearrange(to_uint8(decoded), "1 c h w -> h w c"),
            "image_np": torch.from_numpy(to_output(decoded, "np")),
        },
    )


def _condition_rows(
    name: str, pipeline: JCDMPipeline, batch: Batch, seen: Seen, golden: Tensors
) -> Iterator[Row]:
    """Compare what the U-Net is told, which no guidance scale changes."""
    num_inputs = pipeline.denoiser.unet.conv_in.in_channels
    given = seen["input"][0][:1, :num_inputs]
    num_latents = golden["in.initial_noise"].shape[1]
    found = {
        "mid.masked_latents": to_grid(pipeline.reference_latents(batch), GRID),
        "mid.pose_feature": seen["pose"][0],
        "mid.first_unet_input": given,
        "in.encoder_hidden_states": seen["tokens"][0],
        "in.flag": given[0, num_latents : num_latents + 1],
    }
    for key in (key for key in found if key in golden):
        yield compare(f"{name}/{key}", found[key], golden[key], FORWARD)
    timesteps = torch.stack(seen["timesteps"])[:, 0]
    yield compare(f"{name}/mid.timesteps", timesteps, golden["mid.timesteps"], EXACT)
