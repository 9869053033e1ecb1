import json
import random
import shlex
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from training_world import make_trained_world, tiny_config

from jcdm.cli.main import main
from jcdm.logs import read_metrics
from jcdm.reproduce import differences
from jcdm.training.run import run_training

COMMIT = "a" * 40


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training of the prior."""
    world = make_trained_world(tmp_path_factory.mktemp("world"))
    out = tmp_path_factory.mktemp("runs") / "first"
    run_training("prior", tiny_config(world, out, "prior", num_steps=2, validate_every=0))
    return out


@pytest.fixture
def recorded(run: Path, tmp_path: Path) -> dict[str, Any]:
    """Its manifest, to be changed by a test."""
    return json.loads((run / "manifest.json").read_text())


def printed(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    assert main(["reproduce", *map(str, words)]) == 0
    return capsys.readouterr().out


def command(text: str) -> list[str]:
    """The words after `python -m jcdm` of the command that was printed."""
    line = next(line for line in text.splitlines() if line.startswith("    python -m jcdm"))
    return shlex.split(line)[3:]


def changed(file: Path, manifest: dict[str, Any], **sections: Any) -> Path:
    content = {
        name: {**manifest[name], **sections[name]} if isinstance(sections.get(name), dict) else old
        for name, old in {**manifest, **sections}.items()
    }
    file.write_text(json.dumps(content))
    return file


def losses(out: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(out / "metrics.jsonl")]


@pytest.mark.parametrize("way", ["its own configuration", "a written one"])
def test_the_printed_command_repeats_a_training_bit_by_bit(
    run: Path, tmp_path: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write = ["--write", tmp_path / "again.yaml"] if way == "a written one" else []
    text = printed(capsys, run, "--out", tmp_path / "second", *write)
    words = command(text)
    named = tmp_path / "again.yaml" if write else run / "config.yaml"
    assert words[:4] == ["train", "prior", "--config", str(named)]
    assert main(words) == 0
    assert losses(tmp_path / "second") == losses(run)
    first, second = (
        json.loads((out / "manifest.json").read_text()) for out in (run, tmp_path / "second")
    )
    assert first["final"]["sha256"] == second["final"]["sha256"]
    assert first["weights"] == second["weights"] and first["data"] == second["data"]


def test_nothing_differs_on_the_same_computer(
    run: Path, recorded: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = changed(tmp_path / "manifest.json", recorded, code={"dirty": False})
    text = printed(capsys, file, "--strict", "true")
    assert "bit-equal numbers are to be expected." in text and " -> " not in text
    for name in ("torch", "processor", "data", "encoders.image_encoder", "final weights"):
        assert name in text.split("the same:")[1]


@pytest.mark.parametrize(
    ("section", "values", "line", "expectation"),
    [
        ("versions", {"torch": "1.0"}, "torch", "last digits"),
        ("hardware", {"processor": "another one"}, "processor", "last digits"),
        ("hardware", {"gpus": ["a card"]}, "gpus", "last digits"),
        ("data", {"sha256": "0" * 64}, "data", "other numbers"),
        ("weights", {"encoders.image_encoder": {"path": "/x", "sha256": "0"}}, "/x is m", "other"),
        ("code", {"dirty": True}, "changed files", "other numbers"),
        ("code", {"commit": COMMIT, "dirty": False}, "git fetch", "bit-equal"),
        ("versions", {"jcdm": "9.9"}, "9.9 ->", "bit-equal numbers are"),
    ],
)
def test_what_differs_is_named_and_what_it_does(
    recorded: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    section: str,
    values: dict[str, Any],
    line: str,
    expectation: str,
) -> None:
    clean = {"code": {"dirty": False}} | {section: values}
    file = changed(tmp_path / "manifest.json", recorded, **clean)
    text = printed(capsys, file)
    assert any(line in found for found in text.splitlines() if " -> " in found)
    assert expectation in text.split("Expectation:")[1]
    assert main(["reproduce", str(file), "--strict=true"]) == 1
    error = capsys.readouterr().err
    assert "differences, listed above" in error and error.count("\n") == 1


def test_a_run_made_by_two_computers_says_so(
    recorded: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = {**recorded, "code": {**recorded["code"], "dirty": False}}
    start = {name: clean[name] for name in ("code", "versions", "hardware")}
    file = changed(tmp_path / "manifest.json", clean, earlier=[start, start])
    assert "bit-equal numbers are to be expected" in printed(capsys, file)
    other = {**start, "hardware": {**start["hardware"], "processor": "another one"}}
    file = changed(tmp_path / "manifest.json", clean, earlier=[start, other])
    assert "1 earlier starts of it were made otherwise" in printed(capsys, file)


def test_a_changed_final_folder_is_named(
    recorded: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = changed(tmp_path / "manifest.json", recorded, final={"sha256": "f" * 64})
    assert "final weights" in printed(capsys, file).split("the same:")[0]


def test_several_processes_and_engines_are_launched_as_then(
    run: Path, recorded: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    file = changed(
        tmp_path / "manifest.json",
        recorded,
        code={"dirty": False},
        hardware={"num_processes": 4},
        engine="fsdp",
    )
    text = printed(capsys, file, "--write", tmp_path / "new.yaml")
    assert "NUM_PROCESSES=4 ACCELERATE_CONFIG=fsdp sh scripts/launch.sh train prior" in text
    assert "engine fsdp" in text


def test_a_result_is_repeated_by_the_command_typed_then(
    recorded: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ["python", "-m", "jcdm", "evaluate", "pipeline", "--out", "a b", "--task", "t.json"]
    facts = {name: value for name, value in recorded.items() if name not in ("stage", "engine")}
    facts |= {"command": typed, "code": {"commit": COMMIT, "dirty": False}}
    places = {"manifest.json": facts, "report.json": {"manifest": facts}, "row.json": {}}
    places["row.json"] = {"provenance": facts}
    for name, content in places.items():
        (tmp_path / name).write_text(json.dumps(content))
        text = printed(capsys, tmp_path / name, "--out", "new")
        assert f"    git checkout {COMMIT}" in text
        assert command(text) == [*typed[3:], "--out=new"]
    assert main(["reproduce", str(tmp_path / "row.json"), "--write", "x.yaml"]) == 1
    assert "is of another run" in capsys.readouterr().err


def test_the_shipped_weights_tell_how_they_were_trained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed(capsys, "assets/tiny")
    assert command(text)[:2] == ["train", "motion"]


@pytest.mark.parametrize("commit", ["--force", "HEAD; touch x", "", 5, ["a"]])
def test_what_is_no_commit_reaches_no_command(
    recorded: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], commit: Any
) -> None:
    file = changed(tmp_path / "manifest.json", recorded, code={"commit": commit})
    assert "git checkout" not in printed(capsys, file).split("Then and now")[0]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "nonsense", "null", "[" * 100_000, '{"manifest": {"code": {}}}'),
        *('{"code": 1}', '{"code": {}, "versions": []}', '{"code": {}, "versions": {}}'),
        *('{"code": {}, "versions": {}, "command": ["\\u0000"]}', '{"code": "\\ud800"}'),
    ],
)
def test_a_damaged_or_foreign_file_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "manifest.json").write_text(text)
    for place in (tmp_path, tmp_path / "manifest.json"):
        assert main(["reproduce", str(place)]) == 1
        error = capsys.readouterr().err
        assert error.startswith("jcdm: ") and error.count("\n") == 1
        assert str(tmp_path) in error


def test_what_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in (tmp_path, tmp_path / "absent.json"):
        assert main(["reproduce", str(place)]) == 1
        assert capsys.readouterr().err.count("\n") == 1


JUNK = (
    None,
    True,
    -1,
    1e300,
    "",
    "../x",
    "-x",
    "a\nb",
    [],
    ["a"],
    {},
    {"path": 3},
    {"a": {"b": None}},
)


def mutate(tree: Any, draw: random.Random) -> Any:
    """Replace one value somewhere in a tree by one of another kind."""
    if isinstance(tree, dict) and tree and draw.random() < 0.85:
        key = draw.choice(sorted(tree))
        return {**tree, key: mutate(tree[key], draw)}
    return draw.choice(JUNK)


@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_manifest_ends_in_a_traceback(
    recorded: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    count: int,
) -> None:
    for name in ("code_identity", "package_versions", "has_commit"):  # the slow ones, once
        monkeypatch.setattr(differences, name, lru_cache(getattr(differences, name)))
    draw, codes = random.Random(0), Counter[int]()
    for _ in range(count):
        (tmp_path / "manifest.json").write_text(json.dumps(mutate(recorded, draw)))
        code = main(["reproduce", str(tmp_path / "manifest.json")])
        captured = capsys.readouterr()
        assert code in (0, 1) and captured.err.count("\n") == code, captured.err
        codes[code] += 1
    assert codes[0] and codes[1]
    found = f"{count:,} manifests: {codes[0]:,} read, {codes[1]:,} refused in one line, 0 uncaught"
    record_property("figure", found)
    print(f"figure: {found}")
