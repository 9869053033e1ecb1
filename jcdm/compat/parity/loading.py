"""Published weights of a fixture -> our models, at the sizes that the fixture's settings name."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from diffusers import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.compat.official_keys_prior import prior_config_from_official, prior_state_from_official
from jcdm.compat.official_keys_unet import (
    OfficialStage2,
    denoiser_from_official,
    split_official_unet,
)
from jcdm.compat.parity.fixtures import FixtureFolder
from jcdm.config import MotionConfig
from jcdm.grid import GridShape
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.models.motion import MotionModules
from jcdm.models.pose_guider import PoseGuider
from jcdm.models.unet import build_unet

GRID = GridShape()  # the published code cuts every grid into quadrants
PUBLISHED_MOTION_GROUPS = 32


def load_prior(fixtures: FixtureFolder, name: str) -> AppearancePriorTransformer:
    """Build the prior of a fixture; half-precision weights are computed in float32."""
    state = prior_state_from_official(fixtures.weights(name))
    prior = AppearancePriorTransformer(
        **prior_arguments(state, fixtures.settings(name)["config"])  # type: ignore[arg-type]
    )
    prior.load_state_dict(state)
    return prior.eval()


def prior_arguments(state: dict[str, Any], config: Mapping[str, Any]) -> dict[str, object]:
    """Arguments of our prior for weights under our names and the published configuration."""
    return prior_config_from_official(
        state,
        num_heads=config["num_attention_heads"],
        num_view_heads=config["motion_module_kwargs"]["num_attention_heads"],
    )


def unet_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of diffusers' U-Net for a published configuration, 2-D or 3-D."""
    names = ("down_block_types", "up_block_types")
    kinds = {name: [kind.replace("3D", "2D") for kind in config[name]] for name in names}
    return {k: v for k, v in config.items() if k != "mid_block_type"} | kinds


def motion_arguments(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Fields of `MotionConfig` for a published U-Net's settings; None for one without motion."""
    if not settings.get("additional_kwargs", {}).get("use_motion_module"):
        return None
    given = settings["additional_kwargs"]["motion_module_kwargs"]
    motion = MotionConfig(
        num_heads=given["num_attention_heads"],
        norm_num_groups=given.get("norm_num_groups", PUBLISHED_MOTION_GROUPS),
        max_positions=given["temporal_position_encoding_max_len"],
        width_divisor=given["temporal_attention_dim_div"],
    )
    return asdict(motion)


def load_unet(
    fixtures: FixtureFolder, name: str
) -> tuple[UNet2DConditionModel, MotionModules | None]:
    """Build the U-Net of a fixture, its motion modules attached where it has any."""
    settings, weights = fixtures.settings(name), fixtures.weights(name)
    unet = build_unet(unet_arguments(settings["config"]))
    arguments = motion_arguments(settings)
    if arguments is None:
        unet.load_state_dict(weights)
        return unet.eval(), None
    unet_weights, motion_weights = split_official_unet(weights)
    unet.load_state_dict(unet_weights)
    motion = MotionModules(unet, GRID, MotionConfig(**arguments))
    motion.load_state_dict(motion_weights)
    motion.attach(unet)
    return unet.eval(), motion.eval()


def load_pose_guider(fixtures: FixtureFolder, name: str) -> PoseGuider:
    """Build the pose guider of a fixture; the settings of all stand in one file."""
    config = fixtures.settings("pose_guider")[name]
    widths = config["block_out_channels"]
    guider = PoseGuider(
        out_channels=config["conditioning_embedding_channels"],
        block_out_channels=widths,
        factor=guider_factor(widths),
    )
    guider.load_state_dict(fixtures.weights(name))
    return guider.eval()


def guider_factor(widths: list[int]) -> int:
    """Pixels of a pose map a latent cell: every width but the first halves."""
    return 2 ** (len(widths) - 1)


def load_denoiser(fixtures: FixtureFolder, files: Mapping[str, str]) -> JCDMDenoiser:
    """Build a denoiser of the fixtures that hold its `unet`, `pose_guider` and `linear_emb`."""
    parts = ("unet", "pose_guider", "linear_emb")
    official = OfficialStage2(**{part: fixtures.weights(files[part]) for part in parts})
    guider = fixtures.settings("pose_guider")[files["pose_guider"]]
    denoiser = JCDMDenoiser(
        **denoiser_arguments(
            fixtures.settings(files["unet"]), guider, official.linear_emb["weight"].shape[1]
        )
    )
    denoiser.load_state_dict(denoiser_from_official(official))
    return denoiser.eval()


def denoiser_arguments(
    unet: Mapping[str, Any], guider: Mapping[str, Any], appearance_dim: int
) -> dict[str, Any]:
    """Arguments of our denoiser for the published settings of its U-Net and its pose guider."""
    return {
        "grid_rows": GRID.rows,
        "grid_cols": GRID.cols,
        "latent_channels": unet["config"]["out_channels"],
        "vae_factor": guider_factor(guider["block_out_channels"]),
        "appearance_dim": appearance_dim,
        "unet_config": unet_arguments(unet["config"]),
        "guider_channels": guider["block_out_channels"],
        "jci_config": {"kind": "linear"},
        "motion_config": motion_arguments(unet),
    }


def load_vae(fixtures: FixtureFolder, name: str) -> FrozenVAE:
    """Build the VAE of a fixture."""
    model: Any = AutoencoderKL(**fixtures.settings(name)["config"])
    model.load_state_dict(fixtures.weights(name))
    return FrozenVAE(model)


def load_clip(fixtures: FixtureFolder, name: str) -> FrozenCLIPVision:
    """Build the CLIP vision tower of a fixture."""
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(**fixtures.settings(name)["config"]))
    model.load_state_dict(fixtures.weights(name))
    return FrozenCLIPVision(model)
