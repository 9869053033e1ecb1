"""`convert official` and `convert export` as they are typed."""

from pathlib import Path

import pytest
import torch

from jcdm.cli.main import main
from jcdm.pipelines.multiview import JCDMPipeline
from tests.compat.official_world import build_models, build_pipeline, paint, write_official

NAMES = (
    *("apm", "denoising_unet", "pose_guider", "linear"),
    *("sd15", "vae", "image_encoder", "prior_config"),
)


def words(folder: Path, models: dict, *, hyphens: bool) -> list[str]:
    files = write_official(folder / "published", models)
    found = []
    for name in NAMES:
        found += [f"--{name.replace('_', '-') if hyphens else name}", str(getattr(files, name))]
    if files.motion is not None:
        found += ["--motion", str(files.motion), "--motion_heads", "2", "--motion_groups", "4"]
    return [*found, "--height", "16", "--width", "8"]


@pytest.mark.parametrize("hyphens", [True, False], ids=["hyphens", "underscores"])
@pytest.mark.parametrize("motion", [False, True], ids=["plain", "motion"])
def test_published_files_there_and_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], hyphens: bool, motion: bool
) -> None:
    models = build_models(motion)
    pipeline, export = tmp_path / "pipeline", tmp_path / "export"
    typed = words(tmp_path, models, hyphens=hyphens)
    assert main(["convert", "official", *typed, "--out", str(pipeline)]) == 0
    assert f"pipeline written: {pipeline}" in capsys.readouterr().out
    assert torch.equal(paint(JCDMPipeline.from_pretrained(pipeline)), paint(build_pipeline(models)))
    typed = ["--pipeline", str(pipeline), "--out", str(export), "--step", "3"]
    assert main(["convert", "export", *typed]) == 0
    written = capsys.readouterr().out.splitlines()
    assert len(written) == (5 if motion else 4)
    assert all(Path(line.removeprefix("written: ")).is_file() for line in written)


def test_a_wrong_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = words(tmp_path, build_models(), hyphens=True)
    typed[typed.index("--apm") + 1] = str(tmp_path / "published" / "linear.pth")
    capsys.readouterr()
    assert main(["convert", "official", *typed, "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "linear.pth holds no positional_embedding" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["--apm", "--out"])
def test_a_missing_option_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    typed = [*words(tmp_path, build_models(), hyphens=True), "--out", str(tmp_path / "out")]
    place = typed.index(missing)
    del typed[place : place + 2]
    capsys.readouterr()
    assert main(["convert", "official", *typed]) == 1
    assert missing.strip("-") in capsys.readouterr().err


def test_the_schedule_is_chosen_by_name(tmp_path: Path) -> None:
    typed = words(tmp_path, build_models(), hyphens=True)
    out = tmp_path / "out"
    assert main(["convert", "official", *typed, "--out", str(out), "--schedule", "trained"]) == 0
    pipeline = JCDMPipeline.from_pretrained(out)
    assert pipeline.scheduler.config["beta_schedule"] == "scaled_linear"
