"""The losses of 100 steps of each stage, and under which conditions they are bit-equal."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from training_world import tiny_config

from jcdm.logs import read_metrics
from jcdm.manifest import processor
from jcdm.training.run import METRICS_FILE, run_training

FOLDER = Path(__file__).resolve().parents[1] / "golden"
NUM_STEPS = 100


def golden_losses(world: Path, out: Path, kind: str) -> list[float]:
    """Train a stage of the tiny world for 100 steps and return each step's loss."""
    config = tiny_config(
        world, out, kind, num_steps=NUM_STEPS, checkpoint_every=NUM_STEPS, validate_every=0
    )
    config = replace(
        config,
        data=replace(config.data, height=16, width=16),
        optim=replace(config.optim, learning_rate=1e-3, schedule="cosine", num_warmup_steps=10),
    )
    run_training(kind, config)
    return [row["loss"] for row in read_metrics(out / METRICS_FILE)]


def conditions() -> dict[str, Any]:
    """What must be equal for losses to be bit-equal.

    The processor too: with the same instructions, libraries round differently on different makes.
    """
    return {
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "processor": processor(),
        "num_threads": torch.get_num_threads(),
    }
