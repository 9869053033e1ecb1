"""Sampling of the appearance prior: references and poses -> one CLIP embedding a view."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from diffusers import SchedulerMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils import BaseOutput
from PIL import Image
from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from jcdm.data.keypoints import flatten_pose
from jcdm.diffusion.guidance import guide
from jcdm.diffusion.schedule import Scheduler, posterior_step, prior_timesteps
from jcdm.errors import ConfigError
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.encoders import FrozenCLIPVision
from jcdm.pipelines.components import frozen, read_pipeline, wake
from jcdm.pipelines.inputs import assemble_people, view_format
from jcdm.pipelines.noise import KeyedNoise, NoiseSource, noise_source
from jcdm.records import AppearancePrior, Batch
from jcdm.seeding import sample_key

Contrast = Literal["null", "published"]


@torch.no_grad()
def predict_appearance(
    prior: AppearancePriorTransformer,
    scheduler: Scheduler,
    *,
    pose: Tensor,
    reference_appearance: Tensor,
    visible: Tensor,
    present: Tensor | None = None,
    visibility_embeds: Tensor | None = None,
    num_steps: int,
    guidance: float = 1.0,
    contrast: Contrast = "null",
    noise: NoiseSource | Tensor,
) -> AppearancePrior:
    """Sample the embeddings of all views, from noise to clean, in `num_steps` evaluations.

    pose (B,V,2K), -1 where a joint is missing; reference_appearance (B,V,D), targets from black;
    visible, present (B,V) bool; visibility_embeds (B,V,D) for a prior that needs them; noise: a
    source, or the people's keys (B,) int64. Guidance 1 evaluates the conditions alone; another
    scale contrasts them with the learned null, at twice the cost. contrast `published` is there to
    reproduce the published code, which conditions both halves alike, so that no scale has an
    effect. All on the prior's device. Errors: ConfigError.
    """
    if contrast not in get_args(Contrast):
        raise ConfigError(f"contrast is {contrast!r}; expected 'null' or 'published'.")
    source = KeyedNoise(noise) if isinstance(noise, Tensor) else noise
    conditions = {
        "pose": pose,
        "reference_appearance": reference_appearance,
        "visible": visible,
        "present": present,
        "visibility_embeds": visibility_embeds,
    }
    timesteps = prior_timesteps(scheduler, num_steps)
    shape = reference_appearance.shape[1:]
    latents = source.normal("prior_start", shape).to(pose.device)
    for i, (t, previous) in enumerate(zip(timesteps, [*timesteps[1:], -1], strict=True)):
        clean = _predict_clean(prior, latents, t, conditions, guidance=guidance, contrast=contrast)
        is_last = previous < 0
        step_noise = None if is_last else source.normal(f"prior_step_{i}", shape).to(pose.device)
        latents = posterior_step(
            scheduler, latents, clean, step_noise, timestep=t, previous=previous
        )
    return AppearancePrior(embeddings=prior.denormalise(latents), source="apm")


def _predict_clean(
    prior: AppearancePriorTransformer,
    latents: Tensor,
    timestep: int,
    conditions: dict[str, Tensor | None],
    *,
    guidance: float,
    contrast: Contrast,
) -> Tensor:
    """Predict clean normalised embeddings (B,V,D); guided unless the scale is 1."""
    if guidance == 1:
        return prior(latents, timestep, **conditions)
    twice = {key: None if c is None else torch.cat([c, c]) for key, c in conditions.items()}
    halves = torch.arange(2, device=latents.device).repeat_interleave(len(latents))
    drop = halves.bool() if contrast == "null" else None
    both = prior(torch.cat([latents, latents]), timestep, **twice, drop=drop)
    conditional, unconditional = both.chunk(2)
    return guide(conditional, unconditional, guidance)


@torch.no_grad()
def embed_references(clip: FrozenCLIPVision, batch: Batch) -> Tensor:
    """Embed a batch's reference views; targets and empty cells get the black image: (B,V,D)."""
    found = clip.black_embedding().repeat(*batch.visible.shape, 1)
    found[batch.visible] = clip.embed(batch.clip_pixels[batch.visible])
    return found


def embed_visibility(
    prior: AppearancePriorTransformer, clip: FrozenCLIPVision, visible: Tensor
) -> Tensor | None:
    """Embeddings (B,V,D) of a white (reference) or black (target) image, if the prior asks so."""
    if prior.config["visibility_embedding"] != "clip_constant":
        return None
    return torch.where(visible[..., None], clip.white_embedding(), clip.black_embedding())


def predict_batch(
    prior: AppearancePriorTransformer,
    scheduler: Scheduler,
    clip: FrozenCLIPVision,
    batch: Batch,
    *,
    num_steps: int,
    guidance: float,
    noise: NoiseSource,
) -> AppearancePrior:
    """Embed a batch's references and sample its appearance prior."""
    return predict_appearance(
        prior,
        scheduler,
        pose=flatten_pose(batch.keypoints, batch.keypoint_valid),
        reference_appearance=embed_references(clip, batch),
        visible=batch.visible,
        present=batch.present,
        visibility_embeds=embed_visibility(prior, clip, batch.visible),
        num_steps=num_steps,
        guidance=guidance,
        noise=noise,
    )


@dataclass
class PriorOutput(BaseOutput):
    """Embeddings (B,V,D) in CLIP space, references first, then targets; visible, present (B,V)."""

    embeddings: Tensor
    visible: Tensor
    present: Tensor


class JCDMPriorPipeline(DiffusionPipeline):
    """Predicts how a person looks in new poses, as CLIP image embeddings.

    Loads from its own folder, or from that of a `JCDMPipeline`.
    """

    model_cpu_offload_seq = "image_encoder->prior"  # type: ignore[assignment]
    image_encoder: Any
    prior: AppearancePriorTransformer
    prior_scheduler: Scheduler

    def __init__(
        self,
        image_encoder: CLIPVisionModelWithProjection,
        prior: AppearancePriorTransformer,
        prior_scheduler: SchedulerMixin,
        height: int | None = None,
        width: int | None = None,
        fit: str = "crop",
        clip_fit: str = "crop",
    ) -> None:
        super().__init__()
        self.register_modules(
            image_encoder=image_encoder, prior=prior, prior_scheduler=prior_scheduler
        )
        self.register_to_config(height=height, width=width, fit=fit, clip_fit=clip_fit)
        self._clip: FrozenCLIPVision | None = None

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **options: Any) -> Any:
        """Load a folder that `save_pretrained` wrote, or `hub:owner/name`; float32 by default."""
        load = super().from_pretrained
        return read_pipeline(load, pretrained_model_name_or_path, options, ("image_encoder",))

    @torch.no_grad()
    def __call__(
        self,
        references: Sequence[Image.Image] | Sequence[Sequence[Image.Image]],
        reference_keypoints: Sequence[Any],
        target_poses: Sequence[Any],
        *,
        num_steps: int = 4,
        guidance: float = 1.0,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        seed: int | Sequence[int] | None = None,
    ) -> PriorOutput:
        """Predict one embedding a reference and a target pose; arguments as `JCDMPipeline`'s."""
        spec = view_format(self.config, self.image_encoder)
        batch, _ = assemble_people(
            references, reference_keypoints, target_poses, spec=spec, grid=None
        )
        self._check_num_views(batch)
        noise = noise_source(generator, seed, len(batch.keys))
        prior = self._predict(batch, noise, num_steps, guidance)
        return PriorOutput(
            embeddings=prior.embeddings.cpu(), visible=batch.visible, present=batch.present
        )

    @torch.no_grad()
    def generate(
        self, batch: Batch, *, seed: int = 0, num_steps: int = 4, guidance: float = 1.0
    ) -> AppearancePrior:
        """Predict a data set's batch, for evaluation; each person's noise follows (seed, key)."""
        keys = torch.tensor([sample_key(seed, 0, key) for key in batch.keys.tolist()])
        return self._predict(batch, KeyedNoise(keys), num_steps, guidance)

    def _predict(
        self, batch: Batch, noise: NoiseSource, num_steps: int, guidance: float
    ) -> AppearancePrior:
        self._clip = frozen(FrozenCLIPVision, wake(self.image_encoder), self._clip)
        batch = batch.to(self._execution_device)
        prior = predict_batch(
            self.prior,
            self.prior_scheduler,
            self._clip,
            batch,
            num_steps=num_steps,
            guidance=guidance,
            noise=noise,
        )
        self.maybe_free_model_hooks()
        return prior

    def _check_num_views(self, batch: Batch) -> None:
        found, most = batch.visible.shape[1], self.prior.config["max_views"]
        if found > most:
            raise ConfigError(
                f"found {found} references and target poses, the prior was built for at most "
                f"{most} views (max_views); pass fewer at a time."
            )
