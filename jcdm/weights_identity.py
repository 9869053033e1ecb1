"""What tells the weights on disk from others: one hash of a file or folder, computed once."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jcdm.folders import FORMAT, MANIFEST
from jcdm.reading import read_json

PAINTER = "pipeline"  # under this name, the weights that painted what a result is about
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx")


def weights_identity(place: Path) -> dict[str, Any] | None:
    """Identify a weight file, or all weight files below a folder; None where there are none.

    Returns path, sha256, num_files and size in bytes. Of a folder the hash is over names and
    SHA-256 of its files, so that a copy anywhere has the same one. Checksums that a manifest
    beside the files holds are taken from there; others are computed once in a process.
    """
    files = weight_files(place)
    if not files:
        return None
    sums = {file.relative_to(place).as_posix(): file_sha256(file) for file in files}
    listed = "\n".join(f"{sums[name]}  {name}" for name in sorted(sums))
    return {
        "path": str(place),
        "sha256": sums["."] if place.is_file() else hashlib.sha256(listed.encode()).hexdigest(),
        "num_files": len(files),
        "size": sum(file.stat().st_size for file in files),
    }


def identify_all(places: Mapping[str, Path | None]) -> dict[str, Any]:
    """Identify weights by the names of what they are for; those that are not named stay out."""
    return {name: weights_identity(place) for name, place in places.items() if place is not None}


def weight_files(place: Path) -> list[Path]:
    """List the weight files that a path means: itself, or all below it that are not hidden."""
    if place.is_file():
        return [place]
    found = (path for path in place.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    return sorted(path for path in found if not _is_hidden(path.relative_to(place)))


def file_sha256(file: Path) -> str:
    """SHA-256 of a file: as a manifest recorded it after the file was written, else computed."""
    facts = file.stat()
    for folder in list(file.parents)[:2]:
        known = _recorded(folder / MANIFEST, _version(folder / MANIFEST)).get(
            file.relative_to(folder).as_posix()
        )
        is_older = facts.st_mtime_ns <= _version(folder / MANIFEST)
        if known is not None and is_older and known[0] == facts.st_size:
            return known[1]
    return _computed(file, (facts.st_mtime_ns, facts.st_size))


@lru_cache(maxsize=4096)
def _computed(file: Path, _version: tuple[int, int]) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@lru_cache(maxsize=64)
def _recorded(manifest: Path, version: int) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 by name, as `write_folder` recorded them; nothing of any other file."""
    if not version:
        return {}
    try:
        content = read_json(manifest)
        if content["format"] != FORMAT:
            return {}
        return {name: (f["size"], f["sha256"]) for name, f in content["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _version(file: Path) -> int:
    """When a file was last written, in nanoseconds; 0 where there is none."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
