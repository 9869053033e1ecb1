"""Folders that appear complete or not at all, and prove it by sizes and checksums."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from jcdm.errors import CheckpointError

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
FORMAT = "jcdm-folder"
VERSION = 1


def write_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write files into a temporary folder beside `target`, then rename it to `target`.

    Everything is synced to disk before the rename, the manifest last. A folder that was there is
    replaced. Errors: CheckpointError when the disk refuses, after which nothing is left behind.
    """
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        fill(partial)
        _write_manifest(partial)
        _share(partial)
        remove_folder(target)
        os.rename(partial, target)
        _sync(target.parent)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"cannot write {target}: {reason}. Free disk space or choose another "
            "run.out; older checkpoints are untouched."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that no half of it can ever be taken for a whole one."""
    if not folder.exists():
        return
    doomed = folder.with_name(f".{folder.name}.removed-{os.getpid()}")
    os.rename(folder, doomed)
    shutil.rmtree(doomed)


def remove_leftovers(parent: Path) -> None:
    """Remove what an interrupted `write_folder` or `remove_folder` left in `parent`."""
    for pattern in (".*.partial-*", ".*.removed-*"):
        for folder in parent.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)


def verify_folder(folder: Path) -> None:
    """Raise a CheckpointError unless every file is there with the size and SHA-256 recorded."""
    for name, facts in _read_manifest(folder).items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{folder} is damaged: {name} is missing. {_ADVICE}")
        size = path.stat().st_size
        if size != facts["size"]:
            raise CheckpointError(
                f"{folder} is damaged: {name} has {size} bytes, expected {facts['size']}. {_ADVICE}"
            )
        if _checksum(path) != facts["sha256"]:
            raise CheckpointError(
                f"{folder} is damaged: {name} has not the SHA-256 recorded. {_ADVICE}"
            )


_ADVICE = "Resume from another checkpoint with train.resume=DIR, or remove the folder."


def _read_manifest(folder: Path) -> dict[str, dict[str, object]]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder} is no complete checkpoint: it has no {MANIFEST}. {_ADVICE}"
        ) from None
    except (OSError, ValueError):
        raise CheckpointError(f"{path} cannot be read; expected JSON. {_ADVICE}") from None
    is_ours = isinstance(manifest, dict) and manifest.get("format") == FORMAT
    if not is_ours or manifest.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has not format {FORMAT!r} version {VERSION}; it was not written by this "
            f"version of jcdm. {_ADVICE}"
        )
    return manifest["files"]


def _write_manifest(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        _sync(path)
    facts = {
        path.relative_to(folder).as_posix(): {
            "size": path.stat().st_size,
            "sha256": _checksum(path),
        }
        for path in files
    }
    manifest = {"format": FORMAT, "version": VERSION, "files": facts}
    path = folder / MANIFEST
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    for place in (path, *(p for p in folder.rglob("*") if p.is_dir()), folder):
        _sync(place)


def _share(folder: Path) -> None:
    """Give every file the access rights of one written the plain way, as the user's umask says.

    Weight files arrive readable by their owner alone, which a group's shared disk does not expect.
    """
    usual = (folder / MANIFEST).stat().st_mode
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(usual)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Force a file or a folder's entries to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
