"""Dispatch `python -m jcdm COMMAND ...` and turn errors into one line and an exit code."""

import importlib
import os
import sys
from collections.abc import Callable, Sequence

from jcdm.errors import JCDMError, printable

COMMANDS = {
    "data": "draw people; import, check and count an index; write test tasks",
    "poses": "find joints in photographs and films; draw them; fit them to another body",
    "cache": "encode every photograph once, for training; verify it",
    "train": "train a stage: prior, denoiser or motion",
    "checkpoint": "look after the checkpoints of a run: list, verify, prune",
    "sample": "run and score a trained stage: prior, images or sequence",
    "evaluate": "score pictures by a published protocol, or paint a task first; the paper table",
    "convert": "write a training run as a folder for from_pretrained",
    "report": "join the results of several runs into one page",
    "evidence": "the method's claims on drawn people: rows, what is finished, tables",
    "reproduce": "print the commands that repeat a run, and what differs today",
    "doctor": "say what is fine here, what is missing, and where to get it",
    "bench": "timed cost of every stage, sampling, cache, data and evaluation",
    "parity": "compare every model part with recorded numbers of the published code",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 = done, 1 = a JCDMError or a missing package, 2 = unknown command."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return 0 if words else 2
    if words[0] not in COMMANDS:
        print(f"jcdm: unknown command {words[0]!r}.\n{usage()}", file=sys.stderr)
        return 2
    return run(lambda: importlib.import_module(f"jcdm.cli.{words[0]}").main(words[1:]))


def run(command: Callable[[], None]) -> int:
    """Call a command; print an expected error as one line on stderr and return its exit code."""
    try:
        command()
    except JCDMError as error:
        print(f"jcdm: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("jcdm"):
            raise
        print(
            f"jcdm: the package {error.name!r} is not installed in {sys.executable}. "
            "Run: pip install -r requirements.txt",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        place = printable(os.fsdecode(error.filename or "a file"))
        print(
            f"jcdm: {place} cannot be read or written: {error.strerror or error}. "
            "Check the path, its permissions and the free space.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def usage() -> str:
    """Return the list of commands."""
    rows = "\n".join(f"  {name:10} {purpose}" for name, purpose in COMMANDS.items())
    return f"usage: python -m jcdm COMMAND ... [--help]\n\n{rows}"
