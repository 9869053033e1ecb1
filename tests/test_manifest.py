import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from jcdm.manifest import code_identity, package_versions, run_manifest, write_manifest


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
