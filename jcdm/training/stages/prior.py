"""Stage 1: the appearance prior learns to predict every view's CLIP embedding."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jcdm.config import Config
from jcdm.data.keypoints import flatten_pose
from jcdm.diffusion.guidance import draw_condition_drop
from jcdm.diffusion.losses import prior_loss
from jcdm.diffusion.noising import noise_embeddings
from jcdm.diffusion.schedule import build_prior_train_scheduler
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.encoders import FrozenCLIPVision
from jcdm.pipelines.prior import embed_visibility
from jcdm.records import Batch, StepOutput
from jcdm.training.pictures import prior_cosines
from jcdm.training.stages.base import count, encode_appearance, encoded, trainable


class PriorStage:
    """Squared error of the predicted clean, normalised embeddings over the views that exist."""

    part = "prior"

    def __init__(
        self, prior: AppearancePriorTransformer, clip: FrozenCLIPVision, config: Config
    ) -> None:
        """`config` gives timesteps, noise offset and the share of dropped conditions."""
        self.module: nn.Module = prior
        self.prior = prior
        self.clip = clip
        self.config = config
        self.scheduler = build_prior_train_scheduler()

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        """Return all of the prior's parameters."""
        return trainable(self.prior)

    def describe(self) -> str:
        """Say what trains and what is frozen."""
        return f"trains: prior {count(self.prior)}; frozen: image encoder {count(self.clip)}"

    def step(self, batch: Batch) -> StepOutput:
        """Noise the true embeddings and predict them from references and poses."""
        truth, reference = encode_appearance(self.clip, batch)
        known = encoded(batch, (truth, reference))
        options = self.config.prior
        noisy = noise_embeddings(
            self.prior.normalise(truth),
            batch.keys,
            self.scheduler,
            options.noise_offset,
            per_view=options.timesteps == "view",
        )
        prediction = self.module(
            noisy.noisy,
            noisy.timesteps,
            pose=flatten_pose(known.keypoints, known.keypoint_valid),
            reference_appearance=known.reference_appearance,
            visible=known.visible,
            present=known.present,
            visibility_embeds=embed_visibility(self.prior, self.clip, known.visible),
            drop=self._drop(batch).to(known.visible.device),
        )
        per_sample = prior_loss(prediction, noisy.target, known.present)
        targets = known.present & ~known.visible
        with torch.no_grad():
            guess = self.prior.denormalise(prediction.float())
            cosine = F.cosine_similarity(guess, truth, dim=-1)
            logs = {
                "target_loss": prior_loss(prediction, noisy.target, targets).mean(),
                "target_cosine": ((cosine * targets).sum(1) / targets.sum(1)).mean(),
            }
        return StepOutput(loss=per_sample.mean(), per_sample=per_sample, logs=logs)

    def _drop(self, batch: Batch) -> Tensor:
        """Choose the samples trained without conditions: the prior has one null for all."""
        share = self.config.train.drop_all if self.module.training else 0.0
        drop, _ = draw_condition_drop(batch.keys, 0.0, 0.0, share)
        return drop

    def preview(self, batch: Batch) -> tuple[dict[str, float], None]:
        """Sample the embeddings of target views and compare them with the true ones."""
        steps = self.config.train.picture_steps
        return prior_cosines(self.prior, self.clip, batch, num_steps=steps), None
