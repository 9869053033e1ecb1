"""The interpreter, the checkout, and files of accelerate."""

import shutil
import sys
from collections.abc import Iterator

from jcdm.doctor.finding import Finding, missing, note, ok
from jcdm.manifest import PACKAGE, code_identity
from jcdm.reading import UnreadableError, read_yaml

OLDEST_PYTHON = (3, 11)


def find_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Look at the interpreter."""
    shown = ".".join(map(str, version))
    if version[:2] < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        return missing("python", f"{shown}; expected {oldest} or newer: https://www.python.org")
    return ok("python", f"{shown} in {sys.executable}")


def find_checkout() -> Finding:
    """Look whether results can name the commit that made them."""
    if shutil.which("git") is None:
        return note("git", "not found: manifests will not name a commit; install git")
    code = code_identity(PACKAGE)
    if code["commit"] is None:
        return note("git", f"{PACKAGE.parent} is no checkout: manifests will not name a commit")
    changed = ", with changed files: results will not be repeatable from it alone"
    line = f"commit {code['commit'][:12]}{changed if code['dirty'] else ', nothing changed'}"
    return note("git", line) if code["dirty"] else ok("git", line)


def find_accelerate_files() -> Iterator[Finding]:
    """Look at the files that scripts/launch.sh hands to accelerate."""
    files = sorted((PACKAGE.parent / "configs" / "accelerate").glob("*.yaml"))
    if not files:
        yield note("accelerate", "no configs/accelerate beside the package; clone the repository")
        return
    for file in files:
        try:
            is_table = isinstance(read_yaml(file), dict)
        except (OSError, UnreadableError):
            is_table = False
        if not is_table:
            yield missing("accelerate", f"{file} is no YAML table; run: git checkout {file}")
            return
    yield ok("accelerate", f"configs/accelerate: {', '.join(file.stem for file in files)}")
