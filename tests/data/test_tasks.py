"""Test tasks name views of one subject, are alike each time, and say when they are look-alikes."""

import json
from pathlib import Path

import pytest

from jcdm.cli.main import main
from jcdm.data.synthetic import write_dataset
from jcdm.data.tasks import write_tasks
from jcdm.errors import DataError


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tasks") / "people"
    write_dataset(out, num_identities=4, seed=1, size=(32, 24), num_views=4, test_fraction=0.5)
    index = out / "imported.json"
    words = ["data", "import", "--format", "cfld", "--root", str(out), "--out", str(index)]
    assert main(words) == 0
    return index


def test_the_imported_pairs_become_the_pair_task(people, tmp_path):
    written, _ = write_tasks(people, tmp_path)
    assert [task.file.name for task in written] == [
        "pair.json",
        "multi-target.json",
        "multi-reference.json",
    ]
    document = json.loads((tmp_path / "pair.json").read_text())
    assert document["num_items"] == len(document["items"]) == 24
    assert str(tmp_path) not in json.dumps(document) and "sha256" in document["rule"]
    several = json.loads((tmp_path / "multi-reference.json").read_text())["items"][0]
    assert len(several["references"]) == 3 and len(several["targets"]) == 1


def test_a_look_alike_list_says_so_and_is_the_same_each_time(people, tmp_path):
    texts = []
    for name in "ab":
        write_tasks(people, tmp_path / name, look_alike=True, max_pairs=10)
        texts.append((tmp_path / name / "pair-look-alike.json").read_text())
    assert texts[0] == texts[1]
    document = json.loads(texts[0])
    assert document["kind"] == "look-alike" and document["num_items"] == 10


def test_a_table_of_another_split_is_refused_by_line(people, tmp_path):
    table = people.parent / "fasion-resize-pairs-train.csv"
    with pytest.raises(DataError, match=r"train\.csv:2: found .* another split"):
        write_tasks(people, tmp_path, pairs=table)
    with pytest.raises(DataError, match="pair table not found"):
        write_tasks(people, tmp_path, pairs=tmp_path / "none.csv")
