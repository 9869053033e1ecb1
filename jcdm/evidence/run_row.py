"""Compute a seed of a row: train what it needs, paint its tasks, score them, write its file."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from jcdm.evidence.plan import EvidenceRow
from jcdm.evidence.row_files import RowFile
from jcdm.evidence.row_kinds import KINDS
from jcdm.evidence.row_parts import add_to_row, check_joins
from jcdm.evidence.trainings import training_config
from jcdm.evidence.workbench import Bench, benchmark_people, sampling_settings, trained_parts
from jcdm.manifest import origin
from jcdm.plain import to_plain
from jcdm.weights_identity import PAINTER, identify_all


def check_row(bench: Bench, name: str, seed: int | None) -> None:
    """Refuse a seed of a row, before anything is trained for it, that the row's file cannot take.

    Errors: ConfigError, DataError.
    """
    file = bench.results / f"{name}.json"
    if file.is_file():
        conditions = _conditions(bench, bench.plan.row(name), seed)
        check_joins(file, conditions, seed, asked=bench.asked.get(name, ()))


def run_row(bench: Bench, name: str, seed: int | None) -> Path:
    """Compute one seed of a row and write it into the row's file, beside those found before.

    seed: of the training; None where the weights at hand are tried as they are. Errors:
    ConfigError, DataError, CheckpointError.
    """
    started = time.time()
    row = bench.plan.row(name)
    conditions = _conditions(bench, row, seed)
    results = tuple(KINDS[row.kind](bench, name, row, seed))
    data = {"people_sha256": conditions["people"], "num_people": bench.plan.benchmark.num_people}
    weights = identify_all(_loaded(bench, row, seed))
    provenance = {
        **conditions,
        **origin(_of_seed(row, seed), seed=seed or 0, data=data, weights=weights),
        "minutes": (time.time() - started) / 60,
    }
    file = RowFile(name=name, about=row.about, results=results, provenance=provenance)
    lock = bench.out / f"row_{name}.lock"
    return add_to_row(file, bench.results, lock, asked=bench.asked.get(name, ()))


def _conditions(bench: Bench, row: EvidenceRow, seed: int | None) -> dict[str, Any]:
    """What a seed of a row is computed on and with, known before it is."""
    return {
        "benchmark": asdict(bench.plan.benchmark),
        "people": benchmark_people(bench).pixel_hash(),
        "settings": sampling_settings(bench, row),
        "trainings": _training_configs(bench, row, seed),
        "config": to_plain(_of_seed(row, seed)),
    }


def _of_seed(row: EvidenceRow, seed: int | None) -> EvidenceRow:
    return row if seed is None else replace(row, seeds=(seed,))


def _training_configs(bench: Bench, row: EvidenceRow, seed: int | None) -> dict[str, Any]:
    """Resolved configurations of a row's training and of those it uses."""
    found, name = {}, row.training
    while name is not None and seed is not None:
        config = training_config(bench.plan, name, seed, bench.out)
        found[name] = to_plain(config, Path.cwd())
        name = bench.plan.trainings[name].uses
    return found


def _loaded(bench: Bench, row: EvidenceRow, seed: int | None) -> dict[str, Path | None]:
    """Name what a row was painted with: the weights at hand, and what its trainings made."""
    parts = trained_parts(bench, row, seed)
    return {
        PAINTER: bench.weights,
        **{f"{part} of seed {seed}": folder for part, folder in parts.items()},
    }
