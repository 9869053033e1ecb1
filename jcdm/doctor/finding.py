"""One line of what was looked at."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found. note: works, but differs or cannot be had; missing: a run will stop at it."""

    about: str
    state: State
    line: str


def ok(about: str, line: str) -> Finding:
    """Say that something is fine."""
    return Finding(about=about, state="ok", line=line)


def note(about: str, line: str) -> Finding:
    """Say what is worth knowing and stops nothing."""
    return Finding(about=about, state="note", line=line)


def missing(about: str, line: str) -> Finding:
    """Say what is missing and required, and where to get it."""
    return Finding(about=about, state="missing", line=line)


def readable(num_bytes: float) -> str:
    """Write a number of bytes for people."""
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes < 1e8 else f"{num_bytes / 1e9:.1f} GB"
