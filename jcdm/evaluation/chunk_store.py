"""Numbers computed from pictures, kept in pieces under a key made of the pictures' content.

A piece is a safetensors file that appears whole or not at all. Its key is a hash of what it was
computed from and how, never of a folder's name or a date: a picture that changed is computed again,
one that moved is not.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jcdm.reading import parse_json

_ORDER = "order"  # of the names: the format sorts them
DEFAULT_FOLDER = Path.home() / ".cache" / "jcdm" / "scores"


class ChunkStore:
    """A folder of pieces; processes may share it. A damaged piece counts as absent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str) -> dict[str, np.ndarray] | None:
        """Return a piece's arrays in the order they were saved, or None where there is none."""
        try:
            with safe_open(self._file(key), framework="np") as piece:
                names = parse_json((piece.metadata() or {}).get(_ORDER, "null")) or piece.keys()
                return {name: piece.get_tensor(name) for name in names}
        except (FileNotFoundError, SafetensorError, ValueError):
            return None

    def holds(self, key: str) -> bool:
        """Tell whether there is a piece of this key."""
        return self._file(key).is_file()

    def save(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays under a key."""
        file = self._file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(whole, partial, {_ORDER: json.dumps(list(whole))})
        os.replace(partial, file)

    def _file(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"


def make_key(parts: Iterable[str]) -> str:
    """Hash words in order: SHA-256, hexadecimal."""
    found = hashlib.sha256()
    for part in parts:
        found.update(f"{len(part)}:{part}".encode())
    return found.hexdigest()


@lru_cache(maxsize=200_000)
def content_hash(path: Path) -> str:
    """Hash a file's bytes: SHA-256, hexadecimal; a word of its own for a file that is not there."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return "missing"
