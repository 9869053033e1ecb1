"""A row grows by seeds: what was found before stays, another seed's results come beside it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from jcdm.errors import ConfigError
from jcdm.evidence.row_files import RowFile, read_row, write_row
from jcdm.plain import leaves


def add_to_row(part: RowFile, folder: Path, lock: Path) -> Path:
    """Write the results of one seed into `folder/NAME.json`, beside those of other seeds.

    The provenance of the file is the newest part's; that of the parts before it is kept under
    `before`. lock: a file that processes hold in turn, since parts may come from several at a time.
    Errors: ConfigError where the other seeds were tried in another way, DataError.
    """
    file = folder / f"{part.name}.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if file.is_file():
            part = _join(read_row(file), part, file)
        return write_row(part, folder)


def _join(old: RowFile, new: RowFile, file: Path) -> RowFile:
    """Put results of other seeds before the new ones. Errors: ConfigError."""
    renewed = {result.seed for result in new.results}
    kept = tuple(result for result in old.results if result.seed not in renewed)
    if not kept:
        return new
    _check_alike(old.provenance, new.provenance, file)
    known = [{k: v for k, v in old.provenance.items() if k != "before"}]
    before = [*old.provenance.get("before", ()), *known]
    needed = {result.seed for result in kept}
    before = [part for part in before if needed.intersection(seeds_tried(part))]
    results = tuple(sorted((*kept, *new.results), key=lambda result: result.seed or 0))
    return replace(new, results=results, provenance={**new.provenance, "before": before})


def seeds_tried(provenance: Mapping[str, Any]) -> list[int]:
    """Seeds whose results a part's provenance tells of."""
    return list(provenance["config"]["seeds"])


def _check_alike(old: Mapping[str, Any], new: Mapping[str, Any], file: Path) -> None:
    ours, theirs = _conditions(new), _conditions(old)
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise ConfigError(
                f"{file} has seeds computed with {name} = {theirs.get(name)}, now it is "
                f"{ours.get(name)}. Compute all of them: --again true."
            )


def _conditions(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same for all seeds: all but the seed and where things lie."""
    found = {name: provenance.get(name) for name in ("benchmark", "people", "settings")}
    return {
        name: value
        for name, value in leaves({**found, "trainings": provenance["trainings"]})
        if not (name.endswith(".run.seed") or (isinstance(value, str) and "/" in value))
    }
