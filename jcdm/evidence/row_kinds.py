"""The kinds of rows: what is painted or predicted, by what, and its scores."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from jcdm.config import SampleConfig
from jcdm.evaluation.loading import load_pipeline
from jcdm.evidence.baselines import calibration_painters, naive_painters
from jcdm.evidence.changes import PAIRED
from jcdm.evidence.pictures import save_grids
from jcdm.evidence.plan import EvidenceRow
from jcdm.evidence.prior_scores import score_prior
from jcdm.evidence.row_files import Result, seeds_of
from jcdm.evidence.scoring import Judge, Painter, paint_by
from jcdm.evidence.sequences import score_motion
from jcdm.evidence.tally import Tally
from jcdm.evidence.tasks import find_task, plan_grids
from jcdm.evidence.trainings import training_config
from jcdm.evidence.workbench import (
    Bench,
    benchmark_people,
    make_judge,
    sampling_settings,
    set_view_size,
    trained_parts,
)
from jcdm.pipelines.sequence import JCDMSequencePipeline

logger = logging.getLogger(__name__)
_NUM_AVERAGED = 200  # people


def _paint(bench: Bench, name: str, row: EvidenceRow, seed: int | None) -> Iterator[Result]:
    judge = make_judge(bench, **trained_parts(bench, row, seed))
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
    judge = make_judge(bench)
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
    judge = make_judge(bench, **trained_parts(bench, row, seed))
    usual = sampling_settings(bench, row)
    for task in row.tasks:
        for method, tally in score_prior(judge, find_task(task), usual).items():
            yield _result(seed, method, task, tally)


def _motion(bench: Bench, _name: str, row: EvidenceRow, seed: int | None) -> Iterator[Result]:
    sample = SampleConfig(pipeline=bench.weights, **trained_parts(bench, row, seed))  # type: ignore[arg-type]
    pipeline = load_pipeline(JCDMSequencePipeline, sample)
    set_view_size(pipeline, bench)
    usual = sampling_settings(bench, row)
    for method, tally in score_motion(pipeline, benchmark_people(bench), usual).items():
        yield _result(seed, method, "sequence", tally)


def _result(seed: int | None, variant: str, task: str, tally: Tally) -> Result:
    scores = tally.estimates()
    people = {name: tuple(tally.person_means(name).values()) for name in PAIRED if name in scores}
    return Result(seed=seed, variant=variant, task=task, scores=scores, people=people)


def mean_training_image(bench: Bench) -> np.ndarray:
    """Mean (H,W,3) uint8 of all views of the first people that trainings learn from."""
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


KINDS: dict[str, Callable[[Bench, str, EvidenceRow, int | None], Iterator[Result]]] = {
    "paint": _paint,
    "calibration": _without_training,
    "naive": _without_training,
    "prior": _prior,
    "motion": _motion,
}
