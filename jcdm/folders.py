"""Folders that appear complete or not at all, and prove it by sizes and checksums."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from glob import escape
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors import SafetensorError

from jcdm.errors import CheckpointError
from jcdm.reading import parse_json

MANIFEST = "manifest.json"
FORMAT = "jcdm-folder"
VERSION = 1
_READ_AS_WEIGHTS = (".safetensors", ".json")


def write_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write files into a temporary folder beside `target`, then rename it to `target`.

    Everything is synced to disk before the rename, the manifest last. A folder that was there is
    replaced: set aside, and removed when the new one stands. Errors: CheckpointError when the disk
    refuses, after which the older folder stands again and nothing else is left behind.
    """
    partial = _beside(target, "partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent, target.name)
        partial.mkdir()
        fill(partial)
        _write_manifest(partial)
        _share(partial)
        if target.exists():
            os.rename(target, _beside(target, "replaced"))
        os.rename(partial, target)
        _sync(target.parent)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"cannot write {target}: {reason}. Free disk space or choose another "
            "run.out; older checkpoints are untouched."
        ) from error
    finally:
        with suppress(OSError):
            remove_leftovers(target.parent, target.name)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that no half of it can ever be taken for a whole one.

    Files that somebody else still holds open may stay, under a name that nobody takes.
    """
    if not folder.exists():
        return
    doomed = _beside(folder, "removed")
    shutil.rmtree(doomed, ignore_errors=True)  # of a killed process that had the same number
    os.rename(folder, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def remove_leftovers(parent: Path, name: str | None = None) -> None:
    """Remove what an interrupted `write_folder` or `remove_folder` left in `parent`.

    A folder that was set aside, and whose successor never came, is put back. name: of the one
    folder to clean up for; None = of all.
    """
    chosen = "*" if name is None else escape(name)
    for aside in sorted(parent.glob(f".{chosen}.replaced-*")):
        target = parent / aside.name[1:].rpartition(".replaced-")[0]
        if not target.exists():
            os.rename(aside, target)
    for kind in ("partial", "removed", "replaced"):
        for folder in parent.glob(f".{chosen}.{kind}-*"):
            shutil.rmtree(folder, ignore_errors=True)


def _beside(target: Path, kind: str) -> Path:
    return target.with_name(f".{target.name}.{kind}-{os.getpid()}")


def verify_folder(folder: Path, *, checksums: bool = True, is_passed_on: bool = False) -> None:
    """Raise a CheckpointError unless the files are those of the manifest: size and SHA-256.

    checksums: read every byte; without, names and sizes are compared alone. is_passed_on: people
    may have put files of their own beside ours, as long as nobody would read them as weights.
    Nothing outside of `folder` is looked at, whatever its manifest names.
    """
    expected, found = _read_manifest(folder), _list_files(folder)
    if missing := sorted(expected.keys() - found):
        raise CheckpointError(f"{folder} is damaged: {missing[0]} is missing. {_ADVICE}")
    unknown = sorted(found - expected.keys())
    if is_passed_on:
        unknown = [name for name in unknown if name.endswith(_READ_AS_WEIGHTS)]
    if unknown:
        raise CheckpointError(
            f"{folder} is damaged: it holds {unknown[0]}, which its {MANIFEST} does not name. "
            "Move that file elsewhere, or take another one (train.resume=DIR resumes from it)."
        )
    for name, facts in expected.items():
        size = (folder / name).stat().st_size
        if size != facts["size"]:
            raise CheckpointError(
                f"{folder} is damaged: {name} has {size} bytes, expected {facts['size']}. {_ADVICE}"
            )
        if checksums and _checksum(folder / name) != facts["sha256"]:
            raise CheckpointError(
                f"{folder} is damaged: {name} has not the SHA-256 recorded. {_ADVICE}"
            )


def _list_files(folder: Path) -> set[str]:
    """Name all files below a folder but its manifest, as a manifest would."""
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name for name in files if name != MANIFEST}


_ADVICE = "Take another one (train.resume=DIR resumes from it), or remove the folder."


def _read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / MANIFEST
    try:
        text = path.read_bytes().decode()
        manifest = parse_json(text)
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
    _check_files(manifest.get("files"), path)
    if text != _manifest_text(manifest):
        raise CheckpointError(f"{path} is damaged: it is not as it was written. {_ADVICE}")
    return manifest["files"]


def _check_files(files: object, path: Path) -> None:
    """Raise a CheckpointError unless a manifest maps names inside its folder to their facts."""
    if not isinstance(files, dict) or not files:
        raise CheckpointError(
            f"{path} names no files; expected size and SHA-256 of each. {_ADVICE}"
        )
    for name, facts in files.items():
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts:
            raise CheckpointError(
                f"{path} names {name!r}, which is outside of its folder. {_ADVICE}"
            )
        if not isinstance(facts, dict) or not facts.keys() >= {"size", "sha256"}:
            raise CheckpointError(f"{path} has no size and SHA-256 of {name!r}. {_ADVICE}")


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
    path.write_text(_manifest_text(manifest), encoding="utf-8")
    for place in (path, *(p for p in folder.rglob("*") if p.is_dir()), folder):
        _sync(place)


def _manifest_text(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, indent=2) + "\n"


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
