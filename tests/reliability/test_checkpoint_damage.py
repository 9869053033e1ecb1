"""Damage of every kind to the newest checkpoint: found, and the newest whole one is taken."""

import logging
import random
import shutil
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest
from toy import new_trainer, toy_batches, toy_config

from jcdm.errors import CheckpointError
from jcdm.folders import verify_folder
from jcdm.training.checkpoint import find_checkpoint
from jcdm.training.checkpoint_folders import list_checkpoints

Damage = tuple[str, Callable[[], None]]  # what it is, and a function that does it


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with checkpoints of steps 2 and 4."""
    config = toy_config(tmp_path / "run")
    new_trainer(config).run(toy_batches(config.train.batch_size), run=config.run.out)
    return config.run.out


def contents(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def truncations(folder: Path, draw: random.Random, count: int) -> Iterator[Damage]:
    """Cut files at `count` lengths, an empty one and one byte too few of every file among them."""
    files = contents(folder)
    places = [(file, length) for file in files for length in (0, file.stat().st_size - 1)]
    while len(places) < count:
        file = draw.choice(files)
        places.append((file, draw.randrange(file.stat().st_size)))
    for file, length in draw.sample(places, count):
        content = file.read_bytes()[:length]
        yield f"{file.name} cut to {length} bytes", lambda f=file, c=content: f.write_bytes(c)


def flips(folder: Path, draw: random.Random, count: int) -> Iterator[Damage]:
    """Flip one bit of a byte, in every file in turn."""
    files = contents(folder)
    for number in range(count):
        file = files[number % len(files)]
        content, place = bytearray(file.read_bytes()), draw.randrange(file.stat().st_size)
        content[place] ^= 1 << draw.randrange(8)
        yield f"byte {place} of {file.name}", lambda f=file, c=content: f.write_bytes(c)


def missing(folder: Path, draw: random.Random, count: int) -> Iterator[Damage]:
    for file in contents(folder)[:count]:
        yield f"without {file.name}", file.unlink


def swaps(folder: Path, draw: random.Random, count: int) -> Iterator[Damage]:
    pairs = list(combinations(contents(folder), 2))
    for one, other in draw.sample(pairs, min(count, len(pairs))):

        def swap(one: Path = one, other: Path = other) -> None:
            first, second = one.read_bytes(), other.read_bytes()
            one.write_bytes(second)
            other.write_bytes(first)

        yield f"{one.name} for {other.name}", swap


def additions(folder: Path, draw: random.Random, count: int) -> Iterator[Damage]:
    """Put a file there that no manifest names, where it would be read."""
    (part,) = [path for path in folder.iterdir() if path.is_dir()]
    for place in (folder, part)[:count]:
        for name in ("more.safetensors", "archive.bin"):
            file = place / name
            yield f"with {name}", lambda f=file: f.write_bytes(b"x")


KINDS = {"cut": truncations, "flip": flips, "missing": missing, "swap": swaps, "add": additions}
QUICK = {"cut": 16, "flip": 24, "missing": 99, "swap": 4, "add": 2}
FULL = {"cut": 50, "flip": 200, "missing": 99, "swap": 99, "add": 2}


@pytest.mark.parametrize(
    "counts",
    [pytest.param(QUICK, id="few"), pytest.param(FULL, id="all", marks=pytest.mark.slow)],
)
def test_all_damage_is_found_and_the_newest_whole_checkpoint_taken(
    run: Path,
    caplog: pytest.LogCaptureFixture,
    figure: Callable[[str], None],
    counts: dict[str, int],
) -> None:
    draw, caught = random.Random(0), dict.fromkeys(KINDS, 0)
    (_, older), (_, newest) = list_checkpoints(run)
    intact = shutil.copytree(newest, run / "intact")
    for kind, damages in KINDS.items():
        for what, do in damages(newest, draw, counts[kind]):
            do()
            with pytest.raises(CheckpointError, match="step_0000004") as found:
                verify_folder(newest)
            assert "\n" not in str(found.value), what
            caplog.clear()
            with caplog.at_level(logging.WARNING, logger="jcdm"):
                assert find_checkpoint(run, "auto") == older, what
            assert "step_0000004" in caplog.text
            caught[kind] += 1
            shutil.rmtree(newest)
            shutil.copytree(intact, newest)
            verify_folder(newest)
    assert caught["missing"] == len(contents(intact)) and min(caught.values()) > 0
    figure(", ".join(f"{kind}: {n} of {n} found" for kind, n in caught.items()))
