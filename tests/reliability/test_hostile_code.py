"""What the code never calls, for it would run what a file or a name says: looked up in its text."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = sorted(p for room in ("jcdm", "scripts") for p in (REPOSITORY / room).rglob("*.py"))
SHELL = sorted((*REPOSITORY.glob("*.sh"), *(REPOSITORY / "scripts").glob("*.sh")))
FORBIDDEN = (
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp"),
    *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.safe_load"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "shelve.open"),
    *("joblib.load", "dill.load", "torch.load", "torch.hub.load", "json.load", "json.loads"),
    *("urllib.request.urlopen", "requests.get", "socket.create_connection"),
    *("subprocess.getoutput", "subprocess.getstatusoutput"),
    *("huggingface_hub.hf_hub_download", "huggingface_hub.snapshot_download"),
)
ALLOWED = {  # the one place of a call, and what keeps it harmless there
    ("torch.load", "jcdm/compat/checkpoint_files.py"),  # with an unpickler of our own
    ("json.loads", "jcdm/reading.py"),  # the strict reader
    ("json.loads", "jcdm/folders.py"),  # and what its checksums have verified:
    ("json.loads", "jcdm/training/parts.py"),
    ("json.loads", "jcdm/training/checkpoint.py"),
    ("json.loads", "jcdm/training/checkpoint_folders.py"),
    ("yaml.safe_load", "jcdm/training/checkpoint.py"),
    ("huggingface_hub.hf_hub_download", "jcdm/compat/hub_files.py"),  # for hub: alone
}
NEVER_TRUE = ("shell", "allow_pickle", "trust_remote_code")


def calls(text: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield the dotted name of what is called, with its module's own name, and the call."""
    tree = ast.parse(text)
    names = {
        alias.asname or alias.name: f"{module}{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        for module in [f"{node.module}." if isinstance(node, ast.ImportFrom) else ""]
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            head, dot, rest = ast.unparse(node.func).partition(".")
            yield f"{names.get(head, head)}{dot}{rest}", node


def wrong_calls(text: str, place: str) -> list[str]:
    """Name the calls of a text that are forbidden, or allowed in another place alone."""
    found = []
    for name, call in calls(text):
        words = {word.arg: ast.unparse(word.value) for word in call.keywords}
        if name in FORBIDDEN and (name, place) not in ALLOWED:
            found.append(f"{name} in line {call.lineno}")
        if any(words.get(word, "False") != "False" for word in NEVER_TRUE):
            found.append(f"{name} with {words} in line {call.lineno}")
    return found


@pytest.mark.parametrize("file", PYTHON, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_nothing_is_called_that_runs_what_a_file_says(file: Path) -> None:
    place = file.relative_to(REPOSITORY).as_posix()
    assert wrong_calls(file.read_text(encoding="utf-8"), place) == []


@pytest.mark.parametrize(
    "line",
    [
        "import yaml; yaml.load(x)",
        "from yaml import unsafe_load as f; f(x)",
        "import torch; torch.load(x)",
        "import torch as t; t.load(x, weights_only=False)",
        "from pickle import loads; loads(x)",
        "import numpy as np; np.load(x, allow_pickle=True)",
        "import subprocess; subprocess.run(x, shell=True)",
        "import os; os.system(x)",
        "eval(x)",
        "exec(x)",
        "from tempfile import mktemp; mktemp()",
        "import json; json.loads(x)",
        "from huggingface_hub import hf_hub_download; hf_hub_download(x)",
        "Model.from_pretrained(x, trust_remote_code=True)",
    ],
)
def test_the_search_finds_each_of_them(line: str) -> None:
    assert wrong_calls(line, "jcdm/other.py")


@pytest.mark.parametrize(
    "line", ["model.eval()", "json.dumps(x)", "re.compile(x)", "f(shell=False)"]
)
def test_the_search_leaves_alone_what_is_harmless(line: str) -> None:
    assert not wrong_calls(f"import json, re, yaml; {line}", "jcdm/other.py")


def unquoted(text: str) -> list[str]:
    """List the variables outside quotes, where a shell would split their values into words.

    Follows quotes through $( ... ), which begins anew inside them. An assignment splits nothing.
    """
    found, quoted, place, word = [], [False], 0, ""
    while place < len(text):
        sign, rest = text[place], text[place:]
        if sign == "\\":
            place += 2
            continue
        if not quoted[-1] and sign == "#" and not word:
            place += len(rest.partition("\n")[0])
            continue
        if not quoted[-1] and sign == "'":
            place += rest.index("'", 1)
        elif sign == '"':
            quoted[-1] = not quoted[-1]
        elif rest.startswith("$("):
            quoted.append(False)
            place += 1
        elif not quoted[-1] and sign == ")" and len(quoted) > 1:
            quoted.pop()
        elif not quoted[-1] and re.match(r"\$[A-Za-z_{@*0-9]", rest) and "=" not in word:
            found.append(f"line {text.count(chr(10), 0, place) + 1}: {rest[:20]!r}")
        word = "" if text[place].isspace() and not quoted[-1] else word + text[place]
        place += 1
    return found


@pytest.mark.parametrize("file", SHELL, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_shell_scripts_build_no_commands_from_text(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"(^|[;&|\s])(eval|source <\()\s", text, re.MULTILINE)
    assert not re.search(r"\b(sh|bash) -c\b", text) and "set -e" in text + "set -e" * (
        file.name == "env.sh"  # which is sourced by the others
    )
    assert unquoted(text) == []


def test_the_search_finds_unquoted_variables() -> None:
    assert unquoted("rm -rf $1") and unquoted('x "$a" $b') and unquoted("run ${a}")
    assert not unquoted("rm -rf \"$1\"  # $2\na=$b\necho '$c'")
