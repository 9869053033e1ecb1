"""Configurations of accelerate: read by accelerate itself, launched where there are CPUs alone."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from safetensors.torch import load_file
from torch.testing import assert_close
from training_world import tiny_config

from jcdm.config import Config
from jcdm.logs import read_metrics
from jcdm.plain import to_yaml
from jcdm.training.checkpoint import list_checkpoints
from jcdm.training.run import run_training

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "configs" / "accelerate"
NAMES = ("cpu", "single_gpu", "multi_gpu", "multi_node", "deepspeed_zero2", "fsdp")


def test_all_are_there() -> None:
    assert {file.stem for file in FOLDER.glob("*.yaml")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_accelerate_reads_each(name: str) -> None:
    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    assert isinstance(config, ClusterConfig)
    assert config.mixed_precision == "no", "train.mixed_precision decides"
    words = ["--config_file", str(FOLDER / f"{name}.yaml"), "-m", "jcdm"]
    args, _, _ = _validate_launch_command(launch_command_parser().parse_args(words))
    expected = {"cpu": 2, "single_gpu": 1, "multi_node": 16}.get(name, 8)
    assert args.num_processes == expected
    assert args.use_fsdp == (name == "fsdp")
    assert args.use_deepspeed == (name == "deepspeed_zero2")
    assert args.multi_gpu == (name in ("cpu", "multi_gpu", "multi_node"))


@pytest.mark.parametrize("name", NAMES)
def test_each_says_how_it_is_run_and_whether_it_was(name: str) -> None:
    header = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").split("\ncompute", 1)[0]
    assert f"ACCELERATE_CONFIG={name}" in header
    verified = re.search(r"# Verified: +(yes|no)", header)
    assert verified is not None and (verified[1] == "yes") == (name == "cpu")


def prior_config(world: Path, out: Path, **train: Any) -> Config:
    return tiny_config(world, out, "prior", **({"picture_every": 4} | train))


def launch_with_cpu_yaml(configs: list[Config]) -> None:
    """Train priors one after another in two processes, as configs/accelerate/cpu.yaml says."""
    words = []
    for config in configs:
        file = config.run.out.parent / f"{config.run.out.name}.yaml"
        file.write_text(to_yaml(config, file.parent), encoding="utf-8")
        words.append(f"prior={file}")
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--config_file", str(FOLDER / "cpu.yaml")),
        *(str(Path(__file__).with_name("launched.py")), *words),
    ]
    variables = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr[-8000:]


def with_one_process(world: Path, out: Path, num_steps: int) -> None:
    run_training("prior", prior_config(world, out, batch_size=4, num_steps=num_steps))


def test_a_resume_on_another_number_of_processes_goes_on_alike(world: Path, tmp_path: Path) -> None:
    """4 people a step: 1 x 4 throughout, 2 x 2 then 1 x 4, and 1 x 4 then 2 x 2."""
    straight, fewer, more = (tmp_path / name for name in ("straight", "fewer", "more"))
    with_one_process(world, straight, 4)
    with_one_process(world, more, 2)
    steps = {fewer: 2, more: 4}
    launch_with_cpu_yaml(
        [prior_config(world, run, batch_size=2, num_steps=n) for run, n in steps.items()]
    )
    for run in steps:
        for rank in (0, 1):
            assert (run / f"world_of_rank_{rank}.txt").read_text() == "2"
    with_one_process(world, fewer, 4)
    expected = read_metrics(straight / "metrics.jsonl")
    for run in (fewer, more):
        found = read_metrics(run / "metrics.jsonl")
        assert [row["step"] for row in found] == [0, 1, 2, 3, 4]
        for first, second in zip(expected, found, strict=True):
            for name in ("loss", "grad_norm", "validation_loss", "images", "cosine"):
                if name in first:
                    assert second[name] == pytest.approx(first[name], rel=1e-6), name
        first, second = (
            load_file(list_checkpoints(r)[-1][1] / "ema.safetensors") for r in (straight, run)
        )
        for name, tensor in first.items():
            if not name.endswith("to_k.bias"):  # its gradient is rounding alone: softmax ignores it
                assert_close(second[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


def test_another_number_of_people_a_step_is_told(world: Path, tmp_path: Path) -> None:
    with_one_process(world, tmp_path, 2)
    run_training("prior", prior_config(world, tmp_path, batch_size=2, num_steps=3))
    text = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert "a step sees 2 people, 4 before the resume" in text


def launch_script(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/launch.sh with a Python that only says how it was called."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$ACCELERATE_USE_CPU: $*"\n', encoding="utf-8")
    python.chmod(0o755)
    environment = {key: os.environ[key] for key in os.environ if not key.startswith("ACCELERATE")}
    environment |= {"JCDM_PYTHON": str(python), "CUDA_VISIBLE_DEVICES": ""} | variables
    words = ["sh", "scripts/launch.sh", "train", "prior"]
    return subprocess.run(words, cwd=REPOSITORY, env=environment, capture_output=True, text=True)


def test_the_launcher_takes_a_name_or_a_file(tmp_path: Path) -> None:
    start = "-m accelerate.commands.launch --config_file"
    by_name = launch_script(tmp_path, ACCELERATE_CONFIG="cpu")
    shown = by_name.stdout.strip()
    assert shown == f"true: {start} configs/accelerate/cpu.yaml -m jcdm train prior"
    file = tmp_path / "mine.yaml"
    file.write_text((FOLDER / "fsdp.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    by_file = launch_script(tmp_path, ACCELERATE_CONFIG=str(file), NUM_PROCESSES="3")
    assert by_file.stdout.strip() == f": {start} {file} --num_processes 3 -m jcdm train prior"


def test_an_unknown_name_is_one_line(tmp_path: Path) -> None:
    result = launch_script(tmp_path, ACCELERATE_CONFIG="eight_gpus")
    assert result.returncode == 1
    assert "ACCELERATE_CONFIG is 'eight_gpus'; expected a file or a name in" in result.stderr
