"""Read what a run or a result says of itself, wherever it says it."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jcdm.errors import DataError
from jcdm.manifest import PACKAGE
from jcdm.reading import read_json, short_reason

STAGES = ("prior", "denoiser", "motion")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_PLACES = (None, "manifest", "provenance")  # run manifest and scores; report.json; evidence rows
_EXPECTED = (
    "expected manifest.json of a run or result, report.json, scores.json, provenance.json, or a "
    "row of the evidence."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What is recorded of a run; whatever is not recorded is empty, or None.

    stage: of a training. command: words as typed; directory: where, from the checkout. weights:
    what it started from, by role. final: what a training wrote. num_other_starts: starts before
    the one recorded here, that ran with other code, versions or hardware.
    """

    file: Path
    stage: str | None
    engine: str
    command: tuple[str, ...]
    directory: str
    commit: str | None
    dirty: bool | None
    config: Mapping[str, Any]
    seed: Any
    data: Mapping[str, Any]
    weights: Mapping[str, Any]
    versions: Mapping[str, Any]
    hardware: Mapping[str, Any]
    final: Mapping[str, Any]
    num_other_starts: int

    def place(self, path: str) -> Path:
        """Return a recorded path as it is found from anywhere."""
        return PACKAGE.parent / self.directory / path


def read_record(path: Path) -> RunRecord:
    """Read a manifest, or that of a folder. Errors: DataError in one line."""
    file = _find(path)
    try:
        content = read_json(file)
        _refuse_unprintable(content)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}; {_EXPECTED}") from None
    except ValueError as error:
        raise DataError(f"{file} is not JSON: {short_reason(error)}; {_EXPECTED}") from None
    for place in _PLACES:
        facts = content.get(place) if place and isinstance(content, dict) else content
        if isinstance(facts, dict) and {"code", "versions"} <= facts.keys():
            return _record(file, facts)
    raise DataError(f"{file} does not say which code and versions made it; {_EXPECTED}")


def _refuse_unprintable(content: Any) -> None:
    """Raise a ValueError for text that no command, path or terminal can hold."""
    text = json.dumps(content, ensure_ascii=False)
    text.encode("utf-8")  # half of a surrogate pair cannot be encoded
    if "\\u0000" in text:
        raise ValueError("it holds a character of code 0")


def _find(path: Path) -> Path:
    """Return the file that tells of a folder: of a run, a result, or a pipeline."""
    if not path.is_dir():
        return path
    for name in ("provenance.json", "report.json", "scores.json", "manifest.json"):
        if (path / name).is_file():
            return path / name
    raise DataError(f"{path} holds no manifest.json; {_EXPECTED}")


def _record(file: Path, facts: Mapping[str, Any]) -> RunRecord:
    names = ("code", "config", "data", "weights", "versions", "hardware", "final")
    tables = {name: _table(file, facts, name) for name in names}
    command = _command(facts.get("command"), tables["hardware"])
    commit, dirty = tables["code"].get("commit"), tables["code"].get("dirty")
    return RunRecord(
        file=file,
        stage=_stage(facts, command),
        engine=str(facts.get("engine", "plain")),
        command=command,
        directory=str(facts.get("directory", ".")),
        commit=commit if isinstance(commit, str) and _COMMIT.fullmatch(commit) else None,
        dirty=dirty if isinstance(dirty, bool) else None,
        seed=facts.get("seed"),
        num_other_starts=_count_others(facts),
        **{name: tables[name] for name in names if name != "code"},
    )


def _count_others(facts: Mapping[str, Any]) -> int:
    """Count the earlier starts of a run that were not made as the last one was."""
    earlier = facts.get("earlier")
    alike = {name: facts.get(name) for name in ("code", "versions", "hardware")}
    starts = earlier if isinstance(earlier, list) else []
    return sum(not (isinstance(s, dict) and alike.items() <= s.items()) for s in starts)


def _table(file: Path, facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object of the manifest, an empty one where it is absent. Errors: DataError."""
    found = facts.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        shown = ascii(found)[:40]
        raise DataError(f'{file}: "{name}" is {shown}, expected an object; {_EXPECTED}')
    return found


def _command(recorded: Any, hardware: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words of the command; of older manifests, where they stood as one text."""
    if isinstance(recorded, list):
        return tuple(str(word) for word in recorded)
    older = hardware.get("command")
    if not isinstance(older, str):
        return ()
    try:
        words = shlex.split(older)
    except ValueError:
        return ()
    if words[:1] == ["__main__.py"]:
        return ("python", "-m", "jcdm", *words[1:])
    return ("python", *words)


def _stage(facts: Mapping[str, Any], command: tuple[str, ...]) -> str | None:
    """Return the stage of a training; older manifests tell it in their command alone."""
    named = facts.get("stage")
    if named is None and command[3:4] == ("train",):
        named = command[4] if len(command) > 4 else None
    return named if named in STAGES else None
