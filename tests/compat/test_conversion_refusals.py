"""Published files that are not what they should be: one clear line, and no folder left behind."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from jcdm.compat.convert_official import OfficialFiles, convert_official
from jcdm.errors import CheckpointError, ConfigError, JCDMError
from tests.compat.official_world import (
    SETTINGS,
    build_models,
    official_states,
    save_zip,
    write_json,
    write_official,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    write_official(folder, build_models(motion=True))
    return folder


@pytest.fixture
def files(whole: Path, tmp_path: Path) -> OfficialFiles:
    """A copy of the files, to be damaged."""
    folder = tmp_path / "published"
    shutil.copytree(whole, folder)
    names = ("apm", "denoising_unet", "pose_guider", "linear", "motion")
    return OfficialFiles(
        **{name: folder / f"{name}.pth" for name in names},
        sd15=folder / "sd15",
        vae=folder / "vae",
        image_encoder=folder / "image_encoder",
        prior_config=folder / "prior",
    )


def edit(path: Path, change: Callable[[dict], None]) -> None:
    state = torch.load(path)
    change(state)
    save_zip(state, path)


def rename(state: dict, old: str, new: str) -> None:
    state[new] = state.pop(old)


def refusal(files: OfficialFiles, tmp_path: Path, **options: Path) -> str:
    """Convert, expect one line, and check that nothing was left behind."""
    with pytest.raises(JCDMError) as caught:
        convert_official(files, tmp_path / "out", SETTINGS, **options)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["published"]
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("apm", lambda s: s.pop("proj_in.bias"), "apm.pth: 1 weight missing, first: proj_in.bias"),
        (
            "apm",
            lambda s: s.update(extra=torch.ones(1)),
            "apm.pth: 1 weight unknown, first: extra",
        ),
        (
            "apm",
            lambda s: rename(s, "norm_out.bias", "norm_in.bias"),
            "1 weight missing, first: norm_out.bias; 1 weight unknown, first: norm_in.bias",
        ),
        (
            "apm",
            lambda s: s.update({"norm_out.bias": torch.ones(5)}),
            "apm.pth: norm_out.bias has shape (5,), expected (16,)",
        ),
        ("apm", lambda s: s.pop("prd_embedding"), "apm.pth holds no prd_embedding"),
        (
            "apm",
            lambda s: s.update({"embedding_proj.weight": torch.ones(5)}),
            "apm.pth: embedding_proj.weight has 1 dimensions, expected 2",
        ),
        (
            "denoising_unet",
            lambda s: s.pop("conv_in.weight"),
            "denoising_unet.pth: 1 weight missing, first: conv_in.weight",
        ),
        (
            "denoising_unet",
            lambda s: s.update({"conv_in.weight": torch.ones(8, 4, 3, 3)}),
            "denoising_unet.pth: conv_in.weight has shape (8, 4, 3, 3), expected (8, 9, 3, 3)",
        ),
        (
            "pose_guider",
            lambda s: s.update({"conv_out.bias": torch.full((8,), torch.nan)}),
            "pose_guider.pth: conv_out.bias holds numbers that are not finite",
        ),
        (
            "denoising_unet",
            lambda s: s.update({"conv_out.bias": torch.ones(4, dtype=torch.int8)}),
            "denoising_unet.pth: conv_out.bias holds torch.int8, expected floating-point",
        ),
        (
            "pose_guider",
            lambda s: s.pop("blocks.1.weight"),
            "pose_guider.pth holds no blocks.1.weight",
        ),
        ("linear", lambda s: s.pop("weight"), "linear.pth holds no matrix named 'weight'"),
        (
            "linear",
            lambda s: s.update({"weight": torch.ones(7, 10)}),
            "linear.pth: weight has shape (7, 10), expected (12, 10)",
        ),
        ("motion", lambda s: s.clear(), "motion.pth holds no named tensors"),
        (
            "motion",
            lambda s: [s.pop(k) for k in list(s) if "motion" in k],
            "motion.pth holds no motion modules",
        ),
        (
            "motion",
            lambda s: s["conv_in.weight"].add_(1),
            "conv_in.weight differs from that in",
        ),
        ("motion", lambda s: s.pop("conv_in.weight"), "1 weight beside the motion modules"),
        (
            "motion",
            lambda s: [s.pop(k) for k in list(s) if "motion" in k and "up_blocks.1" in k],
            "motion.pth: 54 weights missing, first: up_blocks.1.motion_modules.0",
        ),
        (
            "motion",
            lambda s: s.update(
                {k: v + 1 for k, v in s.items() if k.endswith("blocks.1.pos_encoder.pe")}
            ),
            "expected equal position tables",
        ),
        (
            "motion",
            lambda s: s.update({k: v[:, :3] for k, v in s.items() if "mid" in k and "pe" in k}),
            "position tables have lengths [3, 6], expected one length",
        ),
    ],
)
def test_weights_that_do_not_fit(
    files: OfficialFiles, tmp_path: Path, name: str, change: Callable, expected: str
) -> None:
    edit(getattr(files, name), change)
    assert expected in refusal(files, tmp_path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda f: write_json(f.prior_config / "config.json", {}), "no num_attention_heads"),
        (
            lambda f: write_json(
                f.prior_config / "config.json", {"num_attention_heads": 2, "num_layers": 9}
            ),
            "the weights have num_layers 2, but",
        ),
        (
            lambda f: write_json(f.prior_config / "config.json", {"num_attention_heads": 3}),
            "num_attention_heads 3, which does not divide",
        ),
        (lambda f: (f.vae / "config.json").unlink(), "no config.json in"),
        (lambda f: (f.vae / "config.json").write_text("{"), "config.json is not JSON"),
        (lambda f: (f.vae / "config.json").write_text("[]"), "holds no JSON object"),
        (
            lambda f: write_json(f.vae / "config.json", {"_class_name": "UNet2DConditionModel"}),
            "describes UNet2DConditionModel, expected AutoencoderKL",
        ),
        (
            lambda f: write_json(f.image_encoder / "config.json", {"model_type": "bert"}),
            "describes bert, expected CLIP",
        ),
        (
            lambda f: (f.image_encoder / "model.safetensors").unlink(),
            "expected model.safetensors or pytorch_model.bin",
        ),
        (
            lambda f: write_json(
                f.sd15 / "unet" / "config.json", {"_class_name": "PriorTransformer"}
            ),
            "describes PriorTransformer, expected UNet2DConditionModel",
        ),
        (lambda f: shutil.copy(f.linear, f.apm), "apm.pth holds no positional_embedding"),
        (lambda f: f.apm.write_text("<html>not found</html>"), "apm.pth is no weight file"),
        (lambda f: f.apm.unlink(), "apm.pth not found"),
        (lambda f: f.apm.write_bytes(f.apm.read_bytes()[:-900]), "apm.pth"),
    ],
)
def test_files_that_are_something_else(
    files: OfficialFiles, tmp_path: Path, change: Callable, expected: str
) -> None:
    change(files)
    assert expected in refusal(files, tmp_path)


def test_an_index_cannot_point_outside_its_folder(files: OfficialFiles, tmp_path: Path) -> None:
    index = files.vae / "diffusion_pytorch_model.safetensors.index.json"
    write_json(index, {"weight_map": {"a": "../linear.pth"}})
    assert "plain file names" in refusal(files, tmp_path)


def test_two_shards_with_the_same_weight(files: OfficialFiles, tmp_path: Path) -> None:
    state = load_file(files.vae / "diffusion_pytorch_model.safetensors")
    save_file(state, files.vae / "again.safetensors")
    table = {"a": "again.safetensors", "b": "diffusion_pytorch_model.safetensors"}
    write_json(files.vae / "diffusion_pytorch_model.safetensors.index.json", {"weight_map": table})
    assert "holds too" in refusal(files, tmp_path)


def test_widths_of_two_parts_that_do_not_belong_together(
    files: OfficialFiles, tmp_path: Path
) -> None:
    edit(files.linear, lambda state: state.update(weight=torch.ones(12, 9)))
    assert "linear_emb takes embeddings of width 9" in refusal(files, tmp_path)


def test_an_existing_folder_is_not_touched(files: OfficialFiles, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="exists"):
        convert_official(files, tmp_path / "out", SETTINGS)
    assert not list((tmp_path / "out").iterdir())


def test_a_list_of_checksums_finds_what_the_files_cannot_show(
    files: OfficialFiles, tmp_path: Path
) -> None:
    out = convert_official(files, tmp_path / "first", SETTINGS)
    sums = files.sd15 / "SHA256SUMS"
    sums.write_text(sums_of(out))
    shutil.rmtree(out)
    shutil.rmtree(convert_official(files, tmp_path / "again", SETTINGS, sums=sums))
    state = official_states(build_models(motion=True))["linear"]
    save_zip({"weight": state["weight"].flip(0), "bias": state["bias"]}, files.linear)
    assert "linear.pth (linear) has SHA-256" in refusal(files, tmp_path, sums=sums)
    sums.write_text("abc  linear.pth\n")
    assert "expected 'SHA-256  name'" in refusal(files, tmp_path, sums=sums)
    sums.write_text(f"{'0' * 64}  other.pth\n")
    assert "has no line for apm.pth" in refusal(files, tmp_path, sums=sums)


def sums_of(out: Path) -> str:
    """List the sources of a conversion as sha256sum does."""
    sources = json.loads((out / "provenance.json").read_text())["sources"]
    return "".join(f"{source['sha256']}  {source['file']}\n" for source in sources)


def test_motion_settings_that_do_not_fit(files: OfficialFiles, tmp_path: Path) -> None:
    settings = replace(SETTINGS, motion=replace(SETTINGS.motion, norm_num_groups=3))
    with pytest.raises((CheckpointError, ConfigError), match=r"motion\.norm_num_groups"):
        convert_official(files, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()
