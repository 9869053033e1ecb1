import json
import subprocess
import sys

import pytest
from PIL import Image

from jcdm.cli.main import COMMANDS, main


def jcdm(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jcdm", *words], capture_output=True, text=True, timeout=120
    )


def test_an_unknown_command_exits_2(capsys):
    assert main(["trian"]) == 2
    assert "unknown command 'trian'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "doctor"])
def test_a_command_without_its_word_exits_1_in_one_line(command, capsys):
    assert main([command]) == 1
    error = capsys.readouterr().err
    assert error.startswith("jcdm: ") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["train", "prior"], "--train.num_steps"),
        (["reproduce"], "--write"),
        (["doctor"], "--config"),
    ],
)
def test_help_needs_no_torch(words, option):
    code = (
        "import sys; from jcdm.cli.main import main\n"
        f"try: main([*{words}, '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules, 'help imported torch'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert option in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert not stop.value.code
    assert capsys.readouterr().out.startswith(f"usage: python -m jcdm {command} ")


def test_people_are_drawn_checked_and_counted(tmp_path, capsys):
    out = tmp_path / "people"
    size = ["--identities", "4", "--views", "3", "--height", "64", "--width", "48"]
    assert main(["data", "synth", "--out", str(out), *size, "--seed", "1"]) == 0
    assert Image.open(out / "sheet.png").size == (3 * 96, 4 * 128)
    assert main(["data", "check", "--index", str(out / "index.json")]) == 0
    capsys.readouterr()
    assert main(["data", "stats", "--index", str(out / "index.json")]) == 0
    assert "4" in json.dumps(json.loads(capsys.readouterr().out))


def test_check_lists_a_missing_picture_and_exits_1(tmp_path, capsys):
    out = tmp_path / "people"
    options = ["--identities", "2", "--views", "2", "--height", "64", "--width", "48"]
    assert main(["data", "synth", "--out", str(out), *options]) == 0
    picture = next((out / "train_highres").iterdir())
    picture.unlink()
    assert main(["data", "check", "--index", str(out / "index.json")]) == 1
    captured = capsys.readouterr()
    assert picture.name in captured.out and "1 problem" in captured.err


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "precious.txt").write_text("keep")
    done = jcdm("data", "synth", "--out", str(tmp_path / "a"), "--identities", "1")
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert (tmp_path / "a" / "precious.txt").read_text() == "keep"
