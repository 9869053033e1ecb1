"""Published files of every kind -> a pipeline folder that paints the same pictures, bit for bit."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from jcdm.compat.convert_official import UNUSED, OfficialSettings, convert_official
from jcdm.diffusion.schedule import published_sampling, scheduler_from_noise_levels
from jcdm.errors import ConfigError
from jcdm.pipelines.multiview import JCDMPipeline
from tests.compat.official_world import (
    FORMATS,
    SETTINGS,
    build_models,
    build_pipeline,
    official_states,
    paint,
    save_half,
    save_zip,
    write_json,
    write_official,
)
from tests.compat.test_checkpoint_files import Planted
from tests.pipelines import pipeline_factory as factory


def load(folder: Path) -> JCDMPipeline:
    return JCDMPipeline.from_pretrained(folder)


def weights(model: Any) -> dict[str, Tensor]:
    return {k: v for k, v in model.state_dict().items() if "position_ids" not in k}


def assert_same_weights(found: Any, expected: Any) -> None:
    assert weights(found).keys() == weights(expected).keys()
    for name, tensor in weights(expected).items():
        assert torch.equal(weights(found)[name], tensor), name


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("motion", [False, True], ids=["plain", "motion"])
def test_converted_files_paint_as_the_models_did(tmp_path: Path, kind: str, motion: bool) -> None:
    models = build_models(motion)
    files = write_official(tmp_path / "published", models, kind)
    out = convert_official(files, tmp_path / "out", SETTINGS)
    assert torch.equal(paint(load(out)), paint(build_pipeline(models)))
    assert not list(out.rglob("*.bin")) and not list(out.rglob("*.pt*"))


def test_nothing_that_a_file_names_is_run(tmp_path: Path) -> None:
    """DeepSpeed's file holds more than weights; here it also holds a command."""
    models = build_models(motion=True)
    files = write_official(tmp_path / "published", models)
    mark = tmp_path / "it ran"
    for name, state in official_states(models).items():
        torch.save({"module": state, "ds_config": Planted(mark)}, getattr(files, name))
    out = convert_official(files, tmp_path / "out", SETTINGS)
    assert not mark.exists()
    assert torch.equal(paint(load(out)), paint(build_pipeline(models)))


def test_half_precision_is_kept_in_the_files_and_computed_in_full(tmp_path: Path) -> None:
    models = build_models(motion=True)
    files = write_official(tmp_path / "published", models)
    for name, state in official_states(models).items():
        save_half(state, getattr(files, name))
    out = convert_official(files, tmp_path / "out", SETTINGS)
    stored = load_file(out / "denoiser" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    for name in ("prior", "denoiser"):
        models[name] = models[name].half().float()
    assert torch.equal(paint(load(out)), paint(build_pipeline(models)))


def test_a_half_precision_unet_and_its_full_precision_motion_file_belong_together(
    tmp_path: Path,
) -> None:
    models = build_models(motion=True)
    files = write_official(tmp_path / "published", models)
    save_half(official_states(models)["denoising_unet"], files.denoising_unet)
    out = convert_official(files, tmp_path / "out", SETTINGS)
    assert_same_weights(load(out).denoiser.motion, models["denoiser"].motion)


def test_the_prior_takes_more_views_than_the_published_five(tmp_path: Path) -> None:
    models = build_models()
    out = convert_official(write_official(tmp_path / "published", models), tmp_path / "out")
    prior = load(out).prior
    assert prior.config["max_views"] == 16
    table = prior.layers[0].across.block.positions.pe
    whole = factory.build_prior(num_view_heads=8, max_views=16).layers[0].across.block.positions.pe
    assert torch.equal(table, whole)


def test_a_prior_without_the_unused_norms_is_whole(tmp_path: Path) -> None:
    models = build_models()
    state = official_states(models)["apm"]
    lean = {k: v for k, v in state.items() if "temporal_transformer.norm." not in k}
    assert len(lean) == len(state) - 4
    files = write_official(tmp_path / "published", models, apm=lean)
    out = convert_official(files, tmp_path / "out", SETTINGS)
    assert not (out / UNUSED).exists()
    assert torch.equal(paint(load(out)), paint(build_pipeline(models)))


def motion_only(models: dict[str, Any]) -> dict[str, Tensor]:
    state = official_states(models)["motion"]
    return {k: v for k, v in state.items() if "motion_modules" in k}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_file_of_motion_weights_alone(tmp_path: Path, prefix: str) -> None:
    """As AnimateAnyone and AnimateDiff v2 publish them."""
    models = build_models(motion=True)
    alone = {prefix + name: tensor for name, tensor in motion_only(models).items()}
    files = write_official(tmp_path / "published", models, motion=alone)
    out = convert_official(files, tmp_path / "out", SETTINGS)
    assert torch.equal(paint(load(out)), paint(build_pipeline(models)))


def test_a_motion_file_without_middle_block(tmp_path: Path) -> None:
    """As AnimateDiff v1 and v3 publish them: the middle block's fresh module changes nothing."""
    models = build_models(motion=True)
    alone = {k: v for k, v in motion_only(models).items() if not k.startswith("mid_block")}
    files = write_official(tmp_path / "published", models, "wrapped", motion=alone)
    out = convert_official(files, tmp_path / "out", SETTINGS)
    torch.nn.init.zeros_(models["denoiser"].motion.mid_block.proj_out.weight)
    torch.nn.init.zeros_(models["denoiser"].motion.mid_block.proj_out.bias)
    assert torch.equal(paint(load(out)), paint(build_pipeline(models)))
    assert "middle block" in (out / "README.md").read_text()


def test_motion_across_frames_is_chosen_by_the_caller(tmp_path: Path) -> None:
    models = build_models(motion=True)
    files = write_official(tmp_path / "published", models, motion=motion_only(models))
    across = replace(SETTINGS, motion=replace(SETTINGS.motion, axis="frames"))
    assert load(convert_official(files, tmp_path / "out", across)).denoiser.motion.axis == "frames"


def test_folders_in_other_shapes(tmp_path: Path) -> None:
    """A U-Net's own folder, .bin weights, shards, a whole CLIP, a VAE with the old names."""
    models = build_models()
    files = write_official(tmp_path / "published", models)
    vae = models["vae"].state_dict()
    names = {
        ".to_q.": ".query.",
        ".to_k.": ".key.",
        ".to_v.": ".value.",
        ".to_out.0.": ".proj_attn.",
    }
    for new, old in names.items():
        vae = {k.replace(new, old): v for k, v in vae.items()}
    (files.vae / "diffusion_pytorch_model.safetensors").unlink()
    save_zip(vae, files.vae / "diffusion_pytorch_model.bin")
    split_clip(files.image_encoder, models["image_encoder"])
    files = replace(files, sd15=files.sd15 / "unet")
    out = convert_official(files, tmp_path / "out", SETTINGS)
    assert torch.equal(paint(load(out)), paint(build_pipeline(models)))


def split_clip(folder: Path, model: Any) -> None:
    """Write a vision tower as a whole CLIP in two shards, one of them with the text half."""
    state = model.state_dict() | {"logit_scale": torch.ones(()), "text_model.a": torch.ones(2)}
    names = sorted(state)
    shards = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, held in shards.items():
        save_file({name: state[name].contiguous() for name in held}, folder / file)
    table = {name: file for file, held in shards.items() for name in held}
    write_json(folder / "model.safetensors.index.json", {"weight_map": table})
    (folder / "model.safetensors").unlink()
    vision = json.loads((folder / "config.json").read_text())
    config = {
        "model_type": "clip",
        "vision_config": vision,
        "projection_dim": vision.pop("projection_dim"),
    }
    write_json(folder / "config.json", config)


def test_provenance_names_every_file_and_its_checksum(tmp_path: Path) -> None:
    files = write_official(tmp_path / "published", build_models(motion=True))
    out = convert_official(files, tmp_path / "out", SETTINGS)
    facts = json.loads((out / "provenance.json").read_text())
    found = {source["role"]: source for source in facts["sources"] if source["role"] == "motion"}
    assert found["motion"]["sha256"] == hashlib.sha256(files.motion.read_bytes()).hexdigest()
    roles = {source["role"] for source in facts["sources"]}
    assert roles == {
        *("apm", "denoising_unet", "pose_guider", "linear", "motion"),
        *("vae", "image_encoder", "sd15"),
    }
    assert str(tmp_path) not in (out / "provenance.json").read_text()
    card = (out / "README.md").read_text()
    assert all(source["sha256"] in card for source in facts["sources"])


def test_both_schedules_can_be_chosen(tmp_path: Path) -> None:
    files = write_official(tmp_path / "published", build_models())
    published = load(convert_official(files, tmp_path / "a", SETTINGS))
    trained = load(convert_official(files, tmp_path / "b", replace(SETTINGS, schedule="trained")))
    assert published.scheduler.config["beta_schedule"] == "linear"
    assert trained.scheduler.config["beta_schedule"] == "scaled_linear"
    assert not torch.equal(paint(published), paint(trained))
    expected = paint(trained)
    published.choose_schedule("trained")
    assert torch.equal(paint(published), expected)
    published.save_pretrained(tmp_path / "c")
    assert torch.equal(paint(load(tmp_path / "c")), expected)
    with pytest.raises(ConfigError, match="expected one of trained, published"):
        published.choose_schedule("linear")


def test_a_schedule_that_was_not_chosen_is_refused(tmp_path: Path) -> None:
    files = write_official(tmp_path / "published", build_models())
    pipeline = load(convert_official(files, tmp_path / "out", SETTINGS))
    levels = pipeline.config["noise_levels"]
    pipeline.scheduler = scheduler_from_noise_levels(levels)
    with pytest.raises(ConfigError, match="other noise levels"):
        paint(pipeline)
    pipeline.choose_schedule("trained")
    pipeline.scheduler = published_sampling()
    with pytest.raises(ConfigError, match="other noise levels"):
        paint(pipeline)


def test_the_default_settings_are_the_published_ones() -> None:
    settings = OfficialSettings()
    assert (settings.schedule, settings.height, settings.width) == ("published", 768, 768)
    assert (settings.motion.num_heads, settings.motion.norm_num_groups) == (8, 32)


def test_weights_are_written_in_shards_when_they_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jcdm.compat.pieces.LARGEST_FILE", 4000)
    models = build_models(motion=True)
    files = write_official(tmp_path / "published", models)
    out = convert_official(files, tmp_path / "out", SETTINGS)
    assert len(list((out / "denoiser").glob("*.safetensors"))) > 3
    assert torch.equal(paint(load(out)), paint(build_pipeline(models)))
