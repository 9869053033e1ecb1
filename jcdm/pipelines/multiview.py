"""References and poses in, target views out: one grid a person."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers.utils import BaseOutput
from PIL import Image
from torch import Tensor

from jcdm.errors import ConfigError
from jcdm.grid import to_grid
from jcdm.pipelines.base import ImagePipeline, StepCallback
from jcdm.pipelines.components import wake
from jcdm.pipelines.guided import guide_in_parts
from jcdm.pipelines.inputs import assemble_people
from jcdm.pipelines.noise import KeyedNoise, NoiseSource, noise_source
from jcdm.pipelines.outputs import check_output_type, to_output, to_uint8
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.records import Batch, GeneratedViews
from jcdm.seeding import sample_key


@dataclass
class MultiViewOutput(BaseOutput):
    """Target views in the order of the poses, and the whole painted grids where asked for.

    images: for one person a list of PIL images, an array (N,H,W,3) or a tensor (N,3,H,W), the
    latter two in [0,1]; for several people a list of those. grids: one picture a person, None
    unless asked for. embeddings (B,V,D): the appearance that steered the painting.
    """

    images: Any
    grids: Any
    embeddings: Tensor


class JCDMPipeline(ImagePipeline):
    """Paints people in new poses: reference views and target poses share one grid."""

    @torch.no_grad()
    def __call__(
        self,
        references: Sequence[Image.Image] | Sequence[Sequence[Image.Image]],
        reference_keypoints: Sequence[Any],
        target_poses: Sequence[Any],
        *,
        height: int | None = None,
        width: int | None = None,
        preset: str | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        seed: int | Sequence[int] | None = None,
        output_type: str = "pil",
        output_grid: bool = False,
        callback_on_step_end: StepCallback | None = None,
        **settings: Any,
    ) -> MultiViewOutput:
        """Paint one picture a target pose.

        references: photographs of one person, or a list of such lists; keypoints and poses follow
        the same nesting. reference_keypoints: one (K,2) or (K,3) array a photograph: x, y in [0,1]
        of it [and whether the joint is seen]. target_poses: such arrays in [0,1] of the new view,
        or pairs (pose-map image, keypoints). preset: a key of `PRESETS`; settings: fields of
        `SamplingOptions` (`num_steps`, `guidance_scale` ...), which win over it. Randomness:
        `generator`, or `seed` (one, or one a person; a seed gives a person the same picture in any
        batch). `callback_on_step_end` as in `denoise`. Where the model was trained on a frame
        between bars (`data.fit`), pictures have the frame's size. Errors: DataError, ConfigError.
        """
        check_output_type(output_type)
        options = self.choose_options(preset, settings)
        if options.prior_source == "oracle":
            raise ConfigError(
                "prior_source is 'oracle', which embeds the true targets; expected 'apm' or 'mean' "
                "where the targets are yet to be painted."
            )
        batch, is_one = assemble_people(
            references,
            reference_keypoints,
            target_poses,
            spec=self.view_format(height, width),
            grid=self.denoiser.grid,
        )
        noise = noise_source(generator, seed, len(batch.keys))
        targets = batch.present & ~batch.visible
        with self.working(options):
            embeddings, latents = self.paint(batch, noise, options, callback=callback_on_step_end)
            views = self.without_bars(self.decode(latents, targets)).split(targets.sum(1).tolist())
            images = [to_output(some, output_type) for some in views]
            grids = to_output(self.decode_grids(latents), output_type) if output_grid else None
        self.maybe_free_model_hooks()
        return MultiViewOutput(
            images=images[0] if is_one else images, grids=grids, embeddings=embeddings
        )

    @torch.no_grad()
    def generate(
        self,
        batch: Batch,
        *,
        seed: int = 0,
        preset: str | None = None,
        paint_references: bool = False,
        callback: StepCallback | None = None,
        **settings: Any,
    ) -> GeneratedViews:
        """Paint the target views of a data set's batch, for evaluation.

        Each person's noise follows (seed, its key), so it does not depend on the batch. Reference
        cells of the result hold the given photographs, or their painted versions with
        `paint_references`; absent cells stay as they came. preset, settings: as in a call.
        """
        options = self.choose_options(preset, settings)
        keys = torch.tensor([sample_key(seed, 0, key) for key in batch.keys.tolist()])
        batch = replace(batch, visible=batch.visible & batch.present)
        painted = batch.present if paint_references else batch.present & ~batch.visible
        images = to_uint8(batch.images)
        with self.working(options):
            _, latents = self.paint(batch, KeyedNoise(keys), options, callback=callback)
            images[painted] = to_uint8(self.decode(latents, painted)).to(images.device)
        self.maybe_free_model_hooks()
        return GeneratedViews(
            images=images, visible=batch.visible, subjects=batch.subjects, seed=seed
        )

    @torch.no_grad()
    def paint(
        self,
        batch: Batch,
        noise: NoiseSource,
        options: SamplingOptions,
        *,
        embeddings: Tensor | None = None,
        callback: StepCallback | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Sample a batch's grids: returns embeddings (B,V,D) and clean latents (B,C,gh,gw).

        Given embeddings (B,V,D) replace those of `options.prior_source`.
        """
        self._check_scheduler()
        self.check_batch(batch)
        batch = batch.to(self._execution_device)
        with self.working(options):
            told = self.told_patches(batch)  # first: the prior sends an offloaded encoder away
            if embeddings is None:
                embeddings = self.appearance(batch, noise, options)
            told["embeddings"] = embeddings
            latents = self._sample(batch, told, noise, options, callback)
        return embeddings, latents

    def _sample(
        self,
        batch: Batch,
        told: dict[str, Tensor],
        noise: NoiseSource,
        options: SamplingOptions,
        callback: StepCallback | None,
    ) -> Tensor:
        """Sample a batch's clean latents (B,C,gh,gw), told embeddings and perhaps patches."""
        conditions = {
            **told,
            "visible": batch.visible,
            "present": batch.present,
            "pose_maps": batch.pose_maps,
            "reference_latents": self.reference_latents(batch),
        }
        if options.prior_source == "none":
            conditions["drop_prior"] = torch.ones_like(batch.visible[:, 0])
        denoiser = wake(self.denoiser)
        views = noise.normal("latents", conditions["reference_latents"].shape[1:])
        predict = guide_in_parts(denoiser, conditions, options, self.num_timesteps)
        return self.denoise(
            predict,
            to_grid(views.to(told["embeddings"].device), denoiser.grid),
            options,
            generators=noise.generators(),
            callback=callback,
        )

    def decode_grids(self, latents: Tensor) -> Tensor:
        """Decode every cell of grid latents (B,C,gh,gw) into whole grids (B,3,H,W) in [-1,1]."""
        grid = self.denoiser.grid
        cells = self.decode(latents, latents.new_ones(len(latents), grid.num_views).bool())
        return to_grid(cells.unflatten(0, (len(latents), grid.num_views)), grid)
