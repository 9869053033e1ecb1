"""The manifest of a training run: what it starts from, and at its end what it wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jcdm.config import Config
from jcdm.data.index import index_identity
from jcdm.errors import DataError
from jcdm.manifest import run_manifest, write_manifest
from jcdm.plain import to_yaml
from jcdm.reading import read_json, read_object
from jcdm.training.checkpoint import CONFIG_FILE
from jcdm.training.parts import FINAL, weights_folder
from jcdm.training.weight_keys import keys_read
from jcdm.weights_identity import identify_all, weights_identity

MANIFEST_FILE = "manifest.json"
_OF_A_START = ("command", "directory", "code", "versions", "hardware", "resumed_from")


def write_identity(
    kind: str,
    config: Config,
    checkpoint: Path | None,
    engine: str,
    left_out: Mapping[str, Mapping[str, int]],
) -> None:
    """Write the resolved configuration and the manifest of a run that starts, or goes on.

    checkpoint: what it goes on from. left_out: counts of pictures that cannot be read, by role. How
    earlier starts of the run ran stays in the manifest, under `earlier`, so that a run made by
    several commits or machines says so.
    """
    out = config.run.out
    earlier = [] if checkpoint is None else _earlier(out / MANIFEST_FILE)
    (out / CONFIG_FILE).write_text(to_yaml(config, out), encoding="utf-8")
    manifest = run_manifest(
        config,
        seed=config.run.seed,
        data=_data(config) | ({"skipped": left_out} if left_out else {}),
        weights=identify_all(started_from(kind, config)),
        stage=kind,
        engine=engine,
        resumed_from=None if checkpoint is None else weights_identity(checkpoint),
        earlier=earlier,
        final=None,
    )
    write_manifest(out / MANIFEST_FILE, manifest)


def write_final(run: Path) -> None:
    """Add the identity of the finished weights to the manifest of a run."""
    file = run / MANIFEST_FILE
    manifest = read_object(file, DataError, "Start the run again.")
    write_manifest(file, {**manifest, "final": weights_identity(run / FINAL)})


def write_cache_identity(folder: Path, config: Config, **encoders: Path | None) -> None:
    """Write the manifest of a finished cache, beside what the cache says of its contents.

    encoders: what made it, by their part of the configuration.
    """
    manifest = run_manifest(
        config, seed=config.run.seed, data=_data(config), weights=identify_all(encoders)
    )
    write_manifest(folder / MANIFEST_FILE, manifest)


def started_from(kind: str, config: Config) -> dict[str, Path | None]:
    """Name the files or folders that a stage reads weights from, by their keys."""
    return {
        key.name: weights_folder(place) if key.is_part else place
        for key in keys_read(kind, config)
        if (place := key.place(config)) is not None
    }


def _data(config: Config) -> dict[str, Any]:
    return {"index": str(config.data.index), **index_identity(config.data.index)}


def _earlier(file: Path) -> list[dict[str, Any]]:
    """What the manifest that is there says of starts before; nothing of one that is not whole."""
    try:
        before = read_json(file)
        return [*before.get("earlier", ()), {n: before[n] for n in _OF_A_START if n in before}]
    except (OSError, ValueError, AttributeError, TypeError):
        return []
