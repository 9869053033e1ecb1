"""Stage 2: the denoiser learns to paint a grid; part 2 trains its motion modules alone."""

from typing import Literal

import torch
from einops import reduce
from torch import Tensor, nn

from jcdm.config import Config
from jcdm.diffusion.guidance import draw_condition_drop
from jcdm.diffusion.losses import denoiser_loss
from jcdm.diffusion.noising import draw_timesteps, noise_latents
from jcdm.diffusion.schedule import build_denoiser_scheduler
from jcdm.grid import fill_cells, to_grid
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.records import AppearancePrior, Batch, EncodedBatch, NoisyLatents, StepOutput
from jcdm.training.frames import split_grids
from jcdm.training.pictures import painted_people
from jcdm.training.stages.appearance import FrozenPrior
from jcdm.training.stages.base import (
    count,
    encode_appearance,
    encode_latents,
    encode_patches,
    encode_references,
    encoded,
    trainable,
)


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
        self.frozen_prior = (
            None
            if self.prior is None
            else FrozenPrior(prior=self.prior, clip=clip, num_steps=config.prior.training_steps)
        )
        self.config = config
        self.scheduler = build_denoiser_scheduler(config.schedule)
        across_frames = denoiser.motion is not None and denoiser.motion.axis == "frames"
        self.num_frames = config.motion.num_frames if across_frames and kind == "motion" else 1
        self.frame_options = {"num_frames": self.num_frames} if across_frames else {}

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        """Return what `freeze_for` left to train."""
        return trainable(self.denoiser)

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
        known = self._encode(split_grids(batch, self.num_frames))
        people = batch.keys.repeat_interleave(self.num_frames)  # what all grids of one share
        noisy = self._noise(known, people)
        drop_prior, drop_pose = (d.to(known.visible.device) for d in self._drop(people))
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
            reference_patches=known.reference_patches,
            **self.frame_options,
        )
        train = self.config.train
        per_grid = self._loss(
            prediction, noisy, known, train.reference_cell_weight, train.target_cell_weight
        )
        per_sample = reduce(per_grid, "(b f) -> b", "mean", f=self.num_frames)
        with torch.no_grad():
            logs = {"target_loss": self._loss(prediction, noisy, known, 0.0, 1.0).mean()}
        return StepOutput(loss=per_sample.mean(), per_sample=per_sample, logs=logs)

    def _noise(self, known: EncodedBatch, people: Tensor) -> NoisyLatents:
        """Noise the grids; grids of one person share its timestep, as they will in sampling."""
        assert known.latents is not None
        num_timesteps = self.config.schedule.num_train_timesteps
        kind = self.config.train.timesteps if self.module.training else "uniform"
        return noise_latents(
            to_grid(known.latents, self.denoiser.grid),
            known.keys,
            self.scheduler,
            self.config.train.noise_offset,
            timesteps=draw_timesteps(people, num_timesteps, kind),
        )

    def preview(self, batch: Batch) -> tuple[dict[str, float], Tensor]:
        """Paint people: rows of given, poses, painted, true."""
        rows = painted_people(
            self.denoiser,
            split_grids(batch, self.num_frames),
            vae=self.vae,
            clip=self.clip,
            prior=self.prior,
            scheduler=self.scheduler,
            config=self.config,
        )
        return {}, rows

    def _loss(
        self,
        prediction: Tensor,
        noisy: NoisyLatents,
        known: EncodedBatch,
        reference_weight: float,
        target_weight: float,
    ) -> Tensor:
        """Loss a sample (B,) with a weight a kind of cell; empty cells weigh nothing."""
        assert known.latents is not None
        weight = torch.where(known.visible, reference_weight, target_weight) * known.present
        height, width = known.latents.shape[-2:]
        return denoiser_loss(
            prediction,
            noisy.target,
            noisy.snr,
            gamma=self.config.train.snr_gamma,
            cell_weight=fill_cells(weight, self.denoiser.grid, height=height, width=width),
            prediction_type=self.config.schedule.prediction_type,
        )

    def _encode(self, batch: Batch) -> EncodedBatch:
        latents = encode_latents(
            self.vae, batch, layout=self.config.encoders.layout, grid=self.denoiser.grid
        )
        patch_grid = self.denoiser.patch_grid
        if self.prior is None:
            patches = encode_patches(self.clip, batch, patch_grid)
            return encoded(batch, encode_appearance(self.clip, batch), latents, patches)
        reference, patches = encode_references(self.clip, batch, patch_grid)
        return encoded(batch, (None, reference), latents, patches)

    def _appearance(self, known: EncodedBatch) -> AppearancePrior:
        """Ask the frozen prior, or take the true embeddings (oracle)."""
        if self.frozen_prior is None:
            assert known.appearance is not None, "without a prior the true views are embedded"
            return AppearancePrior(embeddings=known.appearance, source="oracle")
        return self.frozen_prior.predict(known)

    def _drop(self, people: Tensor) -> tuple[Tensor, Tensor]:
        """Choose the samples trained without tokens and without pose; none in validation."""
        train = self.config.train
        shares = (train.drop_prior, train.drop_pose, train.drop_all)
        if not self.module.training:
            shares = (0.0, 0.0, 0.0)
        return draw_condition_drop(people, *shares)
