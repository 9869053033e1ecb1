"""The script behind assets/tiny: its steps in order, each a command that the project knows."""

import os
import subprocess
from pathlib import Path

from jcdm.cli.options import read_config
from jcdm.config import Config

ROOT = Path(__file__).resolve().parents[2]
FAKE = """#!/bin/sh
shift 2
echo "$*" >> "$COMMANDS"
[ "$1" != convert ] || mkdir -p "$6"
"""


def run_script(
    folder: Path, pipeline: Path, num_processes: int = 1
) -> subprocess.CompletedProcess[str]:
    """Run the script with an interpreter that only writes its commands down."""
    fake = folder / "python"
    fake.write_text(FAKE, encoding="utf-8")
    fake.chmod(0o755)
    return subprocess.run(
        ["sh", "scripts/train_tiny.sh", str(pipeline), str(folder / "runs")],
        cwd=ROOT,
        env={
            **os.environ,
            "JCDM_PYTHON": str(fake),
            "NUM_PROCESSES": str(num_processes),
            "COMMANDS": str(folder / "commands"),
        },
        capture_output=True,
        text=True,
    )


def test_every_step_is_a_command_of_the_project(tmp_path: Path) -> None:
    pipeline = tmp_path / "pipeline"
    result = run_script(tmp_path, pipeline)
    assert result.returncode == 0, result.stderr
    commands = (tmp_path / "commands").read_text(encoding="utf-8").splitlines()
    words = [command.split() for command in commands]
    order = [w[1] if w[0] == "train" else w[0] for w in words]
    assert order == ["cache", "prior", "cache", "denoiser", "cache", "cache", "motion", "convert"]
    assert (pipeline / "sampling.json").is_file()
    batches = {}
    for some in words:
        if some[0] == "train":
            config = read_config(Config, some[2:], prog="train")
            batches[some[1]] = config.train.batch_size
            plain = read_config(Config, some[2:4], prog="train")
            assert config.train.batch_size == plain.train.batch_size, "the total is the file's"
            assert config.run.out.is_relative_to(tmp_path), "nothing in the checkout"
    assert batches.keys() == {"prior", "denoiser", "motion"}


def test_a_number_of_processes_that_divides_no_batch_is_refused(tmp_path: Path) -> None:
    result = run_script(tmp_path, tmp_path / "pipeline", num_processes=3)
    assert result.returncode == 1
    assert "NUM_PROCESSES is 3, which does not divide stage1_prior's batch of 32" in result.stderr


def test_a_pipeline_that_exists_is_left_alone(tmp_path: Path) -> None:
    result = run_script(tmp_path, tmp_path)
    assert result.returncode == 1 and "exists" in result.stderr
    assert not (tmp_path / "commands").exists()
