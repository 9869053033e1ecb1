from pathlib import Path

import pytest
import torch
from denoiser_factory import (
    CHANNELS,
    FRAMES,
    MOTION,
    TIMESTEPS,
    UNET,
    build,
    conditions,
    noisy_grid,
    randomise,
)
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import nn

from jcdm.compat.official_keys_unet import denoiser_from_official, official_from_denoiser
from jcdm.config import (
    Config,
    DataConfig,
    EncodersConfig,
    JCIConfig,
    MotionStageConfig,
    OptimConfig,
    RunConfig,
    TrainConfig,
)
from jcdm.errors import CheckpointError, ConfigError, DataError
from jcdm.grid import GridShape, fill_cells, from_grid
from jcdm.models.denoiser import JCDMDenoiser, denoiser_from_config
from jcdm.models.unet import PoseStem, unet_config_dict

LINEAR = {"kind": "linear", "num_tokens": 4, "num_heads": 1, "num_layers": 1}


def trained(motion=None, **changes):
    """Build a denoiser none of whose layers is at zero any more."""
    denoiser = build(motion, **changes)
    randomise(denoiser.pose_guider)
    if denoiser.motion is not None:
        randomise(denoiser.motion)
    return denoiser


@torch.no_grad()
def run(denoiser, sample=None, num_frames=None, **changes):
    sample = noisy_grid() if sample is None else sample
    timesteps = TIMESTEPS[0].expand(len(sample))
    inputs = conditions(batch=len(sample)) | changes
    return denoiser(sample, timesteps, num_frames=num_frames, **inputs)


def test_an_untrained_guider_and_fresh_motion_leave_the_unet_as_it_was():
    denoiser = build()
    before = run(denoiser)
    assert torch.equal(run(denoiser, pose_maps=torch.zeros(2, 4, 3, 16, 8)), before)
    denoiser.add_motion(MOTION)
    assert torch.equal(run(denoiser), before)
    nn.init.ones_(denoiser.motion.up_blocks[1][0].proj_out.bias)
    assert not torch.allclose(run(denoiser), before)


def test_the_unet_is_told_all_in_the_published_order():
    denoiser, inputs = trained(), conditions()
    told = denoiser.condition(**inputs)
    assert torch.equal(
        told.visibility, fill_cells(inputs["visible"], GridShape(), height=8, width=4)
    )
    assert torch.equal(from_grid(told.reference, GridShape()), inputs["reference_latents"])
    parts = (noisy_grid(), told.visibility, told.reference, told.pose)
    with torch.no_grad():
        expected = denoiser.unet(torch.cat(parts, dim=1), TIMESTEPS, told.tokens).sample
        found = denoiser.predict(noisy_grid(), TIMESTEPS, told)
        assert torch.equal(found, expected)
        assert torch.equal(denoiser(noisy_grid(), TIMESTEPS, **inputs), expected)


@pytest.mark.parametrize("name", ["embeddings", "pose_maps", "reference_latents", "visible"])
def test_every_condition_has_an_effect(name):
    denoiser, inputs = trained(), conditions()
    changed = {name: inputs[name].flip(1)}
    assert not torch.allclose(run(denoiser, **changed), run(denoiser), atol=1e-5)


@pytest.mark.parametrize("jci", [None, LINEAR])
def test_a_dropped_prior_is_the_null_whatever_the_embeddings_say(jci):
    denoiser = trained(**({"jci_config": jci} if jci else {}))
    drop = torch.tensor([True, False])
    told = denoiser.condition(**conditions(), drop_prior=drop)
    kept = denoiser.condition(**conditions())
    assert torch.equal(told.tokens[:1], denoiser.injector.null_tokens(1, 4))
    assert torch.equal(told.tokens[1], kept.tokens[1])
    plain, dropped = run(denoiser), run(denoiser, drop_prior=drop)
    assert not torch.allclose(plain[0], dropped[0], atol=1e-5)
    assert torch.equal(plain[1], dropped[1])


def test_a_dropped_pose_is_features_of_zero():
    denoiser = trained()
    drop = torch.tensor([False, True])
    told = denoiser.condition(**conditions(), drop_pose=drop)
    assert torch.equal(told.pose[0], denoiser.condition(**conditions()).pose[0])
    assert torch.equal(told.pose[1], torch.zeros_like(told.pose[1]))
    assert told.pose[0].abs().max() > 0


def test_an_empty_cell_is_not_visible_and_its_embedding_is_not_read():
    denoiser, inputs = trained(), conditions()
    present = inputs["present"].clone()
    present[:, 1] = False
    told = denoiser.condition(**inputs | {"present": present})
    visibility = from_grid(told.visibility, GridShape())
    assert torch.equal(visibility[:, 1], torch.zeros(2, 1, 8, 4))
    assert torch.equal(visibility[:, 0], torch.ones(2, 1, 8, 4))
    other = inputs["embeddings"].clone()
    other[:, 1] += 5
    again = denoiser.condition(**inputs | {"present": present, "embeddings": other})
    assert torch.equal(again.tokens, told.tokens)


def test_views_meet_through_motion():
    """Without U-Net attention, far cells meet in the motion module only."""
    levels = {"down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2}
    config = unet_config_dict(UNET, CHANNELS) | levels
    denoiser = trained(MOTION, unet_config=config)
    for layer in (*denoiser.unet.mid_block.attentions, *denoiser.unet.mid_block.resnets):
        layer.register_forward_hook(keep_input)
    for block in denoiser.unet.modules():
        if isinstance(block, nn.GroupNorm):
            block.forward = lambda hidden: hidden
    sample, size = noisy_grid(batch=1, height=128, width=128), (1, 4, CHANNELS, 64, 64)
    inputs = {name: value[:1] for name, value in conditions(height=64, width=64).items()}
    inputs["reference_latents"] = torch.zeros(size)
    near, far = (slice(0, 2),) * 2, (slice(64, 66),) * 2
    differences = {}
    for attached in (True, False):
        if not attached:
            for module in denoiser.motion.modules():
                if isinstance(module, nn.Linear):
                    nn.init.zeros_(module.weight)
        moved = sample.clone()
        moved[..., *near] += 1
        change = run(denoiser, moved, **inputs) - run(denoiser, sample, **inputs)
        assert change[..., *near].abs().max() > 0
        differences[attached] = change[..., *far].abs().max().item()
    assert differences[True] > 1e-4
    assert differences[False] == 0


def keep_input(_layer, inputs, output):
    return (inputs[0],) if isinstance(output, tuple) else inputs[0]


def test_frames_meet_through_motion_within_a_person_only():
    denoiser = trained(FRAMES)
    sample = noisy_grid(batch=4)
    other = sample.clone()
    other[0] += 1
    inputs = conditions(batch=4)
    change = run(denoiser, other, num_frames=2, **inputs) - run(
        denoiser, sample, num_frames=2, **inputs
    )
    assert change[1].abs().max() > 1e-5
    assert torch.equal(change[2:], torch.zeros_like(change[2:]))


def test_the_number_of_frames_is_by_default_the_trained_one():
    denoiser, sample = trained(FRAMES), noisy_grid(batch=6)
    inputs = conditions(batch=6)
    by_default = run(denoiser, sample, **inputs)
    assert torch.equal(by_default, run(denoiser, sample, num_frames=3, **inputs))
    assert not torch.allclose(by_default, run(denoiser, sample, num_frames=2, **inputs))


def test_frames_that_do_not_fill_the_batch_are_refused():
    with pytest.raises(DataError, match="found 4 grids, expected a multiple of the 3 frames"):
        run(trained(FRAMES), noisy_grid(batch=4))


def test_frames_without_motion_are_refused():
    with pytest.raises(ConfigError, match="no motion modules"):
        run(build(), num_frames=2)


def test_odd_cells_are_refused_with_motion_and_name_the_size_that_fits():
    inputs = conditions(height=8, width=5)
    sample = noisy_grid(width=10)
    assert run(build(), sample, **inputs).shape == sample.shape
    with pytest.raises(ConfigError, match=r"8 x 5; motion needs a multiple of 2 .*data\.width"):
        run(build(MOTION), sample, **inputs)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("embeddings", "embeddings has 3 views, expected 4: the denoiser's grid is 2 x 2"),
        ("reference_latents", "reference_latents has 3 views, expected 4"),
        ("pose_maps", r"pose_maps has shape \(2, 3, 3, 16, 8\), expected \(2, 4, 3, 16, 8\)"),
    ],
)
def test_views_that_do_not_fill_the_grid_are_refused(name, message):
    with pytest.raises(DataError, match=message):
        run(build(), **{name: conditions()[name][:, :3]})


@pytest.mark.parametrize("stage", ["denoiser", "motion"])
def test_freezing_freezes(stage):
    denoiser = trained(MOTION)
    denoiser.freeze_for(stage)
    before = {name: p.detach().clone() for name, p in denoiser.named_parameters()}
    optimizer = torch.optim.SGD([p for p in denoiser.parameters() if p.requires_grad], lr=1.0)
    drop = torch.tensor([True, False])
    denoiser(noisy_grid(), TIMESTEPS, **conditions(), drop_prior=drop).square().mean().backward()
    optimizer.step()
    moved = {n for n, p in denoiser.named_parameters() if not torch.equal(p, before[n])}
    parts = {name.partition(".")[0] for name in moved}
    assert parts == ({"motion"} if stage == "motion" else {"unet", "pose_guider", "injector"})
    for part in parts:
        weights = [n for n in before if n.startswith(part) and not n.endswith("norm.bias")]
        assert len(moved & set(weights)) > 0.9 * len(weights)


def test_freezing_needs_a_stage_that_exists():
    with pytest.raises(ConfigError, match="found stage 'prior'"):
        build().freeze_for("prior")
    with pytest.raises(ConfigError, match="no motion modules to train; call add_motion"):
        build().freeze_for("motion")


def test_motion_is_added_once():
    with pytest.raises(ConfigError, match="has motion modules already"):
        build(MOTION).add_motion(MOTION)


@pytest.mark.parametrize("motion", [None, MOTION])
def test_saving_and_reading_changes_no_bit(tmp_path: Path, motion):
    denoiser = trained()
    if motion:
        denoiser.add_motion(motion)
        randomise(denoiser.motion)
    denoiser.save_pretrained(tmp_path)
    again = JCDMDenoiser.from_pretrained(tmp_path)
    assert isinstance(again.unet.conv_in, PoseStem)
    assert torch.equal(run(again), run(denoiser))
    assert (again.motion is None) == (motion is None)
    keys = load_file(tmp_path / "diffusion_pytorch_model.safetensors").keys()
    plain = UNet2DConditionModel(**unet_config_dict(UNET, CHANNELS)).state_dict().keys()
    assert {k.removeprefix("unet.") for k in keys if k.startswith("unet.")} == set(plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [("drop", "1 weights missing, 0 unknown"), ("add", "0 weights missing, 1 unknown")],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, change, message):
    build().save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    if change == "drop":
        weights.pop("injector.queries")
    else:
        weights["injector.extra"] = torch.zeros(1)
    save_file(weights, file)
    with pytest.raises(CheckpointError, match=message):
        JCDMDenoiser.from_pretrained(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(
        CheckpointError, match=r"no JCDMDenoiser in .*nowhere: config\.json not found"
    ):
        JCDMDenoiser.from_pretrained(tmp_path / "nowhere")


def test_half_precision_and_channels_last_work():
    denoiser = trained(MOTION)
    expected = run(denoiser)
    found = run(denoiser.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    half = run(denoiser.to(torch.bfloat16))
    assert half.dtype == torch.float32
    assert (half - expected).norm() < 0.1 * expected.norm()


def test_the_unet_must_fit_the_latents():
    with pytest.raises(ConfigError, match="reads 9 and writes 4 channels, expected 17 and 8"):
        build(latent_channels=8)


def tiny_config() -> Config:
    return Config(
        run=RunConfig(out=Path("out")),
        data=DataConfig(index=Path("index.json"), height=16, width=8, grid_rows=1),
        encoders=EncodersConfig(vae=Path("vae"), image_encoder=Path("clip")),
        optim=OptimConfig(learning_rate=1e-3),
        train=TrainConfig(num_steps=1, batch_size=1),
        unet=UNET,
        jci=JCIConfig(num_tokens=5, num_heads=2, num_layers=1),
        motion=MotionStageConfig(num_heads=2, norm_num_groups=4),
    )


@pytest.mark.parametrize("with_motion", [False, True])
def test_a_denoiser_is_built_from_a_configuration(with_motion):
    sizes = {"latent_channels": 4, "vae_factor": 2, "appearance_dim": 10}
    denoiser = denoiser_from_config(tiny_config(), **sizes, with_motion=with_motion)
    found = run(denoiser, noisy_grid(height=8), **conditions(views=2))
    assert found.shape == (2, 4, 8, 8)
    assert denoiser.condition(**conditions(views=2)).tokens.shape == (2, 5, 12)
    assert (denoiser.motion is not None) == with_motion
    with torch.device("meta"):
        shapeless = denoiser_from_config(tiny_config(), **sizes, with_motion=with_motion)
    assert {p.device.type for p in shapeless.parameters()} == {"meta"}
    assert {n: p.shape for n, p in shapeless.named_parameters()} == {
        n: p.shape for n, p in denoiser.named_parameters()
    }


def test_published_names_come_back_as_they_went():
    denoiser = trained(MOTION, jci_config=LINEAR)
    state = denoiser.state_dict()
    official = official_from_denoiser(state)
    back = denoiser_from_official(official)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], state[key]) for key in state)
    table = "temporal_transformer.transformer_blocks.0.attention_blocks.1.pos_encoder.pe"
    assert f"mid_block.motion_modules.0.{table}" in official.unet
    official.unet[f"mid_block.motion_modules.0.{table}"] = torch.zeros(1, 6, 16)
    with pytest.raises(CheckpointError, match="differs from the other position table"):
        denoiser_from_official(official)
