"""The dry run: full sizes without weights, data or a GPU."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from training_world import KINDS, tiny_config

from jcdm.cli.main import main
from jcdm.errors import ConfigError
from jcdm.training.run import run_training

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "deepfashion"
FILES = {
    "prior": "stage1_prior.yaml",
    "denoiser": "stage2_denoiser.yaml",
    "motion": "stage2_motion.yaml",
}


@pytest.fixture(scope="module", params=KINDS)
def plan(request: pytest.FixtureRequest) -> tuple[str, str]:
    shown = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(shown):
        patch.delenv("JCDM_DATA", raising=False)
        file = str(CONFIGS / FILES[request.param])
        assert main(["train", request.param, "--config", file, "--dry_run"]) == 0
    return request.param, shown.getvalue()


def memory(text: str, name: str) -> float:
    match = re.search(rf"{name}\s+([\d.]+) GiB", text)
    assert match is not None, name
    return float(match.group(1))


def test_full_size_parts_are_counted(plan: tuple[str, str]) -> None:
    kind, text = plan
    expected = {
        "prior": ["frozen  image encoder           1.8 G", "ViT-bigG/14 assumed"],
        "denoiser": [
            "trains  unet                  859.5 M",
            "frozen  VAE                    83.7 M",
        ],
        "motion": ["frozen  unet                  859.5 M", "trains  motion"],
    }
    for words in expected[kind]:
        assert words in text
    assert "height: 512" in text


def test_shapes_of_the_objects_are_shown(plan: tuple[str, str]) -> None:
    kind, text = plan
    names = ["Sample", "Batch", "EncodedBatch", "AppearancePrior", "StepOutput"]
    names += (
        ["NoisyEmbeddings"] if kind == "prior" else ["Conditioning", "NoisyLatents", "GeneratedV"]
    )
    for name in names:
        assert f"\n  {name}" in text, name
    if kind != "prior":
        assert re.search(r"tokens +\(7, 16, 768\)", text)
        assert re.search(r"pose +\(7, 320, 128, 96\)", text)
        assert re.search(r"latents +\(7, 4, 4, 64, 48\)", text)


def test_memory_adds_up(plan: tuple[str, str]) -> None:
    kind, text = plan
    names = ["float32", "gradients", "Adam moments", r"averages \(EMA\)", "frozen parts, bfloat16"]
    parts = [memory(text, name) for name in [*names, "activations, roughly"]]
    assert sum(parts) == pytest.approx(memory(text, "in all"), abs=0.05)
    assert parts[2] == pytest.approx(2 * parts[1], abs=0.02)
    assert (parts[1] < parts[0]) == (kind == "motion")


def test_checkpointing_lowers_the_estimate(world: Path, tmp_path: Path) -> None:
    found = []
    for flag in (False, True):
        config = tiny_config(
            world, tmp_path, "denoiser", batch_size=256, activation_checkpointing=flag
        )
        text = run_training("denoiser", config, dry_run=True)
        assert text is not None and "sizes of" in text
        found.append(memory(text, "activations, roughly"))
    assert 0 < found[1] < 0.8 * found[0]


def test_a_dry_run_leaves_nothing(world: Path, tmp_path: Path) -> None:
    run_training("motion", tiny_config(world, tmp_path / "run", "motion"), dry_run=True)
    assert not (tmp_path / "run").exists()


def test_an_unknown_stage_is_refused(world: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected one of prior, denoiser, motion"):
        run_training("all", tiny_config(world, tmp_path), dry_run=True)
