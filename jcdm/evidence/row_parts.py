"""A row grows by seeds: what was found before stays, another seed's results come beside it."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from jcdm.errors import ConfigError
from jcdm.evidence.row_files import RowFile, read_row, seeds_tried, write_row
from jcdm.evidence.trainings import is_place
from jcdm.plain import leaves

logger = logging.getLogger(__name__)
Seeds = Collection[int | None]


def add_to_row(part: RowFile, folder: Path, lock: Path, *, asked: Seeds = ()) -> Path:
    """Write the results of one seed into `folder/NAME.json`, beside those of other seeds.

    The provenance of the file is the newest part's; that of the parts before it is kept under
    `before`. lock: a file that processes hold in turn, since parts may come from several at a time.
    asked: seeds that are being computed: what was found of them in another way gives way. Errors:
    ConfigError where any other seed was tried in another way, DataError.
    """
    file = folder / f"{part.name}.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if file.is_file():
            part = _join(read_row(file), part, file, asked)
        return write_row(part, folder)


def check_joins(
    file: Path, provenance: Mapping[str, Any], seed: int | None, *, asked: Seeds = ()
) -> None:
    """Refuse a seed that `add_to_row` would not put into `file`, before it is computed.

    Errors: as there.
    """
    old = read_row(file)
    others = {result.seed for result in old.results} - {seed}
    if others <= set(asked):
        return
    if different := _difference(old.provenance, provenance):
        raise _refusal(file, *different)


def _join(old: RowFile, new: RowFile, file: Path, asked: Seeds) -> RowFile:
    """Put results of other seeds before the new ones. Errors: ConfigError."""
    renewed = {result.seed for result in new.results}
    kept = tuple(result for result in old.results if result.seed not in renewed)
    if not kept:
        return new
    if different := _difference(old.provenance, new.provenance):
        if {result.seed for result in kept} <= set(asked):
            logger.info("%s: seeds with other %s are left out, to be computed", file, different[0])
            return new
        raise _refusal(file, *different)
    known = [{k: v for k, v in old.provenance.items() if k != "before"}]
    before = [*old.provenance.get("before", ()), *known]
    needed = {result.seed for result in kept}
    before = [part for part in before if needed.intersection(seeds_tried(part))]
    results = tuple(sorted((*kept, *new.results), key=lambda result: result.seed or 0))
    return replace(new, results=results, provenance={**new.provenance, "before": before})


def _refusal(file: Path, name: str, before: Any, now: Any) -> ConfigError:
    return ConfigError(
        f"{file} has seeds computed with {name} = {before}, now it is {now}. Compute all of them: "
        "--again true."
    )


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first condition that is not the same, as it was and as it is."""
    ours, theirs = _conditions(new), _conditions(old)
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            return name, theirs.get(name), ours.get(name)
    return None


def _conditions(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same for all seeds: all but the seed and where things lie."""
    names = ("benchmark", "people", "settings", "trainings")
    found = {name: provenance[name] for name in names}
    found |= {name: provenance["config"][name] for name in ("kind", "schedule", "variants")}
    return {
        name: value
        for name, value in leaves(found)
        if not (name.endswith(".run.seed") or is_place(value))
    }
