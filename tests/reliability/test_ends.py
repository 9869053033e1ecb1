"""SIGTERM and full disks at random moments: the state is saved or was, and nothing differs."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import Attempt, ForkedCommands, Kill
from runs_compared import require_equal, rows
from training_world import KINDS, tiny_config

from jcdm.folders import verify_folder
from jcdm.plain import to_yaml
from jcdm.training.checkpoint_folders import list_checkpoints, newest_whole

NUM_STEPS = 8
TRAINING = {"num_steps": NUM_STEPS, "checkpoint_every": 2, "keep_checkpoints": 2}
FEW_OR_ALL = [1, pytest.param(20, marks=pytest.mark.slow)]

Train = Callable[..., Attempt]
"""Starts a stage's training in a folder: (kind, folder, moment, act); see `ForkedCommands`."""


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedCommands]:
    commands = ForkedCommands(tmp_path_factory.mktemp("printed"))
    yield commands
    commands.close()


@pytest.fixture
def train(world: Path, forked: ForkedCommands) -> Train:
    def start(kind: str, out: Path, moment: Kill | None = None, act: str = "kill") -> Attempt:
        file = out.with_suffix(".yaml")
        file.write_text(to_yaml(tiny_config(world, out, kind, **TRAINING), file.parent))
        return forked(["train", kind, "--config", str(file)], moment, act=act)

    return start


def runs_ended_at_random(
    place: Path, train: Train, act: str, rows_before: tuple[int, int], count: int
) -> Iterator[tuple[Path, Attempt]]:
    """End trainings of all stages; each must then go on as if nothing had been.

    rows_before: at least and at most so many rows are written before. Yields what was left.
    """
    draw = random.Random(act)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        straight, run = place / kind, place / f"{kind}_{number}"
        if not straight.is_dir():
            assert train(kind, straight).code == 0
        moment = (str(run / "metrics.jsonl"), draw.randint(*rows_before))
        yield run, train(kind, run, Kill(lines=moment, delay=draw.uniform(0, 0.05)), act)
        assert train(kind, run).code == 0
        require_equal(run / "final", straight / "final")
        assert rows(run) == rows(straight)


@pytest.mark.parametrize("count", FEW_OR_ALL)
def test_sigterm_at_any_moment_of_training_saves_and_exits_with_0(
    tmp_path: Path, train: Train, figure: Callable[[str], None], count: int
) -> None:
    moments = (1, NUM_STEPS - 1)
    for run, ended in runs_ended_at_random(tmp_path, train, "terminate", moments, count):
        assert ended.code == 0, ended.printed
        assert "SIGTERM: finishing the step, then saving" in ended.printed
        assert "all saved: SIGTERM. The same command continues" in ended.printed
        step, newest = list_checkpoints(run)[-1]
        verify_folder(newest)
        assert json.loads((newest / "state.json").read_text())["progress"]["step"] == step
        assert rows(run)[-1]["step"] == step  # every step has a row: the last one is saved
    figure(f"{count} of {count} ended by SIGTERM with code 0 and went on bit-equal")


@pytest.mark.parametrize("count", FEW_OR_ALL)
def test_a_disk_that_fills_at_any_moment_leaves_the_last_checkpoint_whole(
    tmp_path: Path, train: Train, figure: Callable[[str], None], count: int
) -> None:
    said: set[str] = set()
    moments = (4, NUM_STEPS)  # one is saved before
    for run, full in runs_ended_at_random(tmp_path, train, "fill_disk", moments, count):
        assert full.code == 1, full.printed
        line = full.printed.strip().splitlines()[-1]
        assert line.startswith("jcdm: ") and "Traceback" not in full.printed, full.printed
        said.add(Path(line.partition("cannot write ")[2].partition(": ")[0]).name)
        newest = newest_whole(list_checkpoints(run))
        assert newest is not None and not [p for p in newest.parent.iterdir() if p.name[0] == "."]
    figure(f"{count} of {count} full disks in one line, newest checkpoint whole: {sorted(said)}")
