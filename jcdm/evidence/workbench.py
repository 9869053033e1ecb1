"""What rows are computed with: the people, trained parts in a pipeline, the judge."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jcdm.config import SampleConfig
from jcdm.evaluation.loading import load_pipeline, without_motion
from jcdm.evidence.people import DrawnPeople, draw_people
from jcdm.evidence.plan import EvidencePlan, EvidenceRow
from jcdm.evidence.reader import load_reader
from jcdm.evidence.scoring import Judge
from jcdm.evidence.trainings import ensure_trained, run_folder
from jcdm.pipelines import JCDMPipeline
from jcdm.pipelines.base import ImagePipeline
from jcdm.pipelines.photographs import recommended_options
from jcdm.training.parts import FINAL

SETTINGS: dict[str, Any] = {"preset": "standard", "num_steps": 12, "prior_steps": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where a row is computed. out: runs and drawings; results: finished rows.

    num_workers: processes that draw people; num_loaders: that prepare batches for each training.
    asked: the seeds of each row that are being computed.
    """

    plan: EvidencePlan
    out: Path
    results: Path
    weights: Path
    num_workers: int = 1
    num_loaders: int = 0
    asked: Mapping[str, Sequence[int | None]] = field(default_factory=dict)


def sampling_settings(bench: Bench, row: EvidenceRow) -> Mapping[str, Any]:
    """Say how a row paints: alike in all trainings; the weights at hand as is advised with them."""
    if row.training is not None:
        return SETTINGS
    return {"preset": "standard", **asdict(recommended_options(bench.weights))}


def benchmark_people(bench: Bench) -> DrawnPeople:
    """Draw the benchmark's people, or read them where they were drawn before."""
    chosen = bench.plan.benchmark
    return draw_people(
        chosen.seed,
        chosen.num_people,
        (chosen.height, chosen.width),
        folder=bench.out,
        num_workers=bench.num_workers,
    )


def trained_parts(bench: Bench, row: EvidenceRow, seed: int | None) -> dict[str, Path | None]:
    """Train a row's training and return the prior and denoiser that its pipeline consists of.

    Nothing for a row on the weights at hand. Errors: ConfigError, DataError, CheckpointError.
    """
    if row.training is None or seed is None:
        return {}
    final = ensure_trained(bench.plan, row.training, seed, bench.out, num_loaders=bench.num_loaders)
    training = bench.plan.trainings[row.training]
    if training.stage == "prior":
        return {"prior": final}
    prior = training.uses
    while prior is not None and bench.plan.trainings[prior].stage != "prior":
        prior = bench.plan.trainings[prior].uses
    known = None if prior is None else run_folder(bench.out, prior, seed) / FINAL
    return {"prior": known, "denoiser": final}


def make_judge(bench: Bench, **parts: Path | None) -> Judge:
    """Make a judge that paints by the weights at hand, with `parts` in the place of theirs."""
    sample = SampleConfig(pipeline=bench.weights, **parts)  # type: ignore[arg-type]
    pipeline = load_pipeline(JCDMPipeline, sample)
    set_view_size(pipeline, bench)
    pipeline.denoiser = without_motion(pipeline.denoiser)
    return Judge(
        people=benchmark_people(bench),
        reader=load_reader(bench.weights / "reader"),
        pipeline=pipeline,
    )


def set_view_size(pipeline: ImagePipeline, bench: Bench) -> None:
    """Let a pipeline, whose own parts may know another size, cut views as the benchmark's are."""
    chosen = bench.plan.benchmark
    pipeline.register_to_config(height=chosen.height, width=chosen.width)
