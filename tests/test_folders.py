"""Folders that appear whole or not at all: order of writing, leftovers, manifests of strangers."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from jcdm import folders
from jcdm.errors import CheckpointError
from jcdm.folders import MANIFEST, remove_folder, remove_leftovers, verify_folder, write_folder


def fill(folder: Path) -> None:
    (folder / "part").mkdir()
    (folder / "part" / "a.txt").write_text("a")
    (folder / "b.txt").write_text("b")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_folder(tmp_path / "whole", fill)
    return tmp_path / "whole"


def test_all_is_synced_the_manifest_last_before_the_name_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, rename = folders._sync, os.rename

    def note_sync(path: Path) -> None:
        done.append(f"sync {path.name}")
        sync(path)

    def note_rename(source: Path, target: Path) -> None:
        done.append(f"name {Path(target).name}")
        rename(source, target)

    monkeypatch.setattr(folders, "_sync", note_sync)
    monkeypatch.setattr(os, "rename", note_rename)
    write_folder(tmp_path / "whole", fill)
    partial = f".whole.partial-{os.getpid()}"
    assert done == [
        *("sync b.txt", "sync a.txt", f"sync {MANIFEST}", "sync part", f"sync {partial}"),
        *("name whole", f"sync {tmp_path.name}"),
    ]


def test_a_folder_is_replaced_only_by_one_that_is_ready(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two renames a killed process leaves neither: the older one is put back."""
    rename = os.rename

    def stop_at_second(source: Path, target: Path) -> None:
        if Path(target) == written:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "rename", stop_at_second)
    monkeypatch.setattr(folders, "remove_leftovers", lambda *_: None)  # killed: no cleaning up
    with pytest.raises(KeyboardInterrupt):
        write_folder(written, lambda folder: (folder / "new.txt").write_text("new") and None)
    monkeypatch.undo()
    assert not written.exists()
    remove_leftovers(written.parent)
    verify_folder(written)
    assert (written / "b.txt").read_text() == "b"
    assert os.listdir(written.parent) == ["whole"]


def test_leftovers_of_a_process_of_the_same_number_are_no_hindrance(written: Path) -> None:
    """Containers give the process that is started again the number of the killed one."""
    for kind in ("partial", "removed", "replaced"):
        left = written.with_name(f".whole.{kind}-{os.getpid()}")
        left.mkdir()
        (left / "half.txt").write_text("half")
    write_folder(written, fill)
    verify_folder(written)
    assert os.listdir(written.parent) == ["whole"]
    left = written.with_name(f".whole.removed-{os.getpid()}")
    left.mkdir()
    (left / "half.txt").write_text("half")
    remove_folder(written)
    assert os.listdir(written.parent) == []


def test_a_failed_replacement_puts_the_older_folder_back(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def refuse_new(source: Path, target: Path) -> None:
        if Path(target) == written and "partial" in Path(source).name:
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse_new)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write_folder(written, lambda folder: (folder / "new.txt").write_text("new") and None)
    verify_folder(written)
    assert os.listdir(written.parent) == ["whole"]


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a manifest, and write it as it would be written."""
    manifest = json.loads((folder / MANIFEST).read_text())
    changed = change(manifest)
    text = folders._manifest_text(manifest if changed is None else changed)
    (folder / MANIFEST).write_text(text)


FACTS = {"size": 1, "sha256": "0" * 64}
HOSTILE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no mapping": lambda m: [m],
    "another format": lambda m: m | {"format": "other"},
    "another version": lambda m: m | {"version": 2},
    "files missing": lambda m: {k: v for k, v in m.items() if k != "files"},
    "files a list": lambda m: m | {"files": list(m["files"])},
    "files null": lambda m: m | {"files": None},
    "files empty": lambda m: m | {"files": {}},
    "facts a number": lambda m: m | {"files": dict.fromkeys(m["files"], 1)},
    "facts without a hash": lambda m: m | {"files": {name: {"size": 1} for name in m["files"]}},
    "size a word": lambda m: m["files"]["b.txt"].update(size="1"),
    "hash null": lambda m: m["files"]["b.txt"].update(sha256=None),
    "a name above": lambda m: m["files"].update({"../secret.txt": FACTS}),
    "a name inside and out": lambda m: m["files"].update({"part/../../secret.txt": FACTS}),
    "an absolute name": lambda m: m["files"].update({"/etc/hostname": FACTS}),
    "an empty name": lambda m: m["files"].update({"": FACTS}),
    "a name with a null byte": lambda m: m["files"].update({"a\0b": FACTS}),
    "a very long name": lambda m: m["files"].update({"x" * 5000: FACTS}),
    "a folder's name": lambda m: m["files"].update({"part": FACTS}),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_manifest_of_a_stranger_is_refused_in_one_line(
    written: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    (written.parent / "secret.txt").write_text("s")
    edit(written, change)
    with pytest.raises(CheckpointError) as found:
        verify_folder(written)
    assert "\n" not in str(found.value) and str(written) in str(found.value)


@pytest.mark.parametrize("text", ["", "{", "null", "[" * 100_000, "\xff\xfe", '{"a": 1e999}'])
def test_a_manifest_that_is_none_is_refused_in_one_line(written: Path, text: str) -> None:
    (written / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError) as found:
        verify_folder(written)
    assert "\n" not in str(found.value)


def test_a_name_outside_of_the_folder_is_called_so(written: Path) -> None:
    edit(written, HOSTILE["a name above"])
    with pytest.raises(CheckpointError, match=r"names '\.\./secret\.txt', which is outside"):
        verify_folder(written)


def test_a_file_that_no_manifest_names_is_damage_unless_people_may_add_some(written: Path) -> None:
    (written / "README.md").write_text("Read me.")
    with pytest.raises(CheckpointError, match=r"holds README\.md, which its manifest"):
        verify_folder(written)
    verify_folder(written, is_passed_on=True)
    (written / "part" / "more.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"holds part/more\.safetensors"):
        verify_folder(written, is_passed_on=True)


def test_a_library_that_cannot_write_is_a_full_disk_too(tmp_path: Path) -> None:
    """safetensors reports what a disk refuses by an error of its own."""

    def fill(folder: Path) -> None:
        save_file({"a": torch.zeros(1)}, folder / "not there" / "a.safetensors")

    with pytest.raises(CheckpointError, match=r"cannot write .*: .*No such file"):
        write_folder(tmp_path / "new", fill)
    assert list(tmp_path.iterdir()) == []
