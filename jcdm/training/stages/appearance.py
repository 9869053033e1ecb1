"""What stage 2 is told of the views' appearance by the frozen prior."""

from dataclasses import dataclass, field

import torch

from jcdm.data.keypoints import flatten_pose
from jcdm.diffusion.schedule import Scheduler, build_prior_scheduler
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.encoders import FrozenCLIPVision
from jcdm.pipelines.prior import embed_visibility, predict_appearance
from jcdm.records import AppearancePrior, Batch, EncodedBatch
from jcdm.training.stages.base import embed_views, encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenPrior:
    """A trained prior as stage 2 asks it: in `num_steps` steps, with noise from `prior_keys`."""

    prior: AppearancePriorTransformer
    clip: FrozenCLIPVision
    num_steps: int
    scheduler: Scheduler = field(default_factory=build_prior_scheduler)

    @torch.no_grad()
    def predict(self, known: EncodedBatch) -> AppearancePrior:
        """Return the predictions that were kept of a batch, or sample the prior."""
        if known.predicted is not None:
            return AppearancePrior(embeddings=known.predicted, source="apm")
        return predict_appearance(
            self.prior,
            self.scheduler,
            pose=flatten_pose(known.keypoints, known.keypoint_valid),
            reference_appearance=known.reference_appearance,
            visible=known.visible,
            present=known.present,
            visibility_embeds=embed_visibility(self.prior, self.clip, known.visible),
            num_steps=self.num_steps,
            noise=known.prior_keys,
        )

    def predict_batch(self, batch: Batch) -> AppearancePrior:
        """Embed the references of a batch and sample the prior; reads nothing else of it."""
        references = embed_views(self.clip, batch, batch.visible & batch.present)
        return self.predict(encoded(batch, (None, references)))
