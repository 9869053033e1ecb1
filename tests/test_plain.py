from dataclasses import dataclass
from pathlib import Path

import yaml

from jcdm.plain import to_plain, to_yaml


@dataclass(frozen=True)
class Inner:
    path: Path | None
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    inner: Inner
    name: str = "x"


def test_trees_become_plain_values() -> None:
    assert to_plain(Outer(Inner(Path("a/b")))) == {
        "inner": {"path": "a/b", "sizes": [1, 2]},
        "name": "x",
    }


def test_paths_are_written_relative_to_the_file_s_folder(tmp_path: Path) -> None:
    tree = Outer(Inner(tmp_path / "data" / "index.json"))
    written = yaml.safe_load(to_yaml(tree, tmp_path / "run"))
    assert written["inner"]["path"] == "../data/index.json"


def test_names_of_the_hub_and_missing_paths_stay(tmp_path: Path) -> None:
    assert to_plain(Inner(Path("hub:owner/name")), tmp_path)["path"] == "hub:owner/name"
    assert to_plain(Inner(None), tmp_path)["path"] is None
