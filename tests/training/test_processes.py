"""Two processes on the CPU do the same work as one with the same total batch."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from launching import launch_to_the_end
from PIL import Image
from safetensors.torch import load_file
from training_world import KINDS, tiny_config

from jcdm.config import Config
from jcdm.logs import read_metrics
from jcdm.plain import to_yaml
from jcdm.training.run import run_training


def configs(world: Path, out: Path, *, batch_size: int, accumulation: int) -> dict[str, Config]:
    train = {"batch_size": batch_size, "accumulation": accumulation, "picture_every": 4}
    return {kind: tiny_config(world, out / kind, kind, **train) for kind in KINDS}


@pytest.fixture(scope="module")
def runs(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of the same runs on one process (batch 4) and on two (2 x 1 in 2 micro-batches)."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    for kind, config in configs(world, one, batch_size=4, accumulation=1).items():
        run_training(kind, config)
    words = []
    for kind, config in configs(world, two, batch_size=1, accumulation=2).items():
        file = two / f"{kind}.yaml"
        file.write_text(to_yaml(config, two), encoding="utf-8")
        words.append(f"{kind}={file}")
    launch_to_the_end(2, "launched.py", words)
    return one, two


@pytest.mark.parametrize("kind", KINDS)
def test_both_ranks_are_in_a_world_of_two(runs: tuple[Path, Path], kind: str) -> None:
    for rank in (0, 1):
        assert (runs[1] / kind / f"world_of_rank_{rank}.txt").read_text() == "2"


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_train_as_one(runs: tuple[Path, Path], kind: str) -> None:
    one, two = (read_metrics(run / kind / "metrics.jsonl") for run in runs)
    assert [row["step"] for row in two] == [0, 1, 2, 3, 4]
    for first, second in zip(one, two, strict=True):
        assert second["images"] == first["images"]
        for name in ("loss", "grad_norm", "validation_loss", "validation_target_loss"):
            assert (name in first) == (name in second)
            if name in first:
                assert second[name] == pytest.approx(first[name], rel=1e-5), name


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_reach_the_same_weights(runs: tuple[Path, Path], kind: str) -> None:
    one, two = (
        load_file(run / kind / "final" / "diffusion_pytorch_model.safetensors") for run in runs
    )
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_one_process_goes_on_from_what_two_have_saved(
    world: Path, runs: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    shutil.copytree(runs[1] / kind, tmp_path / kind)
    for later in ("final", "checkpoints/step_0000004"):
        shutil.rmtree(tmp_path / kind / later)
    run_training(kind, configs(world, tmp_path, batch_size=4, accumulation=1)[kind])
    rows = [read_metrics(run / kind / "metrics.jsonl") for run in (runs[0], tmp_path)]
    expected, found = ([row["loss"] for row in some if "loss" in row] for some in rows)
    assert found == pytest.approx(expected, rel=1e-6)


def test_previews_shared_out_are_those_of_one_process(runs: tuple[Path, Path]) -> None:
    one, two = (read_metrics(run / "prior" / "metrics.jsonl")[-1] for run in runs)
    for name in ("cosine", "cosine_of_references"):
        assert two[name] == pytest.approx(one[name], rel=1e-5)
    for kind in ("denoiser", "motion"):
        first, second = (
            np.array(Image.open(run / kind / "pictures" / "step_0000004.png")).astype(int)
            for run in runs
        )
        assert first.shape == second.shape
        assert (abs(first - second) <= 2).mean() > 0.99
