"""References and poses in, target views out: one grid a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.utils import BaseOutput
from PIL import Image
from torch import Tensor

from jcdm.errors import DataError
from jcdm.grid import GridShape
from jcdm.pipelines.base import ImagePipeline, StepCallback, wake
from jcdm.pipelines.inputs import Pose, as_people, assemble_batch, to_output
from jcdm.pipelines.noise import GeneratorNoise, KeyedNoise, NoiseSource
from jcdm.pipelines.sampling import GuidedDenoiser, PriorSource, SamplingOptions
from jcdm.records import Batch, GeneratedViews
from jcdm.seeding import sample_key


@dataclass
class MultiViewOutput(BaseOutput):
    """Target views, in the order of the poses given, and the whole painted grid if asked for.

    images: for one person a list of PIL images, an array (N,H,W,3) or a tensor (N,3,H,W), both in
    [0,1]; for several people a list of those. grids: the same for one grid a person, or None.
    embeddings: the appearance the painting was steered by, (B,V,D).
    """

    images: Any
    grids: Any
    embeddings: Tensor


class JCDMPipeline(ImagePipeline):
    """Paints a person in new poses: reference views and target poses share one grid."""

    @torch.no_grad()
    def __call__(
        self,
        references: Sequence[Image.Image] | Sequence[Sequence[Image.Image]],
        reference_keypoints: Sequence[Any],
        target_poses: Sequence[Any],
        *,
        height: int | None = None,
        width: int | None = None,
        num_steps: int = 30,
        guidance_scale: float = 2.0,
        guide_pose: bool = False,
        prior_steps: int = 20,
        prior_guidance: float = 1.0,
        prior_source: PriorSource = "apm",
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        seed: int | Sequence[int] | None = None,
        output_type: str = "pil",
        output_grid: bool = False,
        callback_on_step_end: StepCallback | None = None,
        return_dict: bool = True,
    ) -> MultiViewOutput | tuple[Any, Any, Tensor]:
        """Paint one picture a target pose.

        references: photographs of one person, or a list of such lists. reference_keypoints: one
        (K,2) or (K,3) array a photograph, x, y in [0,1] of that photograph and whether the joint
        is seen; negative or NaN = not seen. target_poses: such arrays in [0,1] of the new view, or
        pairs (pose-map image, keypoints). Together they may not exceed the grid's cells; cells
        left over stay empty. Randomness: `generator`, or `seed` (one, or one a person; equal seeds
        give a person the same picture in any batch). Errors: DataError, ConfigError.
        """
        options = SamplingOptions(
            num_steps=num_steps,
            guidance_scale=guidance_scale,
            guide_pose=guide_pose,
            prior_steps=prior_steps,
            prior_guidance=prior_guidance,
            prior_source=prior_source,
        )
        people = as_people(references, reference_keypoints, target_poses)
        batch = assemble_batch(
            people,
            grid=self.denoiser.grid,
            size=self.view_size(height, width),
            clip_size=self.image_encoder.config.image_size,
            fit=self.config.fit,
            clip_fit=self.config.clip_fit,
        )
        if options.prior_source == "oracle":
            raise DataError(
                "prior_source is 'oracle', which needs the true target views; expected 'apm' or "
                "'mean' where those are to be painted."
            )
        noise = noise_source(generator, seed, len(batch.keys))
        batch = batch.to(self._execution_device)
        embeddings = self.appearance(batch, noise, options)
        grids = self.paint(batch, embeddings, noise, options, callback=callback_on_step_end)
        targets = batch.present & ~batch.visible
        cells = self.decode(grids, targets)
        
