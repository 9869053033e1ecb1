"""What the evidence consists of: people, trainings and rows (configs/evidence/rows.yaml)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jcdm.errors import ConfigError
from jcdm.evidence.tasks import find_task
from jcdm.pipelines.sampling import check_names
from jcdm.pipelines.schedulers import SCHEDULES
from jcdm.plain import from_plain
from jcdm.reading import read_yaml, short_reason

STAGES = ("prior", "denoiser", "motion")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
KINDS = ("paint", "prior", "motion", "calibration", "naive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """The people that everything is tried on: drawn from `seed`, (height, width) in pixels."""

    seed: int
    num_people: int
    height: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training of a stage with options that differ from its configuration file.

    uses: the training whose result it starts from: of a prior, or of a denoiser for motion.
    """

    stage: str
    options: tuple[str, ...] = ()
    uses: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRow:
    """One row of the table: a training with each of `seeds`, tried on tasks in each variant.

    training: None = the weights that come with the project (`--weights`), as they are.
    kind: what is tried; calibration and naive need no weights. variants: label -> sampling
    settings. schedule: noise levels of the training, or of published sampling. sheets: how many
    grids of each task are shown as pictures, the first ones. beside: the row that this one is a
    change of, compared variant by variant; its own name: each of its variants beside the first.
    compared: tasks with the same targets, each beside the first of them.
    """

    about: str
    kind: str = "paint"
    training: str | None = None
    seeds: tuple[int, ...] = (0,)
    tasks: tuple[str, ...] = ()
    sheets: int = 0
    schedule: str = SCHEDULES[0]
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"": {}})
    beside: str | None = None
    compared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePlan:
    """All of it. configs: where the stages' configuration files lie; common: options a stage."""

    configs: Path
    benchmark: Benchmark
    common: Mapping[str, tuple[str, ...]]
    trainings: Mapping[str, Training]
    rows: Mapping[str, EvidenceRow]

    def row(self, name: str) -> EvidenceRow:
        """Return a row by name. Errors: ConfigError naming the known ones."""
        if name not in self.rows:
            raise ConfigError(f"--row is {name!r}; expected one of {', '.join(self.rows)}.")
        return self.rows[name]


def read_plan(file: Path) -> EvidencePlan:
    """Read and check a plan. Errors: ConfigError in one line."""
    try:
        written = from_plain(EvidencePlan, read_yaml(file))
        plan = replace(written, configs=(file.parent / written.configs).resolve())
    except (OSError, ValueError) as error:
        reason = short_reason(error)
        raise ConfigError(f"{file} is no plan of the evidence: {reason}.") from None
    _check(plan, file)
    return plan


def with_people(plan: EvidencePlan, seed: int | None) -> EvidencePlan:
    """Replace the benchmark's people by those of another seed; None = leave them."""
    if seed is None:
        return plan
    return replace(plan, benchmark=replace(plan.benchmark, seed=seed))


def _check(plan: EvidencePlan, file: Path) -> None:
    for name in (*plan.trainings, *plan.rows):
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{file}: found the name {name!r}; files and folders are called after it, so it "
                "may have letters, digits, - and _ alone."
            )
    if unknown := set(plan.common) - set(STAGES):
        raise ConfigError(
            f"{file}: common has {', '.join(sorted(unknown))}; expected {', '.join(STAGES)}."
        )
    for name, training in plan.trainings.items():
        if training.stage not in STAGES:
            raise ConfigError(
                f"{file}: training {name!r} has stage {training.stage!r}; expected one of "
                f"{', '.join(STAGES)}."
            )
        if training.uses is not None and training.uses not in plan.trainings:
            raise ConfigError(f"{file}: training {name!r} uses {training.uses!r}, unknown here.")
    for name, row in plan.rows.items():
        if row.kind not in KINDS:
            raise ConfigError(
                f"{file}: row {name!r} has kind {row.kind!r}; expected one of {', '.join(KINDS)}."
            )
        if row.training is not None and row.training not in plan.trainings:
            raise ConfigError(f"{file}: row {name!r} has training {row.training!r}, unknown here.")
        if row.beside is not None and row.beside not in plan.rows:
            raise ConfigError(f"{file}: row {name!r} is beside {row.beside!r}, unknown here.")
        if row.schedule not in SCHEDULES:
            raise ConfigError(
                f"{file}: row {name!r} has schedule {row.schedule!r}; expected one of "
                f"{', '.join(SCHEDULES)}."
            )
        for task in row.tasks:
            find_task(task)
        if not set(row.compared) <= set(row.tasks):
            raise ConfigError(f"{file}: row {name!r} has compared tasks that it does not try.")
        for variant in row.variants.values():
            check_names(variant, f"{file}: row {name!r}: ")
