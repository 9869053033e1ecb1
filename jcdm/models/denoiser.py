"""JCDMDenoiser, the trainable whole of stage 2: U-Net, pose guider, injector, motion modules."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from einops import repeat
from torch import Tensor, nn

from jcdm.config import Config, MotionConfig
from jcdm.errors import ConfigError, DataError
from jcdm.grid import GridShape, fill_cells, to_grid
from jcdm.models.cell_attention import attend_within_cells
from jcdm.models.jci import build_injector
from jcdm.models.loading import StrictModel
from jcdm.models.motion import MotionModules
from jcdm.models.pose_guider import PoseGuider
from jcdm.models.unet import build_unet, check_channels, unet_config_dict
from jcdm.records import Conditioning


class JCDMDenoiser(StrictModel, ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Predicts the noise target of a grid of latents, told of poses, references and appearance.

    `condition` is computed once a sample, `predict` once a denoising step; `forward` is both, for
    training. `unet_config` holds arguments of diffusers' `UNet2DConditionModel`, `jci_config` the
    fields of `JCIConfig`, `motion_config` those of `MotionConfig` or None for no motion modules.
    appearance_dim, patch_dim: widths of the image encoder's embeddings and of its patch tokens, the
    latter only where `jci_config` has a patch_grid. attend_across_cells False keeps the U-Net's
    self-attention inside each cell of the grid.
    """

    _supports_gradient_checkpointing = True

    @register_to_config
    def __init__(
        self,
        *,
        grid_rows: int,
        grid_cols: int,
        latent_channels: int,
        vae_factor: int,
        appearance_dim: int,
        unet_config: Mapping[str, Any],
        guider_channels: Sequence[int],
        jci_config: Mapping[str, Any],
        motion_config: Mapping[str, Any] | None = None,
        patch_dim: int | None = None,
        attend_across_cells: bool = True,
    ) -> None:
        super().__init__()
        self.grid = GridShape(rows=grid_rows, cols=grid_cols)
        self.unet = build_unet(unet_config)
        self.cells = None if attend_across_cells else attend_within_cells(self.unet, self.grid)
        check_channels(self.unet, latent_channels)
        self.pose_guider = PoseGuider(
            out_channels=self.unet.config["block_out_channels"][0],
            block_out_channels=guider_channels,
            factor=vae_factor,
        )
        self.injector = build_injector(
            appearance_dim=appearance_dim,
            token_dim=self.unet.config["cross_attention_dim"],
            max_views=max(16, self.grid.num_views),
            patch_dim=patch_dim,
            **jci_config,
        )
        self.into_cells: nn.Linear | None = None
        if jci_config.get("into_cells"):
            self.into_cells = _zero_linear(
                self.unet.config["cross_attention_dim"], self.unet.config["block_out_channels"][0]
            )
        self.motion: MotionModules | None = None
        if motion_config is not None:
            self.add_motion(motion_config)

    @property
    def patch_grid(self) -> int:
        """The n of n x n patches that it is told of every reference view; 0 = none."""
        return self.injector.patch_grid

    def add_motion(self, motion_config: Mapping[str, Any]) -> None:
        """Attach fresh motion modules; until trained they leave every prediction as it was."""
        if self.motion is not None:
            raise ConfigError("this denoiser has motion modules already; expected one without.")
        try:
            config = MotionConfig(**motion_config)
        except TypeError as error:
            raise ConfigError(
                f"motion_config does not have MotionConfig's fields: {error}."
            ) from error
        motion = MotionModules(self.unet, self.grid, config)
        self.motion = motion.to(device=self.unet.device, dtype=self.unet.dtype)
        self.motion.attach(self.unet)
        self.register_to_config(motion_config=asdict(config))

    def freeze_for(self, stage: Literal["denoiser", "motion"]) -> None:
        """Let only a stage's part train: `motion` the motion modules, `denoiser` all the others."""
        if stage not in ("denoiser", "motion"):
            raise ConfigError(f"found stage {stage!r}, expected 'denoiser' or 'motion'.")
        if stage == "motion" and self.motion is None:
            raise ConfigError(
                "this denoiser has no motion modules to train; call add_motion first."
            )
        self.requires_grad_(stage == "denoiser")
        if self.motion is not None:
            self.motion.requires_grad_(stage == "motion")

    def condition(
        self,
        *,
        embeddings: Tensor,
        visible: Tensor,
        pose_maps: Tensor,
        reference_latents: Tensor,
        present: Tensor | None = None,
        drop_prior: Tensor | None = None,
        drop_pose: Tensor | None = None,
        reference_patches: Tensor | None = None,
    ) -> Conditioning:
        """Compute all the U-Net is told besides the noisy grid; valid for every denoising step.

        embeddings (B,V,D); visible, present (B,V) bool; pose_maps (B,V,3,H,W) in [0,1];
        reference_latents (B,V,C,h,w); drop_prior, drop_pose (B,) bool: True = the null condition,
        which is the injector's null tokens and pose features of zero. Empty cells are not visible.
        reference_patches (B,V,n*n,W): of the reference views, for a denoiser with a patch_grid n.
        """
        self._check_views(embeddings, pose_maps, reference_latents)
        patches = self._checked_patches(reference_patches, visible)
        known = visible if present is None else visible & present
        pose = self.pose_guider(to_grid(pose_maps, self.grid).to(self.dtype))
        if drop_pose is not None:
            pose = pose.masked_fill(drop_pose[:, None, None, None], 0.0)
        height, width = reference_latents.shape[-2:]
        return Conditioning(
            tokens=self.injector(
                embeddings.to(self.dtype), known, present=present, drop=drop_prior, **patches
            ),
            pose=pose,
            visibility=fill_cells(known, self.grid, height=height, width=width),
            reference=to_grid(reference_latents, self.grid),
        )

    def predict(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        conditioning: Conditioning,
        *,
        num_frames: int | None = None,
    ) -> Tensor:
        """Predict the target of a noisy grid: (B,C,gh,gw), timesteps (B,) -> (B,C,gh,gw).

        With motion across frames, B counts people times `num_frames` consecutive grids (default:
        the number that `motion_config` names).
        """
        if self.motion is not None:
            self.motion.prepare(noisy, num_frames)
        elif num_frames is not None:
            raise ConfigError("num_frames was given, but this denoiser has no motion modules.")
        if self.cells is not None:
            self.cells.latent_size = (noisy.shape[-2], noisy.shape[-1])
        stem = self._stem_features(conditioning)
        parts = (noisy, conditioning.visibility, conditioning.reference, stem)
        sample = torch.cat([part.to(self.dtype) for part in parts], dim=1)
        tokens = conditioning.tokens.to(self.dtype)
        (prediction,) = self.unet(
            sample, timesteps, encoder_hidden_states=tokens, return_dict=False
        )
        return prediction.to(noisy.dtype)

    def _stem_features(self, conditioning: Conditioning) -> Tensor:
        """What the input convolution's result is added: pose features, and each view's token."""
        own = self.injector.own_tokens(conditioning.tokens, self.grid.num_views)
        if self.into_cells is None or own is None:
            return conditioning.pose
        rows, cols = conditioning.pose.shape[-2:]
        cells = repeat(
            self.into_cells(own.to(self.dtype)),
            "b v p -> b v p h w",
            h=rows // self.grid.rows,
            w=cols // self.grid.cols,
        )
        return conditioning.pose + to_grid(cells, self.grid)

    def forward(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        *,
        num_frames: int | None = None,
        **conditions: Tensor | None,
    ) -> Tensor:
        """Condition and predict in one call, which is what distributed training wraps.

        `conditions` are the arguments of `condition`.
        """
        conditioning = self.condition(**conditions)  # type: ignore[arg-type]
        return self.predict(noisy, timesteps, conditioning, num_frames=num_frames)

    def _check_views(self, embeddings: Tensor, pose_maps: Tensor, latents: Tensor) -> None:
        """Raise a DataError unless the views fill the grid and pose maps fit the latents."""
        for name, views in (("embeddings", embeddings), ("reference_latents", latents)):
            if views.shape[1] != self.grid.num_views:
                raise DataError(
                    f"{name} has {views.shape[1]} views, expected {self.grid.num_views}: "
                    f"the denoiser's grid is {self.grid.rows} x {self.grid.cols}."
                )
        height, width = (size * self.config["vae_factor"] for size in latents.shape[-2:])
        expected = (*latents.shape[:2], 3, height, width)
        if tuple(pose_maps.shape) != expected:
            raise DataError(
                f"pose_maps has shape {tuple(pose_maps.shape)}, expected {expected}, the size of "
                "the pictures that the latents stand for."
            )

    def _checked_patches(self, patches: Tensor | None, visible: Tensor) -> dict[str, Tensor]:
        """Return what the injector is told of patches; a DataError unless it is what it reads."""
        expected = None
        if self.patch_grid:
            expected = (*visible.shape, self.patch_grid**2, self.config["patch_dim"])
        found = None if patches is None else tuple(patches.shape)
        if found != expected:
            raise DataError(
                f"reference_patches has shape {found}, expected {expected}: this denoiser's "
                f"jci.patch_grid is {self.patch_grid}."
            )
        return {} if patches is None else {"reference_patches": patches.to(self.dtype)}


def _zero_linear(in_features: int, out_features: int) -> nn.Linear:
    """A Linear that starts as nothing, so that pretrained weights paint as before at first."""
    linear = nn.Linear(in_features, out_features)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def denoiser_from_config(
    config: Config,
    *,
    latent_channels: int,
    vae_factor: int,
    appearance_dim: int,
    patch_dim: int | None = None,
    with_motion: bool = False,
) -> JCDMDenoiser:
    """Build an untrained denoiser from a run's configuration and the encoders' sizes.

    patch_dim is stored only where jci.patch_grid asks for patches.
    Under `torch.device("meta")` it costs no memory. Motion modules are the second part's, hence
    only built when asked for.
    """
    return JCDMDenoiser(
        grid_rows=config.data.grid_rows,
        grid_cols=config.data.grid_cols,
        latent_channels=latent_channels,
        vae_factor=vae_factor,
        appearance_dim=appearance_dim,
        unet_config=unet_config_dict(config.unet, latent_channels),
        guider_channels=list(config.unet.pose_guider_channels),
        jci_config=asdict(config.jci),
        motion_config=asdict(config.motion.module) if with_motion else None,
        patch_dim=patch_dim if config.jci.patch_grid else None,
        attend_across_cells=config.unet.attend_across_cells,
    )
