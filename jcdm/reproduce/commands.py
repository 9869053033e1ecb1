"""The commands that repeat a run, and its configuration as a file."""

import json
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jcdm.cli.options import path_keys, read_config, resolve_path
from jcdm.config import Config
from jcdm.errors import ConfigError, DataError
from jcdm.manifest import PACKAGE
from jcdm.plain import leaves, to_plain, to_yaml
from jcdm.reproduce.record import RunRecord

CONFIG_FILE = "config.yaml"
_ENGINES = {"fsdp": "fsdp", "deepspeed": "deepspeed_zero2"}


def commands(record: RunRecord, config_file: Path | None, out: Path | None) -> list[str]:
    """Write the commands that repeat a run, in their order, as typed in the checkout.

    config_file: of a training, as `configuration` found or wrote it. out: the new folder, None =
    beside the old one. Errors: DataError where no command is recorded.
    """
    checkout = [f"git checkout {shlex.quote(record.commit)}"] if record.commit is not None else []
    if record.stage is not None and config_file is not None:
        return [*checkout, _train(record, config_file, out)]
    if not record.command:
        raise DataError(f"{record.file} records no command, which newer manifests hold.")
    folder = [f"cd {shlex.quote(record.directory)}"] if record.directory != "." else []
    return [*checkout, *folder, _as_typed(record.command, out)]


def stored_config(record: RunRecord) -> Config:
    """Read the configuration that a training's manifest holds. Errors: ConfigError, DataError."""
    if not record.config:
        raise DataError(f"{record.file} holds no configuration; expected that of a training run.")
    paths = path_keys(Config)
    words = []
    for key, value in leaves(dict(record.config)):
        if key in paths and isinstance(value, str):
            value = resolve_path(value, record.place("."), keep_unset=True)
        words.append(f"--{key}={value if isinstance(value, str) else json.dumps(value)}")
    try:
        return read_config(Config, words, prog="python -m jcdm train")
    except ConfigError as error:
        raise ConfigError(
            f"{record.file}: this version does not read its configuration: {error} Check out the "
            f"run's commit first: {record.commit or 'unknown'}."
        ) from None


def write_config(record: RunRecord, file: Path) -> None:
    """Write the configuration of a training as a file for --config. Errors: as `stored_config`."""
    config = stored_config(record)
    file.parent.mkdir(parents=True, exist_ok=True)
    text = to_yaml(config, file.parent.absolute())
    file.write_text(f"# Written by: python -m jcdm reproduce {record.file}\n{text}", "utf-8")


def config_beside(record: RunRecord) -> Path | None:
    """Find config.yaml of the run a manifest lies in; None unless it says what the manifest says.

    Errors: as `stored_config`.
    """
    file = record.file.parent / CONFIG_FILE
    if not file.is_file():
        return None
    there = read_config(Config, ["--config", str(file)], prog="python -m jcdm train")
    same = _resolved(there) == _resolved(stored_config(record))
    return file if same else None


def _resolved(config: Config) -> dict[str, Any]:
    """Make a configuration comparable: paths as seen from one folder, without what it writes."""
    plain = to_plain(config, Path.cwd())
    return {**plain, "run": {**plain["run"], "out": None}}


def _train(record: RunRecord, config_file: Path, out: Path | None) -> str:
    new = _from_checkout(out or record.place(f"{_old_out(record)}_again"))
    words = ["train", str(record.stage), "--config", _from_checkout(config_file)]
    words.append(f"--run.out={new}")
    processes = record.hardware.get("num_processes", 1)
    if processes != 1 or record.engine in _ENGINES:
        engine = _ENGINES.get(record.engine)
        setting = [f"NUM_PROCESSES={shlex.quote(str(processes))}"]
        setting += [f"ACCELERATE_CONFIG={engine}"] if engine else []
        return " ".join([*setting, "sh scripts/launch.sh", shlex.join(words)])
    return " ".join(["python -m jcdm", shlex.join([*words, *_threads(record)])])


def _threads(record: RunRecord) -> Iterator[str]:
    """Ask for the threads it had, where its configuration leaves that to the computer."""
    train = record.config.get("train")
    asked = train.get("num_threads") if isinstance(train, dict) else None
    found = record.hardware.get("num_threads")
    if asked is None and isinstance(found, int):
        yield f"--train.num_threads={found}"


def _old_out(record: RunRecord) -> str:
    run = record.config.get("run")
    return str(run.get("out", "outputs/run")) if isinstance(run, dict) else "outputs/run"


def _as_typed(command: Sequence[str], out: Path | None) -> str:
    """Repeat a command into a new folder: of two options of a name, the last one counts."""
    names = [word.partition("=")[0] for word in command]
    for name in ("--out", "--run.out"):
        if name in names:
            new = out or f"{_value(command, name)}_again"
            return shlex.join([*command, f"{name}={new}"])
    return shlex.join([*command, *([f"--run.out={out}"] if out is not None else [])])


def _value(command: Sequence[str], name: str) -> str:
    """Return what an option was given last, as --name=VALUE or --name VALUE."""
    found = ""
    for place, word in enumerate(command):
        if word.startswith(f"{name}="):
            found = word.partition("=")[2]
        elif word == name and place + 1 < len(command):
            found = command[place + 1]
    return found.rstrip("/")


def _from_checkout(file: Path) -> str:
    """Name a file as seen from the checkout where it lies inside it."""
    place = Path(os.path.abspath(file))
    inside = place.is_relative_to(PACKAGE.parent)
    return str(place.relative_to(PACKAGE.parent) if inside else place)
