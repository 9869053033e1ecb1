"""A finished row on disk: a small JSON file with its figures and where they come from."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from jcdm.errors import ConfigError, DataError
from jcdm.evidence.plan import EvidencePlan, EvidenceRow
from jcdm.evidence.tally import Estimate
from jcdm.plain import from_plain
from jcdm.reading import read_json, short_reason

FORMAT, VERSION = "jcdm-evidence-row", 1
_LIST = re.compile(r"\[[\s\d.,e+-]*\]")  # of numbers

Scores = Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Scores of one training seed, variant (or method) and task; seed None = nothing trained.

    people: means by person of the scores that rows are compared by, in the order of the people.
    """

    seed: int | None
    variant: str
    task: str
    scores: Scores
    people: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFile:
    """What a row found. provenance: commit, versions, hardware, people, configurations, minutes."""

    name: str
    about: str
    results: tuple[Result, ...]
    provenance: Mapping[str, Any]

    def find(self, variant: str, task: str) -> list[Result]:
        """Return the results of a variant and task, one a seed."""
        return [r for r in self.results if (r.variant, r.task) == (variant, task)]


def write_row(row: RowFile, folder: Path) -> Path:
    """Write `folder/NAME.json`; the file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{row.name}.json"
    content = {"format": FORMAT, "version": VERSION, **asdict(row)}
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    text = _LIST.sub(_on_one_line, json.dumps(_rounded(content), indent=1))
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, file)
    return file


def read_row(file: Path) -> RowFile:
    """Read a finished row. Errors: DataError."""
    try:
        content = read_json(file)
        if (content.pop("format"), content.pop("version")) != (FORMAT, VERSION):
            raise ValueError("another format or version")
        return from_plain(RowFile, content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file} is no finished row: {short_reason(error)}. Remove it to try again."
        ) from None


def seeds_to_do(file: Path, plan: EvidencePlan, name: str) -> tuple[int | None, ...]:
    """List the seeds of which a row's file lacks something that the plan asks of the row.

    Errors: ConfigError where the file tried other people, DataError.
    """
    row = plan.row(name)
    if not file.is_file():
        return seeds_of(row)
    found = read_row(file)
    if found.provenance.get("benchmark") != asdict(plan.benchmark):
        raise ConfigError(
            f"{file} was computed on other people than those of seed {plan.benchmark.seed}. Choose "
            "another folder: --results DIR."
        )
    return missing_seeds(found, row)


def seeds_of(row: EvidenceRow) -> tuple[int | None, ...]:
    """Seeds of a row's trainings; one None where the weights at hand are tried as they are."""
    return (None,) if row.training is None else row.seeds


def seeds_tried(provenance: Mapping[str, Any]) -> list[int]:
    """Seeds whose results a part's provenance tells of."""
    return list(provenance["config"]["seeds"])


def missing_seeds(found: RowFile, row: EvidenceRow) -> tuple[int | None, ...]:
    """List the seeds of which the plan asks for something that was not found, or not in this way.

    That is: a task, a kind, noise levels, or, of painted rows, a variant and its settings.
    """
    asked_otherwise = _tried_otherwise(found, row)
    not_found = _not_found(found, row)
    return tuple(s for s in seeds_of(row) if s in not_found or s in asked_otherwise)


def _tried_otherwise(found: RowFile, row: EvidenceRow) -> set[int | None]:
    seeds: set[int | None] = set()
    for part in (found.provenance, *found.provenance.get("before", ())):
        if "config" not in part:  # of before rows told how they were tried
            return set(seeds_of(row))
        then = part["config"]
        variants = {label: then["variants"].get(label) for label in row.variants}
        asked = (row.kind, row.schedule, {label: dict(s) for label, s in row.variants.items()})
        if (then["kind"], then["schedule"], variants) != asked:
            seeds.update((None,) if row.training is None else seeds_tried(part))
    return seeds


def _not_found(found: RowFile, row: EvidenceRow) -> tuple[int | None, ...]:
    done = {(r.seed, r.variant, r.task) for r in found.results}
    if row.kind == "paint":
        asked = set(product(row.variants, row.tasks))
        return tuple(s for s in seeds_of(row) if not {(s, *each) for each in asked} <= done)
    tasks = set(row.tasks) or {task for *_, task in done}
    tried = {(seed, task) for seed, _, task in done}
    return tuple(s for s in seeds_of(row) if not {(s, task) for task in tasks} <= tried)


def _on_one_line(numbers: re.Match[str]) -> str:
    return " ".join(numbers[0].split())


def _rounded(value: Any) -> Any:
    """Six significant digits are more than any of these figures has."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    return value
