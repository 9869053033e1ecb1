"""Published names and ours: complete, unique, and the same numbers on the way there and back."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from jcdm.compat.official_keys_prior import (
    OURS_NOT_IN_OFFICIAL,
    prior_state_from_official,
    prior_state_to_official,
)
from jcdm.compat.official_keys_unet import (
    OfficialStage2,
    denoiser_from_official,
    official_from_denoiser,
)
from jcdm.compat.parity.fixtures import FixtureFolder
from jcdm.compat.parity.loading import load_clip, load_prior, load_vae
from jcdm.config import MotionConfig, UNetConfig
from jcdm.errors import CheckpointError
from jcdm.models.attention import CrossPositionBlock
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.encoders import FrozenCLIPVision
from jcdm.models.unet import unet_config_dict

PRIORS = ("apm_motion", "apm_nomotion", "apm_officialmlp")
UNUSED_NORM = "temporal_transformer.norm."


@pytest.fixture(scope="module")
def fixtures(parity_dir: Path) -> FixtureFolder:
    return FixtureFolder(parity_dir)


@pytest.mark.parametrize("name", PRIORS)
def test_names_round_trip(fixtures: FixtureFolder, name: str) -> None:
    official = fixtures.weights(name)
    prefixed = {f"module.{key}": value for key, value in official.items()}
    ours = prior_state_from_official(prefixed)
    assert ours.keys() == prior_state_from_official(official).keys()
    back = prior_state_to_official(ours)
    assert back.keys() == official.keys()
    for key, value in official.items():
        if UNUSED_NORM not in key:
            assert torch.equal(back[key], value), key


@pytest.mark.parametrize(
    ("unet", "guider"), [("unet2d", "pose_guider"), ("unet3d", "pose_guider3d")]
)
def test_names_of_stage_2_round_trip(fixtures: FixtureFolder, unet: str, guider: str) -> None:
    files = {"unet": unet, "pose_guider": guider, "linear_emb": "linear_emb"}
    official = OfficialStage2(**{part: fixtures.weights(name) for part, name in files.items()})
    back = official_from_denoiser(denoiser_from_official(official))
    for part in files:
        found, expected = getattr(back, part), getattr(official, part)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_ours_not_in_official_is_the_only_addition(fixtures: FixtureFolder) -> None:
    official = fixtures.weights("apm_motion")
    lean = {k: v for k, v in official.items() if UNUSED_NORM not in k}
    ours = prior_state_from_official(lean)
    assert ours.keys() == load_prior(fixtures, "apm_motion").state_dict().keys()
    assert set(OURS_NOT_IN_OFFICIAL) < ours.keys()
    assert (ours["null_pose"] == 0).all() and (ours["null_reference"] == 0).all()
    assert ours["clip_mean"].item() == pytest.approx(-0.016)
    # One more position table a block is all that the published names hold twice.
    assert len(ours) == len(lean) - 2 + len(OURS_NOT_IN_OFFICIAL)


def test_export_cuts_the_position_table(fixtures: FixtureFolder) -> None:
    state = load_prior(fixtures, "apm_motion").state_dict()
    official = prior_state_to_official(state, max_views=3)
    tables = {k: value for k, value in official.items() if k.endswith("pos_encoder.pe")}
    assert tables.keys() == {k for k in fixtures.weights("apm_motion") if k in tables}
    assert {table.shape[1] for table in tables.values()} == {3}


def test_our_position_table_is_the_published_one(fixtures: FixtureFolder) -> None:
    published = load_prior(fixtures, "apm_motion").layers[0].across.block.positions.pe
    ours = CrossPositionBlock(published.shape[2], 1, published.shape[1])
    assert torch.equal(ours.positions.pe, published)


def test_foreign_weights_are_named(fixtures: FixtureFolder) -> None:
    official = fixtures.weights("apm_motion")
    with pytest.raises(CheckpointError, match=r"'clip_extra\.weight'"):
        prior_state_from_official(official | {"clip_extra.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="found no"):
        prior_state_from_official({"weight": torch.zeros(1)})
    table = next(key for key in official if key.endswith("pos_encoder.pe"))
    with pytest.raises(CheckpointError, match="two different position tables"):
        prior_state_from_official(official | {table: official[table] + 1})
    ours = prior_state_from_official(official)
    with pytest.raises(CheckpointError, match=r"'extra\.weight'"):
        prior_state_to_official(ours | {"extra.weight": torch.zeros(1)})
    learned = {key: value for key, value in ours.items() if key != "visibility_in.bias"}
    with pytest.raises(CheckpointError, match="learned visibility"):
        prior_state_to_official(learned)


def test_our_default_sizes_are_the_published_ones(fixtures: FixtureFolder) -> None:
    """Our defaults have every key and shape of the published full-size files, and no other."""
    with torch.device("meta"):
        denoiser = JCDMDenoiser(
            grid_rows=2,
            grid_cols=2,
            latent_channels=4,
            vae_factor=8,
            appearance_dim=1280,
            unet_config=unet_config_dict(UNetConfig(), 4),
            guider_channels=UNetConfig().pose_guider_channels,
            jci_config={"kind": "linear"},
            motion_config=asdict(MotionConfig()),
        )
    published = fixtures.settings("keys_full")
    ours = official_from_denoiser(denoiser.state_dict())
    unet = published["unet2d_stage2_part1"]["keys"]
    unet |= published["unet3d_stage2_part2"]["motion_keys"]
    for found, golden in (
        (ours.unet, unet),
        (ours.pose_guider, published["pose_guider"]["keys"]),
        (ours.linear_emb, published["linear_emb"]["keys"]),
    ):
        assert {k: list(v.shape) for k, v in found.items()} == {k: v[0] for k, v in golden.items()}


def test_the_vae_s_numbers_are_read_from_its_settings(fixtures: FixtureFolder) -> None:
    config, vae = fixtures.settings("vae")["config"], load_vae(fixtures, "vae")
    assert vae.factor == 2 ** (len(config["block_out_channels"]) - 1)
    assert vae.latent_channels == config["latent_channels"]
    assert vae.scaling_factor == config["scaling_factor"]


def test_a_saved_clip_tower_embeds_as_recorded(fixtures: FixtureFolder, tmp_path: Path) -> None:
    load_clip(fixtures, "clip_vision").model.save_pretrained(tmp_path)
    golden = fixtures.tensors("clip_vision")
    found = FrozenCLIPVision.from_folder(tmp_path).embed(golden["in.pixel_values"])
    assert (found - golden["out.image_embeds"]).abs().max() < 1e-4
