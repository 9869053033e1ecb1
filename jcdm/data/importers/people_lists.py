"""JSON lists whose entries are people: the pictures of one person in one outfit each."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from jcdm.data.importers.base import RowError, Source
from jcdm.data.importers.paths import safe_name
from jcdm.data.importers.photo_names import parse_name
from jcdm.data.importers.text import Entry, read_array, read_text, shown
from jcdm.errors import DataError

Names = list[str]
_TEST = re.compile(r"(?:^|[^a-z])(?:test|val|eval)(?:[^a-z]|$)", re.IGNORECASE)


def split_of(path: Path) -> str:
    """The split a list is for: test when its name has the word test, val or eval."""
    return "test" if _TEST.search(path.stem) else "train"


def find_lists(source: Source) -> list[tuple[Path, list[Entry]]]:
    """Every JSON array of the root with its entries; DataError when there is none.

    A file that begins with an object is no list (an index, say) and is left out, which is noted.
    """
    paths = []
    for path in sorted(source.root.glob("*.json")):
        if read_text(path).lstrip().startswith("{"):
            source.ledger.note(f"{path.name} is no list: left out")
        else:
            paths.append(path)
    if not paths:
        raise DataError(f"{source.root}: found no list, expected a .json file. Check --root.")
    return [(path, read_array(path, source.root)) for path in paths]


def name_person(names: Names) -> tuple[str, list[dict[str, object]]]:
    """Name of a person and tags of the pictures; RowError when they show several people.

    DeepFashion names say who it is; of other names the first one, without its suffix, stands for
    the person.
    """
    photos = [parse_name(name) for name in names]
    found = [photo for photo in photos if photo is not None]
    if len(found) < len(names):
        first = PurePosixPath(sorted(names)[0])
        return str(first.with_suffix("")).replace("/", "_"), [{} for _ in names]
    if len(subjects := sorted({photo.subject for photo in found})) > 1:
        raise RowError(f"found {subjects[0]} with {subjects[1]}, expected one person in an entry.")
    return found[0].subject, [photo.tags() for photo in found]


def check_names(values: Sequence[object], strip_prefix: str) -> Names:
    """Names of an entry in order, each once. RowError when there is none or one is wrong."""
    names = list(dict.fromkeys(safe_name(value, strip_prefix) for value in values))
    if not names:
        raise RowError(f"found {shown(list(values))}, expected pictures of one person.")
    return names
