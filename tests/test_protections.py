"""Each protection of tests/protections.toml, turned off in a copy: its test must then fail."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import network_guard
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
LIST = REPOSITORY / "tests" / "protections.toml"
PROTECTIONS = tomllib.loads(LIST.read_text(encoding="utf-8"))["protection"]
COPIED = ("jcdm", "tests", "configs", "scripts", "assets", "pyproject.toml")


def named(protection: dict[str, str]) -> str:
    return protection["name"].replace(" ", "_")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    return copy


def run_test(checkout: Path, test: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-B", "-m", "pytest", "-x", "-p", "no:cacheprovider"]
    own = {name: value for name, value in os.environ.items() if name != network_guard.LOG}
    return subprocess.run(
        [*words, "-m", "slow or not slow", test],
        cwd=checkout,
        env=own,  # what it tries where a protection is off is not this session's
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("protection", PROTECTIONS, ids=named)
def test_the_switch_of_a_protection_stands_once_in_its_file(protection: dict[str, str]) -> None:
    text = (REPOSITORY / protection["file"]).read_text(encoding="utf-8")
    assert text.count(protection["find"]) == 1
    assert protection["find"] != protection["replace"]
    assert (REPOSITORY / protection["test"].partition("::")[0]).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("protection", PROTECTIONS, ids=named)
def test_without_a_protection_its_test_fails(checkout: Path, protection: dict[str, str]) -> None:
    file = checkout / protection["file"]
    text = file.read_text(encoding="utf-8")
    passed = run_test(checkout, protection["test"])
    assert passed.returncode == 0, passed.stdout[-3000:]
    file.write_text(text.replace(protection["find"], protection["replace"]), encoding="utf-8")
    try:
        failed = run_test(checkout, protection["test"])
    finally:
        file.write_text(text, encoding="utf-8")
    assert failed.returncode == 1, failed.stdout[-3000:]  # 1: tests ran, and some failed
