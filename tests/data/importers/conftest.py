"""Trees to import, and a short way to import them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from jcdm.data.importers.base import Options
from jcdm.data.importers.run import Imported, import_data
from jcdm.data.index import read_index
from jcdm.records import SubjectRecord


class Result(NamedTuple):
    imported: Imported
    records: dict[str, SubjectRecord]
    generator: dict[str, Any]


ImportTree = Callable[..., Result]


@pytest.fixture
def import_tree(tmp_path: Path) -> ImportTree:
    """Import a format from a root; keyword arguments are on_bad, min_views and Options' fields."""

    def run(data_format: str, root: Path, **chosen: Any) -> Result:
        own = {key: chosen.pop(key) for key in ("on_bad", "min_views") if key in chosen}
        out = tmp_path / "out" / "index.json"
        imported = import_data(data_format, root, out, options=Options(**chosen), **own)
        records = {f"{r.split}/{r.subject}": r for r in read_index(out)}
        return Result(imported, records, json.loads(out.read_text())["generator"])

    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder to import."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def draw(path: Path, size: tuple[int, int] = (11, 8)) -> Path:
    """Write a grey picture of size (H, W)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], "grey").save(path)
    return path


@pytest.fixture(name="draw")
def _draw() -> Callable[..., Path]:
    return draw
