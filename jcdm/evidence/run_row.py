"""Compute a seed of a row: train what it needs, paint its tasks, score them, write its file."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from jcdm.evidence.plan import EvidenceRow
from jcdm.evidence.row_files import RowFile
from jcdm.evidence.row_kinds import KINDS
from jcdm.evidence.row_parts import add_to_row
from jcdm.evidence.trainings import training_config
from jcdm.evidence.workbench import Bench, benchmark_people, sampling_settings, trained_parts
from jcdm.manifest import origin
from jcdm.plain import to_plain
from jcdm.weights_identity import PAINTER, identify_all


def run_row(bench: Bench, name: str, seed: int | None) -> Path:
    """Compute one seed of a row and write it into the row's file, beside those found before.

    seed: of the training; None where the weights at hand are tried as they are. Errors:
    ConfigError, DataError, CheckpointError.
    """
    started = time.time()
    row = bench.plan.row(name)
    results = tuple(KINDS[row.kind](bench, name, row, seed))
    people = benchmark_people(bench)
    benchmark = asdict(bench.plan.benchmark)
    provenance = {
        "benchmark": benchmark,
        "people": people.pixel_hash(),
        "settings": sampling_settings(bench, row),
        "trainings": _training_configs(bench, row, seed),
        **origin(
            row if seed is None else replace(row, seeds=(seed,)),
            seed=seed or 0,
            data={"people_sha256": people.pixel_hash(), "num_people": benchmark["num_people"]},
            weights=identify_all(_loaded(bench, row, seed)),
        ),
        "minutes": (time.time() - started) / 60,
    }
    file = RowFile(name=name, about=row.about, results=results, provenance=provenance)
    return add_to_row(file, bench.results, bench.out / f"row_{name}.lock")


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
