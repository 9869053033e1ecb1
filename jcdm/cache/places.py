"""Where a cache lies: a local folder, or any place that fsspec knows, read through local copies."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jcdm.errors import ConfigError, DataError

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)")


def remote_url(place: Path) -> str | None:
    """Return the URL that a path was written as (s3://bucket/folder), None for a local path."""
    found = _SCHEME.fullmatch(place.as_posix())
    if found is None:
        return None
    slashes = "///" if found[1] in ("file", "local", "memory") else "//"
    return f"{found[1]}:{slashes}{found[2]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCopies:
    """A folder of copies, of which the least recently used ones go when it grows too large.

    Processes may share it: a copy appears whole or not at all.
    """

    folder: Path
    max_bytes: int

    def fetch(self, source: Any, name: str, remote: str) -> Path:
        """Return the local copy of `remote`, a path of the fsspec file system `source`."""
        copy = self.folder / name
        try:
            os.utime(copy)
        except FileNotFoundError:
            self._download(source, remote, copy)
            self._make_room(copy)
        return copy

    def _download(self, source: Any, remote: str, copy: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = copy.with_name(f".{copy.name}.{os.getpid()}.{time.monotonic_ns()}")
        try:
            source.get_file(remote, str(partial))
            os.replace(partial, copy)
        except FileNotFoundError:
            raise DataError(f"{remote} not found; expected a file of a cache.") from None
        finally:
            partial.unlink(missing_ok=True)

    def _make_room(self, newest: Path) -> None:
        """Remove the copies that were used longest ago, never the newest one."""
        used = []
        for path in self.folder.glob("*.safetensors"):
            try:
                facts = path.stat()
            except FileNotFoundError:  # another process removed it
                continue
            used.append((facts.st_mtime_ns, facts.st_size, path))
        total = sum(size for _, size, _ in used)
        for _, size, path in sorted(used):
            if total <= self.max_bytes:
                return
            if path != newest:
                path.unlink(missing_ok=True)
                total -= size


class Place:
    """Files of a cache by name: of a local folder as they are, of any other place as copies."""

    def __init__(
        self, place: Path, copies: LocalCopies, *, build: str = "python -m jcdm cache --config FILE"
    ) -> None:
        """`build`: the command that makes what should be there."""
        self.name, self._build = str(place), build
        self._folder, self._copies = place, copies
        self._source: Any = None
        self._root = ""
        url = remote_url(place)
        if url is not None:
            self._source, self._root = _connect(url)
            self.name = url

    def read_text(self, name: str) -> str:
        """Read a small file. Errors: DataError."""
        try:
            if self._source is None:
                return (self._folder / name).read_text(encoding="utf-8")
            return self._source.cat_file(f"{self._root}/{name}").decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise DataError(
                f"{self.name}/{name} cannot be read: {reason}. Expected a cache; build one: "
                f"{self._build}."
            ) from None

    def local_file(self, name: str, identity: str) -> Path:
        """Return a local path of a file; copies of different contents have different names."""
        if self._source is None:
            return self._folder / name
        return self._copies.fetch(self._source, f"{identity[:16]}_{name}", f"{self._root}/{name}")


def _connect(url: str) -> tuple[Any, str]:
    try:
        import fsspec

        source, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"{url} cannot be reached: {' '.join(str(error).split())}. Install what fsspec needs "
            "for it, or name a local folder."
        ) from None
    return source, root
