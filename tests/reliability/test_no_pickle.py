"""A run's folder holds no pickles, and reading it executes none."""

import json
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import new_trainer, toy_batches, toy_config
from training_world import tiny_config

from jcdm.errors import CheckpointError
from jcdm.folders import MANIFEST, write_folder
from jcdm.training.checkpoint import changed_keys, load_checkpoint
from jcdm.training.checkpoint_folders import list_checkpoints, read_state
from jcdm.training.parts import export_part, load_part
from jcdm.training.run import run_training

_PLAIN = {".safetensors", ".json", ".yaml", ".jsonl", ".txt", ".png"}
_found: list[str] = []
_hooks: list[Any] = []


@contextmanager
def watched_pickles() -> Iterator[list[str]]:
    """Collect the names of classes and functions that unpickling looks for."""
    if not _hooks:  # an audit hook stays until the process ends
        _hooks.append(lambda event, args: event == "pickle.find_class" and _found.append(str(args)))
        sys.addaudithook(_hooks[0])
    _found.clear()
    yield _found


def test_unpickling_is_seen() -> None:
    with watched_pickles() as found:
        pickle.loads(pickle.dumps(Path()))
    assert found


def steps(number: int) -> dict[str, int]:
    return {"num_steps": number, "checkpoint_every": 1, "picture_every": 2, "validate_every": 2}


def test_a_run_is_written_and_read_without_pickles(world: Path, tmp_path: Path) -> None:
    config = tiny_config(world, tmp_path / "run", "denoiser", **steps(1))
    with watched_pickles() as found:
        run_training("denoiser", config)
        later = tiny_config(world, tmp_path / "run", "denoiser", **steps(2))
        run_training("denoiser", later)
        load_part(tmp_path / "run", "denoiser", "run")
    assert not found
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    events = [path for path in files if "tensorboard" in path.parts]
    assert {path.suffix for path in files if path not in events} == _PLAIN
    stored = [path for path in files if {"checkpoints", "final"} & set(path.parts)]
    assert {path.suffix for path in stored} == {".safetensors", ".json", ".yaml"}
    assert {path.name for path in stored if path.suffix == ".yaml"} == {"config.yaml"}
    for path in files:
        assert path.read_bytes()[:2] not in (b"PK", b"\x80\x02", b"\x80\x04"), path


class Evil:
    """Leaves a file where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    config = toy_config(tmp_path / "run", num_steps=2)
    new_trainer(config).run(toy_batches(2), run=config.run.out)
    return list_checkpoints(config.run.out)[-1][1]


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Give a checkpoint another file, and a manifest that fits."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }
    assert name in files

    def fill(new: Path) -> None:
        for file, old in files.items():
            (new / file).parent.mkdir(exist_ok=True)
            (new / file).write_bytes(content if file == name else old)

    write_folder(folder, fill)


@pytest.mark.parametrize(
    "name",
    [
        "ema.safetensors",
        "optimizer.safetensors",
        "prior/diffusion_pytorch_model.safetensors",
        "state.json",
    ],
)
@pytest.mark.parametrize("as_zip", [True, False])
def test_a_pickle_in_the_place_of_weights_is_refused_unread(
    checkpoint: Path, tmp_path: Path, name: str, as_zip: bool
) -> None:
    trace, other = tmp_path / "executed", tmp_path / "other"
    torch.save({"weight": Evil(trace)}, other, _use_new_zipfile_serialization=as_zip)
    rewrite(checkpoint, name, other.read_bytes())
    with watched_pickles() as found, pytest.raises(CheckpointError) as error:
        load_checkpoint(checkpoint, new_trainer(toy_config(tmp_path)).state)
    assert not found and not trace.exists() and "\n" not in str(error.value)


STATES: dict[str, Any] = {
    "no mapping": [],
    "empty": {},
    "part a number": {"part": 1},
    "progress a list": {"progress": []},
    "an unknown counter": {"progress": {"num_wishes": 3}},
    "a counter of words": {"progress": {"step": "2"}},
    "a counter of half steps": {"progress": {"step": 2.5}},
    "a method's name": {"progress": {"to_json": 1}},
    "averages a number": {"ema": 1},
    "updates of words": {"ema": {"num_updates": "many"}},
    "people of words": {"samples_a_step": "many"},
}


@pytest.mark.parametrize("change", STATES.values(), ids=STATES)
def test_counters_of_a_stranger_are_refused_in_one_line(
    checkpoint: Path, tmp_path: Path, change: Any
) -> None:
    state = read_state(checkpoint)
    rewritten = state | change if isinstance(change, dict) and change else change
    rewrite(checkpoint, "state.json", json.dumps(rewritten).encode())
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(checkpoint, new_trainer(toy_config(tmp_path)).state)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "- 1", "a: [", "a: !!python/object/apply:os.getcwd []", "\xff", "[" * 1500]
)
def test_a_configuration_of_a_stranger_is_refused_in_one_line(
    checkpoint: Path, tmp_path: Path, text: str
) -> None:
    rewrite(checkpoint, "config.yaml", text.encode("latin-1"))
    with pytest.raises(CheckpointError, match="holds no configuration; expected") as error:
        changed_keys(checkpoint, toy_config(tmp_path))
    assert "\n" not in str(error.value)


def test_a_checkpoint_of_no_part_is_not_exported(checkpoint: Path, tmp_path: Path) -> None:
    state = read_state(checkpoint) | {"part": "../../elsewhere"}
    rewrite(checkpoint, "state.json", json.dumps(state).encode())
    with pytest.raises(CheckpointError, match="expected one of prior, denoiser"):
        export_part(checkpoint, tmp_path / "out")
