"""`checkpoint list|verify|prune` as they are typed, on runs of a toy stage."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jcdm.cli.main import main
from jcdm.folders import MANIFEST
from jcdm.training.checkpoint_folders import list_checkpoints

sys.path.append(str(Path(__file__).resolve().parents[1] / "training"))


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six checkpoints whose validation loss is lowest at step 2."""
    from toy import new_trainer, toy_batches, toy_config

    from jcdm.training.loop import Watch

    out = tmp_path_factory.mktemp("run")
    trainer = new_trainer(toy_config(out, num_steps=6, checkpoint_every=1, keep_checkpoints=9))
    watch = Watch(every=1, look=lambda step: {"validation_loss": 1.0 + abs(step - 2)})
    trainer.run(toy_batches(2), run=out, watches=[watch])
    return out


@pytest.fixture
def run(scored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scored, tmp_path / "run"))


def damage(run: Path, step: int) -> Path:
    file = run / "checkpoints" / f"step_{step:07d}" / "ema.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    return file.parent


def steps(run: Path) -> list[int]:
    return [step for step, _ in list_checkpoints(run)]


def test_list_says_what_every_checkpoint_is(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = damage(run, 6)
    assert main(["checkpoint", "list", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["step", "MB", "saved", "validation", "loss"]
    assert [line.split()[0] for line in lines[1:]] == list("123456")
    assert "1.000000  whole, best" in lines[2] and "4.000000  whole, resume" in lines[5]
    assert f"{broken} is damaged: ema.safetensors has" in lines[6] and "whole" not in lines[6]
    assert "+00:00" in lines[1] and "0.0 " in lines[1]


@pytest.mark.parametrize("below", ["", "checkpoints", "checkpoints/step_0000003"])
def test_verify_reads_a_run_a_folder_of_checkpoints_or_one(
    run: Path, capsys: pytest.CaptureFixture[str], below: str
) -> None:
    assert main(["checkpoint", "verify", str(run / below)]) == 0
    assert f"{1 if 'step' in below else 6} folders in" in capsys.readouterr().out


def test_verify_names_every_damaged_one_in_a_line(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = [damage(run, step) for step in (2, 5)]
    assert main(["checkpoint", "verify", str(run)]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("jcdm: 2 of 6 folders in") and printed.err.count("\n") == 1
    lines = printed.out.splitlines()
    assert len(lines) == 2 and all(str(f) in line for f, line in zip(broken, lines, strict=True))


def test_verify_reads_final_too(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from jcdm.folders import write_folder

    def fill(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"weights")

    write_folder(run / "final", fill)
    (run / "final" / "README.md").write_text("What this is.")
    assert main(["checkpoint", "verify", str(run)]) == 0
    assert "7 folders" in capsys.readouterr().out
    (run / "final" / "model.safetensors").write_bytes(b"weighty")
    assert main(["checkpoint", "verify", str(run)]) == 1
    assert "final is damaged: model.safetensors" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ([], [2, 4, 5, 6]),
        (["--keep", "1"], [2, 6]),
        (["--keep", "1", "--keep_best", "0"], [6]),
        (["--keep", "2", "--keep_best", "3"], [1, 2, 3, 5, 6]),
        (["--keep", "1", "--dry_run"], [1, 2, 3, 4, 5, 6]),
    ],
)
def test_prune_keeps_the_last_and_the_best(run: Path, options: list[str], left: list[int]) -> None:
    assert main(["checkpoint", "prune", str(run), *options]) == 0
    assert steps(run) == left


def test_prune_says_what_it_would_remove(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "prune", str(run), "--keep", "4", "--dry_run"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first == f"would remove {run / 'checkpoints' / 'step_0000001'}"
    assert last.startswith("1 of 6 checkpoints, ")


def test_prune_removes_damaged_ones_only_when_told_to(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in (2, 4, 6):
        damage(run, step)
    assert main(["checkpoint", "prune", str(run), "--keep", "1", "--keep_best", "0"]) == 0
    assert steps(run) == [2, 4, 5, 6], "the newest whole one stays, and so do damaged ones"
    assert capsys.readouterr().out.count("stays, for --damaged=true was not given: ") == 3
    assert main(["checkpoint", "prune", str(run), "--damaged=true"]) == 0
    assert steps(run) == [5]


def test_prune_removes_nothing_where_none_is_whole(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in range(1, 7):
        damage(run, step)
    assert main(["checkpoint", "prune", str(run), "--damaged=true"]) == 1
    error = capsys.readouterr().err
    assert "none of the 6 checkpoints is whole" in error and error.count("\n") == 1
    assert steps(run) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["list", "nowhere"], "nowhere holds no checkpoint; expected"),
        (["prune", ".", "--keep", "0"], "keep"),
        (["list"], "missing keys: folder"),
        (["mend", "."], "expected one of list, verify, prune, found 'mend'"),
    ],
)
def test_a_wrong_wish_is_one_line(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["checkpoint", *words]) == 1
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1


def test_the_command_needs_no_torch(run: Path) -> None:
    code = (
        "import sys; from jcdm.cli.main import main\n"
        f"assert main(['checkpoint', 'list', {str(run)!r}]) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (run / "checkpoints" / "step_0000006" / MANIFEST).is_file()
