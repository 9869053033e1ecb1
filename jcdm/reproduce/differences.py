"""What differs today from when a run was recorded, and what that does to its numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jcdm.data.index import index_identity
from jcdm.errors import JCDMError
from jcdm.manifest import PACKAGE, code_identity, hardware, has_commit, package_versions
from jcdm.reproduce.record import RunRecord
from jcdm.weights_identity import weights_identity

Effect = Literal["none", "last digits", "numbers"]
_BITS = ("processor", "cpu_capability", "num_threads", "num_processes", "gpus")
_ASKED = ("num_threads", "num_processes")  # what the command of a training sets
_UNKNOWN = "not recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing then and now. effect: on the numbers of a repeated run, where the two differ."""

    name: str
    then: str
    now: str
    effect: Effect

    @property
    def is_same(self) -> bool:
        """Whether nothing changed."""
        return self.then == self.now


def compare(record: RunRecord) -> list[Difference]:
    """Hold a record against this checkout, this environment and the files of today."""
    return [
        *_code(record),
        *_versions(record.versions),
        *_hardware(record),
        *_data(record),
        *_weights(record),
    ]


def _code(record: RunRecord) -> Iterator[Difference]:
    code = code_identity(PACKAGE)
    now = _shown(code["commit"])
    yield Difference(name="commit", then=_shown(record.commit), now=now, effect="none")
    if record.commit is not None and not has_commit(record.commit):
        yield Difference(
            name="its commit",
            then=record.commit,
            now="not in this checkout; run: git fetch",
            effect="none",
        )
    if record.dirty:
        yield Difference(
            name="changed files",
            then="some, not recorded which",
            now="none after git checkout",
            effect="numbers",
        )


def _versions(then: Mapping[str, Any]) -> Iterator[Difference]:
    now = package_versions()
    for name in dict.fromkeys([*then, *now]):
        if name in then:
            found = _shown(now.get(name), "not installed")
            before = _shown(then[name], "not installed")
            effect: Effect = "none" if name == "jcdm" else "last digits"
            yield Difference(name=name, then=before, now=found, effect=effect)


def _hardware(record: RunRecord) -> Iterator[Difference]:
    now = hardware()
    for name in ("system", "num_processors", *_BITS):
        before, found = _shown(record.hardware.get(name)), _shown(now[name])
        if name in _ASKED and record.stage is not None:
            found = before  # the command asks for as many
        effect: Effect = "last digits" if name in _BITS else "none"
        yield Difference(name=name, then=before, now=found, effect=effect)


def _data(record: RunRecord) -> Iterator[Difference]:
    """Compare the index by its hash and counts; other data are named and not looked at."""
    then, index = record.data, _index(record)
    counts = ("num_subjects", "num_views")
    if index is None or not {"sha256", *counts} <= then.keys():
        return
    before = _facts(then, counts)
    if not index.is_file() and _is_drawn(record):
        now = f"{index} is missing; it will be drawn again"
        yield Difference(name="data", then=before, now=now, effect="none")
        return
    try:
        now = _facts(index_identity(index), counts) if index.is_file() else f"{index} is missing"
    except JCDMError as error:
        now = str(error)
    yield Difference(name="data", then=before, now=now, effect="numbers")


def _index(record: RunRecord) -> Path | None:
    section = record.config.get("data")
    named = record.data.get("index", section.get("index") if isinstance(section, dict) else None)
    return record.place(named) if isinstance(named, str) else None


def _is_drawn(record: RunRecord) -> bool:
    """Whether its people are drawn from a seed where the index is missing."""
    section = record.config.get("data")
    draw = section.get("draw") if isinstance(section, dict) else None
    return isinstance(draw, dict) and bool(draw.get("num_identities"))


def _weights(record: RunRecord) -> Iterator[Difference]:
    """Compare every file or folder of weights that has an identity, and what a training wrote."""
    recorded = {name: known for name, known in record.weights.items() if known is not None}
    if record.final:
        recorded["final weights"] = record.final
    for name, known in recorded.items():
        if isinstance(known, str):  # of older manifests: a file and its SHA-256
            known = {"path": name, "sha256": known}
        if not isinstance(known, dict) or not isinstance(known.get("path"), str):
            continue
        place = record.place(known["path"])
        now = weights_identity(place)
        yield Difference(
            name=name,
            then=_facts(known),
            now=f"{place} is missing" if now is None else _facts(now),
            effect="none" if name == "final weights" else "numbers",
        )


def _facts(identity: Mapping[str, Any], counts: tuple[str, ...] = ()) -> str:
    """Write an identity in a few words: the beginning of its hash, and counts."""
    words = [f"{identity[name]} {name.removeprefix('num_')}" for name in counts]
    return ", ".join([f"sha256 {str(identity.get('sha256'))[:16]}", *words])


def _shown(value: Any, none: str = _UNKNOWN) -> str:
    if isinstance(value, list):
        return ", ".join(str(entry) for entry in value) or "none"
    return none if value is None else str(value)
