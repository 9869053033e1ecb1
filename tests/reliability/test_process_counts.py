"""1, 2 and 4 processes see the same people in every step, and compute the same losses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from launching import launch_to_the_end
from safetensors.torch import load_file
from training_world import KINDS, tiny_config

from jcdm.logs import read_metrics
from jcdm.plain import to_yaml

COUNTS = (1, 2, 4)
PEOPLE_A_STEP, NUM_STEPS = 4, 8


def people_of_steps(run: Path, num_processes: int) -> list[set[int]]:
    """Collect the keys of each step's samples, of all processes together."""
    of_ranks = []
    for rank in range(num_processes):
        lines = (run / f"keys_of_rank_{rank}.jsonl").read_text(encoding="utf-8").splitlines()
        of_ranks.append([set(json.loads(line)) for line in lines[:NUM_STEPS]])
    return [set.union(*parts) for parts in zip(*of_ranks, strict=True)]


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(run / "metrics.jsonl") if "loss" in row]


def write_config(world: Path, out: Path, kind: str, count: int, num_steps: int) -> str:
    """Write a run's configuration beside it; returns the word for `launched.py`."""
    size = PEOPLE_A_STEP // count
    config = tiny_config(world, out, kind, batch_size=size, num_steps=num_steps)
    file = out.with_suffix(".yaml")
    file.write_text(to_yaml(config, file.parent), encoding="utf-8")
    return f"{kind}={file}"


@pytest.mark.slow
def test_two_processes_go_on_bit_equal(world: Path, tmp_path: Path) -> None:
    kinds = {kind: (tmp_path / f"{kind}_straight", tmp_path / f"{kind}_cut") for kind in KINDS}
    whole, half = NUM_STEPS, NUM_STEPS // 2
    words = [write_config(world, runs[0], kind, 2, whole) for kind, runs in kinds.items()]
    launch_to_the_end(2, "launched.py", words)
    for steps in (half, whole):
        words = [write_config(world, runs[1], kind, 2, steps) for kind, runs in kinds.items()]
        launch_to_the_end(2, "launched.py", words)
    for straight, cut in kinds.values():
        assert losses(cut) == losses(straight)
        expected, found = (
            load_file(run / "final" / "diffusion_pytorch_model.safetensors")
            for run in (straight, cut)
        )
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(
    world: Path, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    for count in COUNTS:
        words = [
            write_config(world, tmp_path / f"{kind}_{count}", kind, count, NUM_STEPS)
            for kind in KINDS
        ]
        launch_to_the_end(count, "launched.py", words)
    for kind in KINDS:
        runs = {count: tmp_path / f"{kind}_{count}" for count in COUNTS}
        people = [people_of_steps(run, count) for count, run in runs.items()]
        assert people[0] == people[1] == people[2]
        assert len(people[0]) == NUM_STEPS
        assert all(len(step) == PEOPLE_A_STEP for step in people[0])
        expected, *others = (losses(run) for run in runs.values())
        assert len(expected) == NUM_STEPS
        largest = max(
            abs(found / loss - 1)
            for other in others
            for found, loss in zip(other, expected, strict=True)
        )
        figure(f"{kind}: same people in {NUM_STEPS} steps, losses differ by {largest:.1e} at most")
        assert largest < 1e-6
