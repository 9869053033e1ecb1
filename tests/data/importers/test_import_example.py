"""The examples of the guide run as they stand."""

import re
from pathlib import Path

import pytest

from jcdm.data.importers.base import Ledger, Source
from jcdm.errors import DataError

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "adding-a-data-format.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_script_writes_an_index(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(EXAMPLES[0], {})
    assert (tmp_path / "people" / "index.json").is_file()


def test_the_importer_reads_its_list(root, draw):
    names: dict = {}
    exec(EXAMPLES[1], names)
    draw(root / "photos" / "a.png")
    (root / "people.txt").write_text("anna a.png\n")
    (row,) = names["read"](Source(root=root, ledger=Ledger(root=root)))
    assert (row.where, row.subject) == ("people.txt:1", "anna")
    (root / "people.txt").write_text("anna a.png\nbo\n")
    with pytest.raises(DataError, match=r"people\.txt:2: found 'bo'"):
        names["read"](Source(root=root, ledger=Ledger(root=root)))
    ledger = Ledger(root=root, on_bad="skip")
    assert len(names["read"](Source(root=root, ledger=ledger))) == 1
    assert ledger.skipped[0][0] == "people.txt:2"
