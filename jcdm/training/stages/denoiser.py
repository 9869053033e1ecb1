"""Stage 2: the denoiser learns to paint a grid; part 2 trains its motion modules alone."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from jcdm.config import Config
from jcdm.data.keypoints import flatten_pose
from jcdm.diffusion.guidance import draw_condition_drop
from jcdm.diffusion.losses import denoiser_loss
from jcdm.diffusion.noising import noise_latents
from jcdm.diffusion.schedule import build_denoiser_scheduler, build_prior_scheduler
from jcdm.grid import fill_cells, to_grid
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.pipelines.prior import embed_visibility, predict_appearance
from jcdm.records import AppearancePrior, Batch, EncodedBatch, StepOutput
from jcdm.training.stages.base import count, encode_appearance, encode_latents, encoded, trainable


class DenoiserStage:
    """Min-SNR weighted squared error of the velocity, told what the frozen prior predicts.

    `kind` motion trains the motion modules and nothing else.
    """

    part = "denoiser"

    def __init__(
        self,
        denoiser: JCDMDenoiser,
        *,
        kind: Literal["denoiser", "motion"],
        vae: FrozenVAE,
        clip: FrozenCLIPVision,
        prior: AppearancePriorTransformer | None,
        config: Config,
    ) -> None:
        """`prior` is the frozen one; None with `config.prior.source` oracle."""
        denoiser.freeze_for(kind)
        self.module: nn.Module = denoiser
        self.denoiser = denoiser
        self.kind = kind
        self.vae = vae
        self.clip = clip
        self.prior = None if prior is None else prior.eval().requires_grad_(False)
        self.config = config
        self.scheduler = build_denoiser_scheduler(config.schedule)
        self.prior_scheduler = build_prior_scheduler()

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        """Return what `freeze_for` left to train."""
        return trainable(self.denoiser)

    def to(self, device: torch.device) -> None:
        """Move encoders and prior."""
        frozen: tuple[Any, ...] = (self.vae, self.clip, self.prior)
        for part in frozen:
            if part is not None:
                part.to(device)

    def describe(self) -> str:
        """Say what trains and what is frozen."""
        what = "U-Net, pose guider, JCI" if self.kind == "denoiser" else "motion modules"
        rest = "" if self.kind == "denoiser" else f", denoiser {count(self.denoiser)} in all"
        prior = "true embeddings" if self.prior is None else f"prior {count(self.prior)}"
        return (
            f"trains: {what} {count(self.denoiser, only_trainable=True)}; frozen: "
            f"VAE {count(self.vae)}, image encoder {count(self.clip)}, {prior}{rest}"
        )

    def step(self, batch: Batch) -> StepOutput:
        """Noise the grid of true latents and predict its velocity."""
        known = self._encode(batch)
        grid = self.denoiser.grid
        assert known.latents is not None
        noisy = noise_latents(
            to_grid(known.latents, grid),
            batch.keys,
            self.scheduler,
            self.config.train.noise_offset,
        )
        drop_prior, drop_pose = self._drop(batch)
        prediction = self.module(
            noisy.noisy,
            noisy.timesteps,
            embeddings=self._appearance(known).embeddings,
            visible=known.visible,
            present=known.present,
            pose_maps=known.pose_maps,
            reference_latents=known.reference_latents,
            drop_prior=drop_prior,
            drop_pose=drop_pose,
        )
        per_sample = denoiser_loss(
            prediction,
            noisy.target,
            noisy.snr,
            gamma=self.config.train.snr_gamma,
            cell_weight=self._cell_weight(known),
            prediction_type=self.config.schedule.prediction_type,
        )
        return StepOutput(loss=per_sample.mean(), per_sample=per_sample)

    def _encode(self, batch: Batch) -> EncodedBatch:
        latents = encode_latents(
            self.vae, batch, layout=self.config.encoders.layout, grid=self.denoiser.grid
        )
        return encoded(batch, encode_appearance(self.clip, batch), latents)

    @torch.no_grad()
    def _appearance(self, known: EncodedBatch) -> AppearancePrior:
        """Sample the frozen prior in few steps, or take the true embeddings (oracle)."""
        if self.prior is None:
            return AppearancePrior(embeddings=known.appearance, source="oracle")
        return predict_appearance(
            self.prior,
            self.prior_scheduler,
            pose=flatten_pose(known.keypoints, known.keypoint_valid),
            reference_appearance=known.reference_appearance,
            visible=known.visible,
            present=known.present,
            visibility_embeds=embed_visibility(self.prior, self.clip, known.visible),
            num_steps=self.config.prior.training_steps,
            noise=known.keys,
        )

    def _drop(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Choose the samples trained without tokens and without pose; none in validation."""
        train = self.config.train
        shares = (train.drop_prior, train.drop_pose, train.drop_all)
        if not self.module.training:
            shares = (0.0, 0.0, 0.0)
        drop_prior, drop_pose = draw_condition_drop(batch.keys, *shares)
        return drop_prior.to(batch.visible.device), drop_pose.to(batch.visible.device)

    def _cell_weight(self, known: EncodedBatch) -> Tensor:
        """Weight of each place of the grid in the loss (B,1,gh,gw); empty cells weigh nothing."""
        train = self.config.train
        weight = torch.where(known.visible, train.reference_cell_weight, train.target_cell_weight)
        assert known.latents is not None
        height, width = known.latents.shape[-2:]
        return fill_cells(weight * known.present, self.denoiser.grid, height=height, width=width)
