"""Regression tests named after the defects of the published code: docs/published-weights.md.

They reuse the tiny models, pipelines and people of the other rooms.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState

from jcdm.config import Config
from jcdm.training.packing import pack_run

for room in ("models", "pipelines", "training", "evaluation"):
    sys.path.append(str(Path(__file__).resolve().parents[1] / room))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of drawn people, random encoders, a prior and a denoiser: see `training_world`."""
    from training_world import make_trained_world

    return make_trained_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def packed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    """A configuration of stage 2 that keeps to no default, and its run's pipeline folder."""
    from training_world import tiny_config

    plain = tiny_config(world, tmp_path_factory.mktemp("run"), "denoiser")
    config = replace(
        plain,
        data=replace(plain.data, width=16, fit="letterbox"),
        schedule=replace(plain.schedule, beta_end=0.02),
    )
    folder = tmp_path_factory.mktemp("packed") / "pipeline"
    return config, pack_run(world / "denoiser", config, folder, dtype=torch.float32)


@pytest.fixture
def fresh_accelerator() -> Iterator[None]:
    """Let a test choose its own precision and processes: accelerate keeps them for the process."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()
