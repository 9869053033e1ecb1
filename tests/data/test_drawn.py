"""People are drawn once, where the configuration asks for them, and never over an index."""

from pathlib import Path

import pytest

from jcdm.config import DrawConfig
from jcdm.data.drawn import ensure_index
from jcdm.data.index import read_index
from jcdm.errors import DataError

DRAW = DrawConfig(num_identities=2, num_views=2, test_fraction=0.5, num_sequences=0)


def test_people_are_drawn_once(tmp_path: Path) -> None:
    index = tmp_path / "people" / "index.json"
    ensure_index(index, DRAW, size=(32, 24))
    assert sorted(record.split for record in read_index(index)) == ["test", "train"]
    written = index.stat().st_mtime_ns
    ensure_index(index, DRAW, size=(32, 24))
    assert index.stat().st_mtime_ns == written


def test_a_missing_index_of_photographs_is_never_replaced_by_drawings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not found\. Import your data"):
        ensure_index(tmp_path / "index.json", DrawConfig(num_identities=0), size=(32, 24))
    assert list(tmp_path.iterdir()) == []
