"""A script starts again in the project's environment only where packages are missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from jcdm.cli import environment


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    words: list[list[str]] = []
    monkeypatch.setattr(environment.os, "execvp", lambda file, rest: words.append(rest))
    monkeypatch.delenv("JCDM_PYTHON", raising=False)
    return words


def test_nothing_starts_where_torch_is(started: list[list[str]]) -> None:
    environment.use_environment("script.py")
    assert started == []


def test_nothing_starts_where_an_interpreter_is_named(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    monkeypatch.setenv("JCDM_PYTHON", sys.executable)
    environment.use_environment("script.py")
    assert started == []


def test_the_script_runs_in_the_environment_with_its_options_and_folder(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project, elsewhere = tmp_path / "a project", tmp_path / "elsewhere"
    (project / "scripts").mkdir(parents=True)
    elsewhere.mkdir()
    (project / "scripts" / "env.sh").write_text(f'JCDM_PYTHON="{sys.executable}"\n')
    script = project / "script.py"
    script.write_text("import os, sys\nprint(os.getcwd(), sys.argv[1:])\n")
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", [str(script), "--a=b c", "*"])
    monkeypatch.chdir(elsewhere)
    environment.use_environment(str(script))
    done = subprocess.run(started[0], capture_output=True, text=True)
    assert done.stdout.strip() == f"{elsewhere} ['--a=b c', '*']", done.stderr
