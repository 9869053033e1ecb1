"""A pipeline in the published layout: the files others expect, and back again bit for bit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from jcdm.compat.checkpoint_files import read_checkpoint
from jcdm.compat.convert_official import OfficialFiles, convert_official
from jcdm.compat.export_official import PRIOR_FILE, export_official
from jcdm.errors import CheckpointError, ConfigError
from jcdm.pipelines.multiview import JCDMPipeline
from tests.compat.official_world import (
    SETTINGS,
    build_models,
    build_pipeline,
    official_states,
    paint,
    write_official,
)
from tests.pipelines import pipeline_factory as factory


def exported_files(folder: Path, published: OfficialFiles, motion: bool) -> OfficialFiles:
    """Name an export's files beside the folders that an export does not hold."""
    return replace(
        published,
        apm=folder / PRIOR_FILE,
        denoising_unet=folder / "denoising_unet-9.pth",
        pose_guider=folder / "pose_guider-9.pth",
        linear=folder / "linear_emb-9.pth",
        motion=folder / "motion_module-9.pth" if motion else None,
    )


@pytest.mark.parametrize("motion", [False, True], ids=["plain", "motion"])
def test_published_files_come_back_bit_for_bit(tmp_path: Path, motion: bool) -> None:
    models = build_models(motion)
    published = write_official(tmp_path / "published", models)
    states = official_states(models)
    noisy = {k: v for k, v in states["apm"].items() if "temporal_transformer.norm" in k}
    assert noisy
    states["apm"] |= {name: torch.randn(tensor.shape) for name, tensor in noisy.items()}
    torch.save(states["apm"], published.apm)
    pipeline = convert_official(published, tmp_path / "pipeline", SETTINGS)
    export_official(pipeline, tmp_path / "export", step=9)
    files = exported_files(tmp_path / "export", published, motion)
    for name, expected in states.items():
        found = read_checkpoint(getattr(files, name))
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], tensor) for key, tensor in expected.items()), name


@pytest.mark.parametrize("motion", [False, True], ids=["plain", "motion"])
def test_our_pipeline_comes_back_bit_for_bit(tmp_path: Path, motion: bool) -> None:
    """Also a prior for 16 views, whose tables are cut to the published 5 on the way."""
    models = build_models(motion)
    published = write_official(tmp_path / "published", models)
    models["prior"] = factory.build_prior(
        visibility_embedding="clip_constant", num_view_heads=8, num_layers=2, max_views=16
    )
    pipeline = build_pipeline(models)
    pipeline.save_pretrained(tmp_path / "ours")
    export_official(tmp_path / "ours", tmp_path / "export", step=9)
    table = next(k for k in read_checkpoint(tmp_path / "export" / PRIOR_FILE) if k.endswith("pe"))
    assert read_checkpoint(tmp_path / "export" / PRIOR_FILE)[table].shape[1] == 5
    files = exported_files(tmp_path / "export", published, motion)
    again = JCDMPipeline.from_pretrained(convert_official(files, tmp_path / "again", SETTINGS))
    for name in ("prior", "denoiser", "vae", "image_encoder"):
        expected = getattr(pipeline, name).state_dict()
        found = getattr(again, name).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], tensor) for key, tensor in expected.items()), name
        assert found.keys() == expected.keys()
    assert torch.equal(paint(again), paint(pipeline))


def test_the_prior_s_file_is_laid_out_as_deepspeed_s(tmp_path: Path) -> None:
    build_pipeline(build_models()).save_pretrained(tmp_path / "ours")
    files = export_official(tmp_path / "ours", tmp_path / "export", step=7)
    assert [file.name for file in files] == [
        "denoising_unet-7.pth",
        "linear_emb-7.pth",
        PRIOR_FILE,
        "pose_guider-7.pth",
    ]
    content = torch.load(tmp_path / "export" / PRIOR_FILE)
    assert content["last_global_step"] == 7
    assert "positional_embedding" in content["module"]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"denoiser": {"jci_config": {"kind": "cross_attention", "num_heads": 2}}}, "jci.kind"),
        ({"prior": {"visibility_embedding": "learned"}}, "prior.visibility_embedding"),
        ({"denoiser": {"motion": factory.MOTION | {"axis": "frames"}}}, "motion.axis"),
        ({"denoiser": {"grid_rows": 1}}, "data.grid_rows"),
    ],
)
def test_what_the_published_layout_cannot_hold_is_named(
    tmp_path: Path, changes: dict[str, Any], key: str
) -> None:
    models = build_models()
    if "denoiser" in changes:
        options = {"jci_config": {"kind": "linear"}} | changes["denoiser"]
        models["denoiser"] = factory.build_denoiser(**options)
    else:
        models["prior"] = factory.build_prior(**changes["prior"])
    build_pipeline(models).save_pretrained(tmp_path / "ours")
    with pytest.raises(ConfigError, match=key):
        export_official(tmp_path / "ours", tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_views_encoded_one_by_one_are_not_the_published_layout(tmp_path: Path) -> None:
    models = build_models()
    pipeline = build_pipeline(models)
    pipeline.register_to_config(layout="view")
    pipeline.save_pretrained(tmp_path / "ours")
    with pytest.raises(ConfigError, match=r"encoders\.layout view"):
        export_official(tmp_path / "ours", tmp_path / "export")


def test_a_folder_without_weights_leaves_no_export(tmp_path: Path) -> None:
    build_pipeline(build_models()).save_pretrained(tmp_path / "ours")
    (tmp_path / "ours" / "denoiser" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no weights in"):
        export_official(tmp_path / "ours", tmp_path / "export")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours"]
    (tmp_path / "export").mkdir()
    with pytest.raises(ConfigError, match="exists"):
        export_official(tmp_path / "ours", tmp_path / "export")
