import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from jcdm.manifest import (
    FIELDS,
    PACKAGE,
    code_identity,
    command_words,
    origin,
    package_versions,
    run_manifest,
    working_directory,
    write_manifest,
)


@dataclass(frozen=True)
class Something:
    path: Path = Path("somewhere")
    numbers: tuple[int, ...] = (1, 2)


def test_a_manifest_says_what_a_result_rests_on(tmp_path: Path) -> None:
    manifest = run_manifest(Something(), seed=7, data={"sha256": "abc"}, weights={"a": "b"})
    assert manifest["config"] == {"path": "somewhere", "numbers": [1, 2]}
    assert (manifest["seed"], manifest["data"], manifest["weights"]) == (
        7,
        {"sha256": "abc"},
        {"a": "b"},
    )
    assert manifest["hardware"]["num_threads"] >= 1
    write_manifest(tmp_path / "manifest.json", manifest)
    assert json.loads((tmp_path / "manifest.json").read_text()) == manifest


def test_a_result_has_every_field() -> None:
    facts = origin({}, seed=0, data={}, weights={})
    assert tuple(facts) == FIELDS
    assert facts["code"].keys() == {"commit", "dirty"}
    assert {"processor", "cpu_capability", "num_threads", "gpus", "num_processes"} <= set(
        facts["hardware"]
    )


def test_the_command_is_kept_word_by_word(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["train", "prior", "--run.out=a folder"]
    monkeypatch.setattr(sys, "argv", [str(PACKAGE / "__main__.py"), *typed])
    assert command_words() == ["python", "-m", "jcdm", *typed]
    monkeypatch.setattr(sys, "argv", ["/somewhere/test_stage2_no_motion.py", "--x"])
    assert command_words() == ["python", "test_stage2_no_motion.py", "--x"]
    monkeypatch.setattr(sys, "argv", ["jcdm", "doctor"])
    assert command_words() == ["jcdm", "doctor"]


def test_the_folder_a_run_was_started_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PACKAGE.parent)
    assert working_directory() == "."
    monkeypatch.chdir(tmp_path)
    assert working_directory() == str(tmp_path)


def test_versions_name_absent_packages_too() -> None:
    versions = package_versions()
    assert versions["python"] and versions["torch"] and "jcdm" in versions


def test_commit_and_dirty_flag_of_a_checkout(tmp_path: Path) -> None:
    assert code_identity(tmp_path) == {"commit": None, "dirty": None}
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "a.txt").write_text("a")
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    subprocess.run(["git", *who, "commit", "-q", "-m", "a"], cwd=tmp_path, check=True)
    clean = code_identity(tmp_path)
    assert len(clean["commit"]) == 40 and clean["dirty"] is False
    (tmp_path / "a.txt").write_text("b")
    assert code_identity(tmp_path) == {"commit": clean["commit"], "dirty": True}
