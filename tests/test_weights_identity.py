import json
import os
import shutil
from pathlib import Path

import pytest

from jcdm import weights_identity as module
from jcdm.folders import write_folder
from jcdm.weights_identity import file_sha256, identify_all, weights_identity


def fill(folder: Path) -> None:
    (folder / "prior").mkdir(parents=True)
    (folder / "prior" / "a.safetensors").write_bytes(b"a" * 10)
    (folder / "b.bin").write_bytes(b"b" * 5)
    (folder / "config.json").write_text("{}")


def no_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise AssertionError("a checksum that is known was computed")

    monkeypatch.setattr(module, "_computed", refuse)


def test_a_copy_has_the_same_identity_and_a_changed_byte_another(tmp_path: Path) -> None:
    fill(tmp_path / "one")
    first = weights_identity(tmp_path / "one")
    assert first is not None and (first["num_files"], first["size"]) == (2, 15)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (tmp_path / "two" / "README.md").write_text("words are no weights")
    second = weights_identity(tmp_path / "two")
    assert second is not None and second["sha256"] == first["sha256"]
    (tmp_path / "two" / "b.bin").write_bytes(b"bbbbc")
    changed = weights_identity(tmp_path / "two")
    assert changed is not None and changed["sha256"] != first["sha256"]


def test_a_file_is_its_own_checksum_and_nothing_is_none(tmp_path: Path) -> None:
    fill(tmp_path / "one")
    file = tmp_path / "one" / "b.bin"
    identity = weights_identity(file)
    assert identity is not None and identity["sha256"] == file_sha256(file)
    assert weights_identity(tmp_path / "absent") is None
    found = identify_all({"a": file, "b": None, "c": tmp_path / "absent"})
    assert set(found) == {"a", "c"} and found["c"] is None


@pytest.mark.parametrize("place", [".", "prior"])
def test_recorded_checksums_are_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    write_folder(tmp_path / "sealed", fill)
    shutil.copytree(tmp_path / "sealed", tmp_path / "plain")
    (tmp_path / "plain" / "manifest.json").unlink()
    expected = weights_identity(tmp_path / "plain" / place)
    no_hashing(monkeypatch)
    found = weights_identity(tmp_path / "sealed" / place)
    assert found is not None and expected is not None and found["sha256"] == expected["sha256"]


def test_a_file_written_after_its_manifest_is_computed(tmp_path: Path) -> None:
    write_folder(tmp_path / "sealed", fill)
    file = tmp_path / "sealed" / "b.bin"
    before = file_sha256(file)
    file.write_bytes(b"ccccc")
    written = (tmp_path / "sealed" / "manifest.json").stat().st_mtime_ns + 1
    os.utime(file, ns=(written, written))
    assert file_sha256(file) != before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "jcdm-folder", "files": [1]}', "1e"])
def test_a_manifest_that_is_none_is_passed_over(tmp_path: Path, text: str) -> None:
    fill(tmp_path / "one")
    expected = weights_identity(tmp_path / "one")
    (tmp_path / "one" / "manifest.json").write_text(text)
    assert weights_identity(tmp_path / "one") == expected


def test_a_checksum_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "one")
    first = weights_identity(tmp_path / "one")
    monkeypatch.setattr(module.hashlib, "file_digest", None)
    assert weights_identity(tmp_path / "one") == first
    assert json.dumps(first)
