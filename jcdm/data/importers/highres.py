"""The download itself: img_highres/WOMEN/Dresses/id_00002629/02_3_back.jpg, or its zip file."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from jcdm.data.importers.base import RowError, Source, ViewRow
from jcdm.data.importers.paths import SUFFIXES
from jcdm.data.importers.photo_names import PhotoName, parse_name
from jcdm.data.importers.protocol_lists import Locate, read_protocol
from jcdm.data.importers.text import shown
from jcdm.data.importers.zipped import unpack
from jcdm.errors import DataError


def read(source: Source) -> list[ViewRow]:
    """Read the tree (or unpack the zip file) and the lists beside it, which give the split.

    The protocol's name of a picture is fashion + its path without slashes and most underscores.
    """
    tree, options = source.root, source.options
    if tree.is_file():
        tree = unpack(tree, options.extract_to or tree.with_suffix(""), options.password)
        source.ledger.note(f"unpacked into {tree}")
        has_lists = any((tree / f"{split}.lst").is_file() for split in ("train", "test"))
        source = replace(source, root=tree if has_lists else source.root.parent)
        source.ledger.root = source.root
    photos = dict(_walk(source, tree))
    rows = read_protocol(source, _locate(source, tree, photos))
    if others := len(photos) - len(rows):
        source.ledger.note(f"{max(others, 0)} pictures of the download are in no list: left out")
    return [_arranged(row, options.arrange) for row in rows]


def _walk(source: Source, tree: Path) -> Iterator[tuple[PhotoName, Path]]:
    """Every photograph below a folder; links to folders are not followed."""
    root = os.path.realpath(tree) + os.sep
    for folder, subfolders, names in os.walk(tree):
        subfolders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            photo = parse_name(path.as_posix()) if path.suffix.lower() in SUFFIXES else None
            if photo is None:
                continue
            if path.is_symlink() and not os.path.realpath(path).startswith(root):
                where = path.relative_to(tree).as_posix()
                source.ledger.bad(where, "found a link out of --root, expected a file inside.")
                continue
            yield photo, path


def _locate(source: Source, tree: Path, photos: dict[PhotoName, Path]) -> Locate:
    def locate(name: str, photo: PhotoName, split: str) -> Path:
        if photo in photos:
            return photos[photo]
        if source.options.need_pictures:
            raise RowError(
                f"found no picture {shown(name)}, expected {tree_path(photo)} below {tree.name}."
            )
        return tree / tree_path(photo)

    return locate


def tree_path(photo: PhotoName) -> str:
    """Where the download has a photograph."""
    gender, category, identity, garment, number, side = photo
    return f"{gender}/{category}/id_{identity}/{garment}_{number}_{side}.jpg"


def _arranged(row: ViewRow, folder: Path | None) -> ViewRow:
    """Place a picture in folder/SPLIT_highres under its protocol name, as a link if possible."""
    photo = parse_name(row.image.as_posix())
    if folder is None or photo is None:
        return row
    place = folder / f"{row.split}_highres" / photo.protocol_name
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            with suppress(OSError):
                os.link(row.image, place)
        if not place.exists():
            shutil.copyfile(row.image, place)
    except OSError as error:
        raise DataError(
            f"cannot write {place}: {error.strerror}. Choose a writable folder with --arrange."
        ) from None
    return replace(row, image=place)
