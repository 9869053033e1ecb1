"""Find the pictures a list names, never outside the root."""

import os
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from jcdm.data.images import open_picture
from jcdm.data.importers.base import RowError, Source
from jcdm.data.importers.text import shown
from jcdm.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_LONGEST = 240  # bytes of one name: file systems take 255


def safe_name(value: Any, strip_prefix: str = "") -> str:
    """Check a picture's name from a list and return it with plain slashes.

    Refuses what could leave the root: absolute names, drive letters, `..`. RowError says why.
    """
    if not isinstance(value, str) or not value.strip():
        raise RowError(f"found {shown(value)}, expected the name of a picture.")
    name = value.strip()
    if strip_prefix:
        name = name.removeprefix(strip_prefix).lstrip("/")
    name = name.replace("\\", "/")
    if not name.isprintable():
        raise RowError(f"found control characters in the name {shown(name)}, expected plain text.")
    if name.startswith(("/", "~")) or name[1:2] == ":":
        raise RowError(
            f"found the absolute name {shown(name)}, expected one inside --root. "
            "Its beginning can be cut off with --strip_prefix."
        )
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise RowError(f"found '..' in the name {shown(name)}, expected one inside --root.")
    if not parts or any(len(part.encode()) > _LONGEST for part in parts):
        raise RowError(f"found the name {shown(name)}, expected one of 1 to {_LONGEST} bytes.")
    return "/".join(parts)


class Pictures:
    """Looks pictures up in folders of the root, each of which is listed once."""

    def __init__(self, source: Source, folders: Sequence[str]) -> None:
        """folders: where to look, relative to the root, the first one preferred."""
        self._source = source
        self._root = os.path.realpath(source.root)
        self._folders = tuple(folders)
        self._listed: dict[str, dict[str, bool]] = {}

    def find(self, *names: str, folders: Sequence[str] | None = None) -> Path:
        """Return the path of a picture: the first of its names, or one with another suffix.

        RowError when there is none (unless pictures are not needed) or it lies outside the root.
        """
        places = self._folders if folders is None else folders
        found = self._look(names, places)
        if found is not None:
            return found
        if self._source.options.need_pictures:
            looked = ", ".join(folder or "the root" for folder in places)
            raise RowError(f"found no picture {shown(names[0])}, expected it in {looked}.")
        return self._path(places[0], names[0])

    def optional(self, name: str, folders: Sequence[str]) -> Path | None:
        """Return the path of a picture that need not be there, or None."""
        return self._look((name,), folders)

    def _look(self, names: Sequence[str], places: Sequence[str]) -> Path | None:
        for name in names:
            head, _, tail = name.rpartition("/")
            for folder in places:
                place = f"{folder}/{head}".strip("/")
                listed = self._list(place)
                if not listed:
                    continue
                found = tail if tail in listed else _other_suffix(tail, listed)
                if found is not None:
                    path = self._path(place, found)
                    if listed[found]:
                        self._check_inside(path, name)
                    return path
        return None

    def _path(self, place: str, name: str) -> Path:
        return Path(f"{self._source.root}/{place}/{name}")

    def _list(self, place: str) -> dict[str, bool]:
        """Names in a folder, and whether each needs a look at where it leads."""
        if place not in self._listed:
            folder = self._source.root / place
            leads_out = not _inside(os.path.realpath(folder), self._root)
            try:
                with os.scandir(folder) as entries:
                    self._listed[place] = {e.name: leads_out or e.is_symlink() for e in entries}
            except OSError:
                self._listed[place] = {}
        return self._listed[place]

    def _check_inside(self, path: Path, name: str) -> None:
        if not _inside(os.path.realpath(path), self._root):
            raise RowError(
                f"found {shown(name)} to be a link out of --root, expected a file inside. "
                "Copy the pictures, or let --root be the folder they are in."
            )


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture, from its header only; RowError when it has none."""
    try:
        with open_picture(path) as image:
            return image.height, image.width
    except DataError:
        raise RowError(f"found {path.name} to be no picture, expected one.") from None


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _other_suffix(name: str, listed: Container[str]) -> str | None:
    """The same picture under another picture suffix, as lists of jpg name folders of png."""
    stem, suffix = os.path.splitext(name)
    if suffix.lower() not in SUFFIXES:
        return None
    return next((stem + other for other in SUFFIXES if stem + other in listed), None)
