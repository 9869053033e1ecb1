"""`kill -9` at random moments: the same command, started again until it ends, loses nothing.

Moments are drawn uniformly over the time that the uncut command takes. Every second kill waits
from there until the command writes or removes something, and comes amid it: everything is saved
after every step, and one checkpoint kept, so that this is soon. In the quick form the moments lie
in the first half, so that hardly a start goes without its kill.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from commands import KILLED, Attempt, ForkedCommands, Kill, Run, run_fresh
from runs_compared import require_equal, rows
from training_world import KINDS, tiny_config

from jcdm.data.index import read_index
from jcdm.errors import CheckpointError
from jcdm.evaluation.task_items import TaskFolders
from jcdm.folders import verify_folder
from jcdm.logs import read_metrics
from jcdm.plain import to_yaml
from jcdm.training.checkpoint_folders import list_checkpoints

TINY = Path(__file__).resolve().parents[2] / "assets" / "tiny"
MOST_IN_A_RUN = 8  # kills; then it may finish
LONGEST_DELAY = 0.03  # seconds into writing: about what a save of the tiny model takes
TRAINING = {"num_steps": 6, "checkpoint_every": 1, "keep_checkpoints": 1, "picture_every": 3}


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedCommands]:
    commands = ForkedCommands(tmp_path_factory.mktemp("printed"))
    yield commands
    commands.close()


@dataclass
class Counts:
    """What killing came to."""

    kills: int = 0
    runs: int = 0
    amid_writing: int = 0  # kills that left a file or folder half written or half removed
    lost: list[int] = field(default_factory=list)  # steps done again, a kill
    left: set[Path] = field(default_factory=set)  # what was seen half done

    def add(self, folder: Path) -> None:
        """Count a kill of what writes into `folder`."""
        now = half_done(folder)
        self.kills += 1
        self.amid_writing += bool(now - self.left)
        self.left |= now


@dataclass
class Uncut:
    """How long a command takes uncut: the shortest time seen, since others may need the computer.

    folder: what it wrote.
    """

    folder: Path
    seconds: float


def finish(
    run: Run,
    words: list[str],
    draw: random.Random,
    uncut: Uncut,
    *,
    count: int,
    counts: Counts,
    writes: Sequence[Path],
    look: Callable[[Attempt], None],
) -> Attempt:
    """Start a command again and again, killed until `counts` has `count` kills, until it ends.

    writes: folders in which the command writes; look: called after every kill.
    """
    seconds = uncut.seconds if count > 1 else uncut.seconds / 2
    for number in range(MOST_IN_A_RUN + 1):
        kill = None
        if counts.kills < count and number < MOST_IN_A_RUN:
            amid = () if number % 2 else tuple(map(str, writes))
            delay = LONGEST_DELAY * draw.random() ** 3 if amid else 0.0  # small files are quick
            kill = Kill(after=draw.uniform(0, seconds), amid=amid, delay=delay)
        attempt = run(words, kill)
        if attempt.code != KILLED:
            break
        look(attempt)
    counts.runs += 1
    if number == 0:
        uncut.seconds = min(uncut.seconds, attempt.seconds)
    assert attempt.code == 0, f"{attempt.code}: {attempt.printed}"
    return attempt


def half_done(folder: Path) -> set[Path]:
    """Return what lies below a folder under the name of what is not finished."""
    return {path for path in folder.rglob(".*")}


# Training


def write_config(world: Path, out: Path, kind: str) -> list[str]:
    """Write the configuration of a run into `out`.yaml; returns the words of its command."""
    file = out.with_suffix(".yaml")
    file.write_text(to_yaml(tiny_config(world, out, kind, **TRAINING), file.parent))
    return ["train", kind, "--config", str(file)]


def newest_complete(run: Path) -> int:
    """Return the step of the newest whole checkpoint, 0 for none."""
    for step, folder in reversed(list_checkpoints(run)):
        try:
            verify_folder(folder)
        except CheckpointError:
            continue
        return step
    return 0


def kept(run: Path) -> dict[str, Any]:
    """Say what a finished run knows of its course, clocks aside."""
    states = {
        step: json.loads((folder / "state.json").read_text())["progress"] | {"seconds": 0}
        for step, folder in list_checkpoints(run)
    }
    return {"rows": rows(run), "states": states}


def _metrics(run: Path) -> Path:
    return run / "metrics.jsonl"


class TrainingRun:
    """A run that is watched after every kill: nothing complete goes, one step at most is lost."""

    def __init__(self, out: Path, counts: Counts) -> None:
        self.out, self.counts = out, counts
        self.complete = 0

    def look(self, attempt: Attempt) -> None:
        self.require_resume(attempt)
        complete = newest_complete(self.out)
        assert complete >= self.complete, "a complete checkpoint was lost"
        rows = read_metrics(_metrics(self.out))
        done = int(max((row["step"] for row in rows), default=0))
        assert complete <= done <= complete + 1, "more is lost than since the last step's saving"
        self.complete = complete
        self.counts.add(self.out)
        self.counts.lost.append(done - complete)

    def require_resume(self, attempt: Attempt) -> None:
        """Require that an attempt which came so far took the newest complete checkpoint."""
        if "step " in attempt.printed and self.complete:
            assert f"step_{self.complete:07d}" in attempt.printed, attempt.printed


def kill_trainings(
    run: Run, world: Path, folder: Path, count: int, kinds: tuple[str, ...] = KINDS
) -> Counts:
    """Kill trainings of the stages in turn until `count` kills came; compare each with its twin."""
    draw, counts = random.Random(0), Counts()
    twins: dict[str, Uncut] = {}
    while counts.kills < count:
        kind = kinds[counts.runs % len(kinds)]
        if kind not in twins:
            whole = folder / f"{kind}-uncut"
            twins[kind] = Uncut(whole, run(write_config(world, whole, kind), None).seconds)
        whole = twins[kind].folder
        out = folder / f"{kind}-{counts.runs}"
        training, words = TrainingRun(out, counts), write_config(world, out, kind)
        last = finish(
            run,
            words,
            draw,
            twins[kind],
            count=count,
            counts=counts,
            writes=[out / "checkpoints", out],
            look=training.look,
        )
        training.require_resume(last)
        require_equal(out / "final", whole / "final")
        require_equal(out / "checkpoints", whole / "checkpoints")
        assert kept(out) == kept(whole)
        assert not half_done(out)
    return counts


@pytest.mark.parametrize("count", [1, pytest.param(60, marks=pytest.mark.slow)])
def test_a_killed_training_is_finished_by_the_same_command(
    world: Path,
    forked: ForkedCommands,
    tmp_path: Path,
    figure: Callable[[str], None],
    count: int,
) -> None:
    counts = kill_trainings(forked, world, tmp_path, count)
    figure(
        f"{counts.kills} kills of {counts.runs} trainings, {counts.amid_writing} of them amid "
        f"writing or removing; {counts.runs} of {counts.runs} finished by the same command, "
        f"bit-equal; steps done again a kill: {max(counts.lost)} at most, nothing complete lost"
    )


@pytest.mark.slow
def test_fresh_processes_are_killed_alike(
    world: Path, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    counts = kill_trainings(run_fresh, world, tmp_path, 6, kinds=("prior",))
    figure(f"{counts.kills} kills of fresh processes, {counts.runs} trainings finished, bit-equal")


# Caches


def files(folder: Path) -> dict[str, bytes]:
    """Read all files of a cache but its manifest, which names the folder and the command."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def shards(folder: Path) -> dict[str, int]:
    """Return when each whole shard was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("[!.]*.safetensors")}


def cache_words(world: Path, folder: Path, *, predictions: Path | None = None) -> list[str]:
    words = ["cache", *write_config(world, folder.with_name("training"), "denoiser")[2:]]
    words += ["--data.random_crop=false", f"--encoders.cache={folder}"]
    if predictions is not None:
        words += ["--predictions=denoiser", "--data.arrangements=8"]
        words += [f"--prior.predictions={predictions}"]
    return words


@pytest.mark.parametrize("count", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_building_of_caches_is_finished_by_the_same_command(
    world: Path,
    forked: ForkedCommands,
    tmp_path: Path,
    figure: Callable[[str], None],
    count: int,
) -> None:
    draw, counts = random.Random(1), Counts()
    encoded, predicted = tmp_path / "encoded", tmp_path / "predicted"
    commands = [
        lambda folder: cache_words(world, folder),
        lambda folder: cache_words(world, encoded, predictions=folder),
    ]
    twins = [
        Uncut(folder, forked(words(folder), None).seconds)
        for folder, words in zip((encoded, predicted), commands, strict=True)
    ]
    assert len(shards(encoded)) > 4 and len(shards(predicted)) > 2
    while counts.kills < count:
        number = counts.runs % len(twins)
        out = tmp_path / f"cache-{counts.runs}"
        known: dict[str, int] = {}

        def look(attempt: Attempt, out: Path = out, known: dict[str, int] = known) -> None:
            now = shards(out)
            assert known.items() <= now.items(), "a whole shard was made again or lost"
            known.update(now)
            counts.add(out)

        finish(
            forked,
            commands[number](out),
            draw,
            twins[number],
            count=count,
            counts=counts,
            writes=[out],
            look=look,
        )
        assert files(out) == files(twins[number].folder)
    figure(
        f"{counts.kills} kills of {counts.runs} buildings of caches, {counts.amid_writing} of them "
        f"amid writing; {counts.runs} of {counts.runs} finished, every file equal, no whole shard "
        "made again"
    )


# Evaluation


def evaluation_words(world: Path, out: Path) -> list[str]:
    """Words that paint and score two people; task and index lie in the world."""
    words = ["evaluate", "pipeline", "--pipeline", str(TINY), "--task", str(world / "task.json")]
    words += ["--index", str(world / "people" / "index.json"), "--out", str(out)]
    words += ["--protocol", "strict", "--size", "64x64", "--num_steps", "1", "--prior_steps", "1"]
    words += ["--batch_size", "2", "--reference_rows", "false"]
    return [*words, "--cache", str(out / "kept")]


def write_task(world: Path) -> None:
    names = [
        [view.image.name for view in record.views]
        for record in read_index(world / "people" / "index.json")
        if record.split == "test"
    ]
    items = [
        {"subject": str(number), "references": views[:1], "targets": views[target : target + 1]}
        for number, views in enumerate(names[:2])
        for target in (1, 2)
    ]
    task = {"format": "jcdm-task", "version": 1, "split": "test", "items": items}
    (world / "task.json").write_text(json.dumps(task))


def results(out: Path) -> dict[str, Any]:
    """Return what an evaluation found, without the names of folders."""
    content = json.loads((out / "scores_strict" / "scores.json").read_text())
    return {
        "pictures": {n: c for n, c in files(out).items() if n.endswith(".png") and "." not in n[0]},
        "pairs": (out / "scores_strict" / "per_pair.csv").read_bytes(),
        "scores": {name: content[name] for name in ("scores", "rows", "counts", "num_pairs")},
        "is_reported": (out / "scores_strict" / "report" / "report.html").is_file(),
    }


@pytest.mark.parametrize("count", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_evaluation_is_finished_by_the_same_command(
    world: Path,
    forked: ForkedCommands,
    tmp_path: Path,
    figure: Callable[[str], None],
    count: int,
) -> None:
    write_task(world)
    draw, counts, whole = random.Random(2), Counts(), tmp_path / "uncut"
    uncut = Uncut(whole, forked(evaluation_words(world, whole), None).seconds)
    expected = results(whole)
    while counts.kills < count:
        out = tmp_path / f"evaluated-{counts.runs}"
        finish(
            forked,
            evaluation_words(world, out),
            draw,
            uncut,
            count=count,
            counts=counts,
            writes=[TaskFolders(out).generated(0), TaskFolders(out).truth, out],
            look=lambda attempt, out=out: counts.add(out),
        )
        assert results(out) == expected
    figure(
        f"{counts.kills} kills of {counts.runs} evaluations, {counts.amid_writing} of them amid "
        f"writing; {counts.runs} of {counts.runs} finished, pictures and scores equal"
    )
