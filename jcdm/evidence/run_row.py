"""Compute a row: train what it needs, paint its tasks, score them, write its file."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jcdm.config import SampleConfig
from jcdm.evaluation.loading import load_pipeline, without_motion
from jcdm.evidence.baselines import calibration_painters, naive_painters
from jcdm.evidence.changes import PAIRED
from jcdm.evidence.people import DrawnPeople, draw_people
from jcdm.evidence.pictures import save_grids
from jcdm.evidence.plan import EvidencePlan, EvidenceRow
from jcdm.evidence.prior_scores import score_prior
from jcdm.evidence.reader import load_reader
from jcdm.evidence.row_files import Result, RowFile, seeds_of
from jcdm.evidence.row_parts import add_to_row
from jcdm.evidence.scoring import Judge, Painter, paint_by
from jcdm.evidence.sequences import score_motion
from jcdm.evidence.tally import Tally
from jcdm.evidence.tasks import find_task, plan_grids
from jcdm.evidence.trainings import ensure_trained, run_folder, training_config
from jcdm.manifest import origin
from jcdm.pipelines import JCDMPipeline
from jcdm.pipelines.base import ImagePipeline
from jcdm.pipelines.photographs import recommended_options
from jcdm.pipelines.sequence import JCDMSequencePipeline
from jcdm.plain import to_plain
from jcdm.training.parts import FINAL
from jcdm.weights_identity import PAINTER, identify_all

logger = logging.getLogger(__name__)
SETTINGS: dict[str, Any] = {"preset": "standard", "num_steps": 12, "prior_steps": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where a row is computed. out: runs and drawings; results: finished rows.

    num_workers: processes that draw people; num_loaders: that prepare batches for each training.
    """

    plan: EvidencePlan
    out: Path
    results: Path
    weights: Path
    num_workers: int = 1
    num_loaders: int = 0


def run_row(bench: Bench, name: str, seed: int | None) -> Path:
    """Compute one seed of a row and write it into the row's file, beside those found before.

    seed: of the training; None where the weights at hand are tried as they are. Errors:
    ConfigError, DataError, CheckpointError.
    """
    started = time.time()
    row = bench.plan.row(name)
    results = tuple(_KINDS[row.kind](bench, name, row, seed))
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


def sampling_settings(bench: Bench, row: EvidenceRow) -> Mapping[str, Any]:
    """Say how a row paints: alike in all trainings; the weights at hand as is advised with them."""
    if row.training is not None:
        return SETTINGS
    return {"preset": "standard", **asdict(recommended_options(bench.weights))}


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
    parts = _trained_parts(bench, row, seed)
    return {
        PAINTER: bench.weights,
        **{f"{part} of seed {seed}": folder for part, folder in parts.items()},
    }


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


def _judge(bench: Bench, **parts: Path | None) -> Judge:
    sample = SampleConfig(pipeline=bench.weights, **parts)  # type: ignore[arg-type]
    pipeline = load_pipeline(JCDMPipeline, sample)
    _set_view_size(pipeline, bench)
    pipeline.denoiser = without_motion(pipeline.denoiser)
    return Judge(
        people=benchmark_people(bench),
        reader=load_reader(bench.weights / "reader"),
        pipeline=pipeline,
    )


def _set_view_size(pipeline: ImagePipeline, bench: Bench) -> None:
    """Let a pipeline, whose own parts may know another size, cut views as the benchmark's are."""
    chosen = bench.plan.benchmark
    pipeline.register_to_config(height=chosen.height, width=chosen.width)


def _trained_parts(bench: Bench, row: EvidenceRow, seed: int | None) -> dict[str, Path | None]:
    """Train a row's training and return the prior and denoiser that its pipeline consists of."""
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


def _paint(bench: Bench, name: str, row: EvidenceRow, seed: int | None) -> Iterator[Result]:
    judge = _judge(bench, **_trained_parts(bench, row, seed))
    if row.schedule == "published":
        judge.pipeline.choose_schedule(row.schedule)
    usual = sampling_settings(bench, row)
    for number, (variant, settings) in enumerate(row.variants.items()):
        painter = paint_by(judge.pipeline, **{**usual, **settings})
        shown = row.sheets and seed == seeds_of(row)[0] and number == 0
        sheets = bench.results / name if shown else None
        yield from _score_tasks(judge, row, painter, variant, seed, sheets=sheets)


def _without_training(
    bench: Bench, _name: str, row: EvidenceRow, seed: int | None
) -> Iterator[Result]:
    judge = _judge(bench)
    if row.kind == "calibration":
        painters = calibration_painters(judge.people, judge.pipeline)
    else:
        painters = naive_painters(mean_training_image(bench))
    for method, painter in painters.items():
        yield from _score_tasks(judge, row, painter, method, seed)


def _score_tasks(
    judge: Judge,
    row: EvidenceRow,
    painter: Painter,
    variant: str,
    seed: int | None,
    *,
    sheets: Path | None = None,
) -> Iterator[Result]:
    """Score all tasks of a row; the first grids as pictures `SHEETS_TASK.png` where asked for."""
    for name in row.tasks:
        task = find_task(name)
        tally, pictures = judge.score(task, painter, keep=row.sheets if sheets else 0)
        if sheets is not None:
            file = sheets.with_name(f"{sheets.name}_{name}.png")
            save_grids(judge.people, plan_grids(task, judge.people), pictures, file)
        logger.info("%s, %s, seed %s: scored", variant or "as it is", name, seed)
        yield _result(seed, variant, name, tally)


def _prior(bench: Bench, _name: str, row: EvidenceRow, seed: int | None) -> Iterator[Result]:
    judge = _judge(bench, **_trained_parts(bench, row, seed))
    usual = sampling_settings(bench, row)
    for task in row.tasks:
        for method, tally in score_prior(judge, find_task(task), usual).items():
            yield _result(seed, method, task, tally)


def _motion(bench: Bench, _name: str, row: EvidenceRow, seed: int | None) -> Iterator[Result]:
    sample = SampleConfig(pipeline=bench.weights, **_trained_parts(bench, row, seed))  # type: ignore[arg-type]
    pipeline = load_pipeline(JCDMSequencePipeline, sample)
    _set_view_size(pipeline, bench)
    usual = sampling_settings(bench, row)
    for method, tally in score_motion(pipeline, benchmark_people(bench), usual).items():
        yield _result(seed, method, "sequence", tally)


def _result(seed: int | None, variant: str, task: str, tally: Tally) -> Result:
    scores = tally.estimates()
    people = {name: tuple(tally.person_means(name).values()) for name in PAIRED if name in scores}
    return Result(seed=seed, variant=variant, task=task, scores=scores, people=people)


def mean_training_image(bench: Bench) -> np.ndarray:
    """Mean (H,W,3) uint8 of the first views of the people that trainings learn from."""
    from PIL import Image

    from jcdm.data.drawn import ensure_index
    from jcdm.data.index import read_index

    name = next(n for n, t in bench.plan.trainings.items() if t.stage == "prior")
    config = training_config(bench.plan, name, 0, bench.out)
    size = (config.data.height, config.data.width)
    ensure_index(config.data.index, config.data.draw, size=size)
    records = read_index(config.data.index, config.data.split)[:_NUM_AVERAGED]
    images = [np.asarray(Image.open(view.image)) for r in records for view in r.views]
    return np.mean(images, axis=0).round().astype(np.uint8)


_NUM_AVERAGED = 200  # people
_KINDS: dict[str, Callable[[Bench, str, EvidenceRow, int | None], Iterator[Result]]] = {
    "paint": _paint,
    "calibration": _without_training,
    "naive": _without_training,
    "prior": _prior,
    "motion": _motion,
}
