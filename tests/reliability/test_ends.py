"""SIGTERM and full disks at random moments: the state is saved or was, and nothing differs."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import ForkedCommands, Kill
from runs_compared import require_equal, rows
from training_world import KINDS, tiny_config

from jcdm.folders import verify_folder
from jcdm.plain import to_yaml
from jcdm.training.checkpoint_folders import list_checkpoints, newest_whole

NUM_STEPS = 8
FEW_OR_ALL = [1, pytest.param(20, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedCommands]:
    commands = ForkedCommands(tmp_path_factory.mktemp("printed"))
    yield commands
    commands.close()


def words_of(world: Path, out: Path, kind: str) -> list[str]:
    """Write the configuration of a run; returns the words of its command."""
    train = {"num_steps": NUM_STEPS, "checkpoint_every": 2, "keep_checkpoints": 2}
    file = out.with_suffix(".yaml")
    file.write_text(to_yaml(tiny_config(world, out, kind, **train), file.parent))
    return ["train", kind, "--config", str(file)]


def during(run: Path, num_rows: int, draw: random.Random) -> Kill:
    """Choose a moment at random soon after a run has written so many rows."""
    return Kill(lines=(str(run / "metrics.jsonl"), num_rows), delay=draw.uniform(0, 0.05))


@pytest.mark.parametrize("count", FEW_OR_ALL)
def test_sigterm_at_any_moment_of_training_saves_and_exits_with_0(
    world: Path,
    tmp_path: Path,
    forked: ForkedCommands,
    figure: Callable[[str], None],
    count: int,
) -> None:
    draw = random.Random(1)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        straight, run = tmp_path / kind, tmp_path / f"{kind}_{number}"
        if not straight.is_dir():
            assert forked(words_of(world, straight, kind), None).code == 0
        moment = during(run, draw.randint(1, NUM_STEPS - 1), draw)
        ended = forked(words_of(world, run, kind), moment, act="terminate")
        assert ended.code == 0, ended.printed
        assert "SIGTERM: finishing the step, then saving" in ended.printed
        assert "all saved: SIGTERM. The same command continues" in ended.printed
        step, newest = list_checkpoints(run)[-1]
        verify_folder(newest)
        assert json.loads((newest / "state.json").read_text())["progress"]["step"] == step
        assert rows(run)[-1]["step"] == step  # every step has a row: the last one is saved
        assert forked(words_of(world, run, kind), None).code == 0
        require_equal(run / "final", straight / "final")
        assert rows(run) == rows(straight)
    figure(f"{count} of {count} ended by SIGTERM with code 0 and went on bit-equal")


@pytest.mark.parametrize("count", FEW_OR_ALL)
def test_a_disk_that_fills_at_any_moment_leaves_the_last_checkpoint_whole(
    world: Path,
    tmp_path: Path,
    forked: ForkedCommands,
    figure: Callable[[str], None],
    count: int,
) -> None:
    draw = random.Random(2)
    said: set[str] = set()
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        straight, run = tmp_path / kind, tmp_path / f"{kind}_{number}"
        if not straight.is_dir():
            assert forked(words_of(world, straight, kind), None).code == 0
        moment = during(run, draw.randint(4, NUM_STEPS), draw)  # one is saved before
        full = forked(words_of(world, run, kind), moment, act="fill_disk")
        assert full.code == 1, full.printed
        line = full.printed.strip().splitlines()[-1]
        assert line.startswith("jcdm: ") and "Traceback" not in full.printed, full.printed
        said.add(Path(line.partition("cannot write ")[2].partition(": ")[0]).name)
        newest = newest_whole(list_checkpoints(run))
        assert newest is not None and not [p for p in newest.parent.iterdir() if p.name[0] == "."]
        assert forked(words_of(world, run, kind), None).code == 0
        require_equal(run / "final", straight / "final")
        assert rows(run) == rows(straight)
    figure(f"{count} of {count} full disks in one line, newest checkpoint whole: {sorted(said)}")
