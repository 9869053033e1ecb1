"""The components and steps that the image pipelines share: encode, predict, denoise, decode."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, SchedulerMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from einops import rearrange
from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from jcdm.diffusion.schedule import Scheduler, noise_level_config, sampling_timesteps
from jcdm.errors import ConfigError, DataError
from jcdm.fitting import frame_place
from jcdm.grid import from_grid, to_grid
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.models.fixed_keys import fixed_keys
from jcdm.pipelines.components import frozen, read_pipeline, wake
from jcdm.pipelines.execution import compiled_blocks, vae_tiles
from jcdm.pipelines.inputs import ViewFormat, view_format
from jcdm.pipelines.noise import NoiseSource
from jcdm.pipelines.patches import embed_patches
from jcdm.pipelines.prior import embed_references, predict_batch
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.pipelines.schedulers import SchedulerChoice
from jcdm.records import Batch

StepCallback = Callable[[Any, int, Tensor, dict[str, Tensor]], Mapping[str, Tensor] | None]
LAYOUTS = ("view", "grid")
NUM_DECODED_AT_ONCE = 8


class ImagePipeline(SchedulerChoice, DiffusionPipeline):
    """Base of the pipelines that paint: components, configuration, and the steps of sampling.

    height, width: pixels of a view, as trained. layout: whether the VAE sees views one by one or
    the whole grid (`grid`, the published weights). fit, clip_fit: how photographs are cut for the
    VAE and for CLIP. noise_levels: the trained schedule, taken from `scheduler` unless loaded; a
    scheduler with other levels is refused. schedule: `trained`, or `published` for the other noise
    levels that the published code samples with (see `choose_schedule`).
    """

    model_cpu_offload_seq = "image_encoder->prior->denoiser->vae"  # type: ignore[assignment]
    vae: Any
    image_encoder: Any
    prior: AppearancePriorTransformer
    denoiser: JCDMDenoiser
    scheduler: Scheduler
    prior_scheduler: Scheduler

    def __init__(
        self,
        vae: AutoencoderKL,
        image_encoder: CLIPVisionModelWithProjection,
        prior: AppearancePriorTransformer,
        denoiser: JCDMDenoiser,
        scheduler: SchedulerMixin,
        prior_scheduler: SchedulerMixin,
        height: int | None = None,
        width: int | None = None,
        layout: str = "view",
        fit: str = "crop",
        clip_fit: str = "crop",
        noise_levels: dict | None = None,
        schedule: str = "trained",
    ) -> None:
        super().__init__()
        if layout not in LAYOUTS:
            raise ConfigError(f"layout is {layout!r}; expected one of {', '.join(LAYOUTS)}.")
        self.register_modules(
            vae=vae,
            image_encoder=image_encoder,
            prior=prior,
            denoiser=denoiser,
            scheduler=scheduler,
            prior_scheduler=prior_scheduler,
        )
        self.register_to_config(
            height=height,
            width=width,
            layout=layout,
            fit=fit,
            clip_fit=clip_fit,
            noise_levels=noise_levels or noise_level_config(scheduler),
            schedule=schedule,
        )
        self.interrupt = False
        self._vae: FrozenVAE | None = None
        self._clip: FrozenCLIPVision | None = None
        self._stored_scheduler = scheduler if isinstance(scheduler, DDIMScheduler) else None
        self._check_scheduler()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **options: Any) -> Any:
        """Load a folder that `save_pretrained` wrote, or `hub:owner/name`; float32 by default."""
        load = super().from_pretrained
        return read_pipeline(load, pretrained_model_name_or_path, options, ("vae", "image_encoder"))

    def frozen_vae(self) -> FrozenVAE:
        """Wrap the VAE as the rest of the code takes it, on its device."""
        self._vae = frozen(FrozenVAE, wake(self.vae), self._vae)
        return self._vae

    def frozen_clip(self) -> FrozenCLIPVision:
        """Wrap the CLIP tower as the rest of the code takes it, on its device."""
        self._clip = frozen(FrozenCLIPVision, wake(self.image_encoder), self._clip)
        return self._clip

    def choose_options(self, preset: str | None, settings: Mapping[str, Any]) -> SamplingOptions:
        """Make options of a preset, by default the one that suits the schedule, and settings."""
        return SamplingOptions.preset(preset or self.default_preset, **settings)

    @contextmanager
    def working(self, options: SamplingOptions) -> Iterator[None]:
        """Run the models as the options say: the VAE in tiles, the U-Net's blocks compiled."""
        with (
            vae_tiles(self.vae, options.vae_tile),
            compiled_blocks(self.denoiser.unet, options.compile),
        ):
            yield

    def view_format(self, height: int | None, width: int | None) -> ViewFormat:
        """Describe how photographs are cut; sizes in pixels, by default as trained."""
        return view_format(self.config, self.image_encoder, height, width)

    def appearance(self, batch: Batch, noise: NoiseSource, options: SamplingOptions) -> Tensor:
        """Obtain one embedding a view, from where `options.prior_source` says: (B,V,D)."""
        clip = self.frozen_clip()
        if options.prior_source == "oracle":
            views = clip.embed(rearrange(batch.clip_pixels, "b v c h w -> (b v) c h w"))
            return rearrange(views, "(b v) d -> b v d", b=len(batch.keys))
        if options.prior_source == "mean":
            reference = embed_references(clip, batch)
            weight = batch.visible[..., None].to(reference)
            mean = (reference * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
            return mean.expand_as(reference)
        if options.prior_source == "none":  # not read: the tokens are the null ones
            return clip.black_embedding().repeat(*batch.visible.shape, 1)
        return predict_batch(
            self.prior,
            self.prior_scheduler,
            clip,
            batch,
            num_steps=options.prior_steps,
            guidance=options.prior_guidance,
            noise=noise,
        ).embeddings

    def told_patches(self, batch: Batch) -> dict[str, Tensor]:
        """Encode the references' patches, by the name of the condition; none unless it is asked."""
        patch_grid = self.denoiser.patch_grid
        if not patch_grid:
            return {}
        return {"reference_patches": embed_patches(self.frozen_clip(), batch, patch_grid)}

    def reference_latents(self, batch: Batch) -> Tensor:
        """Encode references, targets and empty cells being black: (B,V,C,h,w) scaled means."""
        vae, grid = self.frozen_vae(), self.denoiser.grid
        if self.config["layout"] == "grid":
            shown = torch.where(batch.visible[:, :, None, None, None], batch.images, -1.0)
            moments = vae.encode(to_grid(shown, grid))
            return from_grid(vae.mean_latents(moments), grid)
        black = vae.black_latents(*batch.images.shape[-2:])
        found = black.repeat(*batch.visible.shape, 1, 1, 1)
        found[batch.visible] = vae.mean_latents(vae.encode(batch.images[batch.visible]))
        return found

    def decode(self, latents: Tensor, wanted: Tensor) -> Tensor:
        """Decode the wanted cells of grid latents: (B,C,gh,gw), (B,V) -> (N,3,H,W) in [-1,1].

        The cells come in the order of the people, then of the cells.
        """
        vae, grid = self.frozen_vae(), self.denoiser.grid
        if self.config["layout"] == "grid":
            return from_grid(vae.decode(latents), grid)[wanted]
        cells = from_grid(latents, grid)[wanted].split(NUM_DECODED_AT_ONCE)
        return torch.cat([vae.decode(some) for some in cells])

    def without_bars(self, views: Tensor) -> Tensor:
        """Cut the frame out of views (...,H,W) that were trained between bars; else all of them."""
        view = (views.shape[-2], views.shape[-1])
        rows, columns = frame_place(self.config["fit"], view)
        return views[..., rows, columns]

    def denoise(
        self,
        predict: Callable[[Tensor, Tensor], Tensor],
        start: Tensor,
        options: SamplingOptions,
        *,
        generators: list[torch.Generator] | torch.Generator,
        callback: StepCallback | None = None,
    ) -> Tensor:
        """Run the sampler from standard normal numbers `start` to clean latents, same shape.

        predict: (scaled noisy latents, timestep) -> the model's prediction. `callback` gets (this
        pipeline, step index, timestep, {"latents"}) and may return changed latents; it may set
        `interrupt`, which ends the work after that step.
        """
        scheduler, self.interrupt = self.build_sampler(options), False
        timesteps = sampling_timesteps(scheduler, options.num_steps, start.device)
        takes_generator = "generator" in inspect.signature(scheduler.step).parameters
        extra = {"generator": generators} if takes_generator else {}
        latents = start * scheduler.init_noise_sigma
        remembers = options.fixed_keys and not options.compile
        with fixed_keys(self.denoiser.unet) if remembers else nullcontext():
            for i, t in enumerate(self.progress_bar(timesteps)):
                prediction = predict(scheduler.scale_model_input(latents, t), t)
                latents = scheduler.step(prediction, t, latents, **extra, return_dict=False)[0]
                if callback is not None:
                    changed = callback(self, i, t, {"latents": latents}) or {}
                    latents = changed.get("latents", latents)
                if self.interrupt:
                    break
        return latents

    def check_batch(self, batch: Batch) -> None:
        """Raise a DataError unless each person has a reference and the views fill the grid."""
        num_views = self.denoiser.grid.num_views
        if batch.visible.shape[1] != num_views:
            raise DataError(
                f"found {batch.visible.shape[1]} views a person, the model's grid has {num_views} "
                "cells; draw as many views as the model has cells."
            )
        for subject, visible in zip(batch.subjects, batch.visible, strict=True):
            if not visible.any():
                raise DataError(
                    f"{subject!r} has no reference view; at least one view must be visible."
                )
