import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from training_world import make_trained_world, tiny_config

from jcdm.cli.main import main
from jcdm.config import Config
from jcdm.data.index import read_index
from jcdm.doctor import devices, disk, packages
from jcdm.doctor.environment import find_python
from jcdm.doctor.examine import examine, guess_stage
from jcdm.doctor.finding import Finding
from jcdm.doctor.packages import required_ranges, within
from jcdm.doctor.weights import SHIPPED, find_shipped
from jcdm.plain import to_yaml
from jcdm.training.run import run_training

CONFIGS = SHIPPED.parents[1] / "configs"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_trained_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def copy(world: Path, tmp_path: Path) -> Path:
    """A copy of the world, to be damaged, beside the configuration of a denoiser run."""
    shutil.copytree(world, tmp_path / "world")
    write(tmp_path / "run.yaml", tiny_config(tmp_path / "world", tmp_path / "out", "denoiser"))
    return tmp_path


def write(file: Path, config: Config) -> None:
    file.write_text(to_yaml(config, file.parent), encoding="utf-8")


def found(folder: Path, about: str) -> Finding:
    return next(f for f in examine(folder / "run.yaml") if f.about == about)


def test_a_whole_computer_needs_nothing(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = copy / "found.json"
    assert main(["doctor", "--config", str(copy / "run.yaml"), "--json", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    content = json.loads(out.read_text())
    assert (content["format"], content["version"]) == ("jcdm-doctor", 1)
    assert len(content["findings"]) == len(printed)
    states = {finding["about"]: finding["state"] for finding in content["findings"]}
    for about in ("python", "packages", "cpu", "memory", "accelerate", "temporary files"):
        assert states[about] == "ok", about
    for about in ("shipped weights", "configuration", "encoders.vae", "data.index", "space"):
        assert states[about] == "ok", about
    assert set(states.values()) <= {"ok", "note"}
    assert not (copy / "out").exists(), "looking makes nothing"


def test_every_line_says_its_state_and_the_exit_code_what_is_missing(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(copy / "world" / "vae")
    assert main(["doctor", "--config", str(copy / "run.yaml")]) == 1
    captured = capsys.readouterr()
    assert all(line.split()[0] in ("ok", "note", "missing") for line in captured.out.splitlines())
    assert captured.err.startswith("jcdm: 1 of ") and captured.err.count("\n") == 1
    line = next(line for line in captured.out.splitlines() if line.startswith("missing"))
    assert "encoders.vae" in line and "stabilityai/sd-vae-ft-mse" in line


@pytest.mark.parametrize(
    ("about", "damage"),
    [
        ("encoders.image_encoder", "cut"),
        ("encoders.vae", "empty"),
        ("prior.weights", "no config"),
        ("data.index", "remove"),
        ("data.index", "nonsense"),
        ("data.split", "other split"),
        ("pictures", "remove"),
        ("pictures", "nonsense"),
        ("run.out", "no folder"),
        ("configuration", "unknown key"),
        ("configuration", "remove"),
    ],
)
def test_each_damage_is_named(copy: Path, about: str, damage: str) -> None:
    if damage != "other split":  # all else was fine before
        assert all(finding.state != "missing" for finding in examine(copy / "run.yaml"))
    for _ in damaged(copy, about, damage):
        assert found(copy, about).state == "missing"


def damaged(folder: Path, about: str, damage: str) -> Iterator[None]:
    """Do a damage to the world or to the configuration."""
    world, config = folder / "world", folder / "run.yaml"
    victims = {
        "encoders.image_encoder": world / "clip" / "model.safetensors",
        "encoders.vae": world / "vae" / "diffusion_pytorch_model.safetensors",
        "prior.weights": world / "prior" / "config.json",
        "data.index": world / "people" / "index.json",
        "configuration": config,
        "run.out": folder / "out",
    }
    if about == "pictures":
        victims[about] = sorted(
            v.image for r in read_index(victims["data.index"]) for v in r.views
        )[0]
    victim = victims.get(about, config)
    if damage in ("remove", "no config"):
        victim.unlink()
    elif damage == "cut":
        victim.write_bytes(victim.read_bytes()[:-1])
    elif damage == "empty":
        victim.write_bytes(b"")
    elif damage in ("nonsense", "no folder"):
        victim.write_text("nonsense")
    elif damage == "unknown key":
        victim.write_text(config.read_text() + "wrong: 1\n")
    else:
        victim.write_text(config.read_text().replace("split: train", "split: nobody"))
    yield


def test_an_index_of_drawn_people_need_not_be_there(copy: Path) -> None:
    text = (copy / "run.yaml").read_text()
    (copy / "run.yaml").write_text(text.replace("num_identities: 0", "num_identities: 9"))
    (copy / "world" / "people" / "index.json").unlink()
    finding = found(copy, "data.index")
    assert finding.state == "note" and "9 people will be drawn" in finding.line


def test_a_problem_that_stops_no_run_is_a_note(copy: Path) -> None:
    index = copy / "world" / "people" / "index.json"
    content = json.loads(index.read_text())
    content["subjects"][0]["views"][0]["keypoints"][0] = [7.0, 7.0]
    content["subjects"][0]["views"][0]["keypoint_valid"][0] = True
    index.write_text(json.dumps(content))
    finding = found(copy, "data.index")
    assert finding.state == "note" and "outside [0, 1]" in finding.line
    del content["subjects"][1]["split"]
    index.write_text(json.dumps(content))
    finding = found(copy, "data.index")
    assert finding.state == "missing" and "'split' is missing" in finding.line


def test_an_environment_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JCDM_DATA", raising=False)
    findings = list(examine(CONFIGS / "deepfashion" / "stage1_prior.yaml"))
    lines = [finding.line for finding in findings if finding.state == "missing"]
    assert len(lines) >= 2 and sum("JCDM_DATA" in line for line in lines) >= 2


def test_a_cache_that_lacks_a_file_or_a_photograph(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (copy / "run.yaml").read_text().replace("random_crop: true", "random_crop: false")
    (copy / "run.yaml").write_text(text)
    words = ["--config", str(copy / "run.yaml"), f"--encoders.cache={copy / 'cache'}"]
    assert main(["cache", *words]) == 0
    assert json.loads((copy / "cache" / "manifest.json").read_text())["weights"].keys() == {
        "vae",
        "image_encoder",
    }
    capsys.readouterr()
    (copy / "run.yaml").write_text(text.replace("cache: null", "cache: cache"))
    assert found(copy, "encoders.cache").state == "ok"
    index = copy / "world" / "people" / "index.json"
    content = json.loads(index.read_text())
    view = content["subjects"][0]["views"][0]
    Image.new("RGB", (64, 64)).save(index.parent / "new.png")
    content["subjects"][0]["views"].append({**view, "image": "new.png"})
    index.write_text(json.dumps(content))
    finding = found(copy, "encoders.cache")
    assert finding.state == "missing" and "new.png" in finding.line
    next((copy / "cache").glob("shard_*")).unlink()
    assert "shard_00000.safetensors is missing" in found(copy, "encoders.cache").line
    (copy / "cache" / "cache.json").write_text("{")
    assert found(copy, "encoders.cache").state == "missing"
    (copy / "run.yaml").write_text(text.replace("cache: null", "cache: s3://bucket/cache"))
    assert found(copy, "encoders.cache").state == "note", "no network is used"


def test_space_is_held_against_what_checkpoints_take(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(copy / "world", copy / "out", "denoiser", num_steps=1, validate_every=0)
    counted, _ = disk._checkpoint_size("denoiser", config)
    run_training("denoiser", config)
    real, how = disk._checkpoint_size("denoiser", config)
    assert "newest" in how and counted == pytest.approx(real, rel=0.25)
    usage = shutil.disk_usage(copy)._replace(free=1000)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage)
    assert found(copy, "space").state == "missing"
    assert found(copy, "temporary files").state == "note"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_written(copy: Path) -> None:
    (copy / "out").mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    assert found(copy, "run.out").state == "missing"


def test_shipped_weights_are_compared_byte_by_byte(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "tiny")
    assert find_shipped(tmp_path / "tiny").state == "ok"
    victim = tmp_path / "tiny" / "prior" / "diffusion_pytorch_model.safetensors"
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    finding = find_shipped(tmp_path / "tiny")
    assert finding.state == "missing" and victim.name in finding.line
    victim.unlink()
    assert "is missing" in find_shipped(tmp_path / "tiny").line
    (tmp_path / "tiny" / "SHA256SUMS").unlink()
    assert find_shipped(tmp_path / "tiny").state == "missing"
    assert find_shipped(tmp_path / "absent").state == "note"


def test_an_old_python_and_an_absent_or_old_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_python((3, 10, 9)).state == "missing" and find_python((3, 12, 0)).state == "ok"
    versions = {"torch": "1.13.1", "numpy": None, "pillow": "12.9"}
    real = packages.installed
    monkeypatch.setattr(packages, "installed", lambda name: versions.get(name, real(name)))
    lines = {f.line.split()[0]: f for f in packages.find_packages()}
    assert lines["torch"].state == "missing" and "expected >=2.6,<3" in lines["torch"].line
    monkeypatch.setattr(packages, "installed", lambda name: None if name == "numpy" else "0.1")
    lines = {f.line.split()[0]: f for f in packages.find_packages()}
    assert "numpy is not installed" in lines["numpy"].line
    monkeypatch.undo()
    monkeypatch.setattr(packages, "installed", lambda n: "12.9" if n == "pillow" else real(n))
    notes = [f.line for f in packages.find_packages() if f.state == "note"]
    assert len(notes) == 1 and "pillow 12.9 (tested" in notes[0]


@pytest.mark.parametrize(
    ("version", "limits", "expected"),
    [
        ("2.13.0+cpu", ">=2.6,<3", True),
        ("3.0", ">=2.6,<3", False),
        ("2.10", ">=2.9", True),
        ("2", ">=2.0", True),
        ("1.17.1", ">=1.14, <1.18", True),
        ("1.18.0", ">=1.14,<1.18", False),
        ("5", "", True),
    ],
)
def test_ranges(version: str, limits: str, expected: bool) -> None:
    assert within(version, limits) is expected


def test_ranges_and_tested_versions_are_read() -> None:
    ranges, tested = required_ranges(), packages.tested_versions()
    assert ranges["torch"] == ">=2.6,<3" and len(ranges) > 15
    assert tested["jsonargparse"][0].isdigit() and set(ranges) <= set(tested)
    assert all(within(tested[name], limits) for name, limits in ranges.items())


def test_a_card_without_a_build_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(devices.torch.version, "cuda", None)
    monkeypatch.setattr(devices.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    assert "is a CPU build" in next(iter(devices.find_cards())).line
    monkeypatch.setattr(devices.shutil, "which", lambda _: None)
    assert "everything runs on the CPU" in next(iter(devices.find_cards())).line


@pytest.mark.parametrize("kind", ["prior", "denoiser", "motion"])
def test_the_stage_is_told_by_the_keys(world: Path, tmp_path: Path, kind: str) -> None:
    assert guess_stage(tiny_config(world, tmp_path, kind)) == kind
