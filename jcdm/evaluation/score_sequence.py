"""Test of the motion module: the same sequences painted with and without it, from equal noise."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from jcdm.config import TestConfig
from jcdm.errors import ConfigError
from jcdm.evaluation.evaluate import frame_size, unseen_people
from jcdm.evaluation.frames import (
    FrameSequence,
    copy_nearest_frame,
    measure_frames,
    read_sequence,
)
from jcdm.evaluation.loading import load_pipeline, without_motion
from jcdm.evaluation.metrics import ScoreTally, measure_pictures
from jcdm.evaluation.plots import plot_lines
from jcdm.evaluation.report import Figure, Section, Table, write_report
from jcdm.evaluation.sequence_pictures import (
    NUM_STRIP_FRAMES,
    PaintedSequence,
    save_comparison,
    save_sequence,
    sequence_strips,
)
from jcdm.evaluation.sheets import SheetRow, draw_sheet, save_sheet
from jcdm.evaluation.summary import evaluation_manifest, identical_note, weights_sentence
from jcdm.pipelines.execution import place
from jcdm.pipelines.sampling import SamplingOptions, configured_options
from jcdm.pipelines.sequence import JCDMSequencePipeline
from jcdm.records import Report
from jcdm.seeding import sample_key

logger = logging.getLogger(__name__)
WITH = "with the motion module"
WITHOUT = "without it"
COPY = "copy of the nearest reference frame"
NUM_SHOWN = 3


@dataclass(slots=True)
class SequenceScores:
    """Scores of each method, its errors along time, rows of the contact sheet and films."""

    tallies: dict[str, ScoreTally] = field(default_factory=dict)
    errors: dict[str, list[np.ndarray]] = field(default_factory=dict)
    strips: list[SheetRow] = field(default_factory=list)
    films: list[Path] = field(default_factory=list)


def score_sequence(config: TestConfig) -> Report:
    """Paint sequences of unseen people with and without motion, score them, write the report."""
    pipeline = load_pipeline(JCDMSequencePipeline, config.sample)
    if pipeline.denoiser.motion is None:
        raise ConfigError(
            f"the denoiser of {config.sample.denoiser or config.sample.pipeline} has no motion "
            "modules; expected one with. Train them (run_train_stage2_stage2.sh) and set "
            "sample.denoiser to that run."
        )
    found = SequenceScores()
    for number, record in enumerate(unseen_people(config, pipeline)):
        sequence = read_sequence(
            record, frame_size(pipeline), pipeline.config["fit"], config.sample.num_references
        )
        painted = paint_methods(pipeline, sequence, config, sample_key(config.run.seed, 0, number))
        _add(found, sequence, painted, config)
        logger.info("sequence %d painted and scored", number + 1)
    manifest = evaluation_manifest(config)
    _write(config, found, manifest)
    scores = {method: tally.scores() for method, tally in found.tallies.items()}
    return Report(title="Stage 2: motion", scores=scores, manifest=manifest)


def paint_methods(
    pipeline: JCDMSequencePipeline, sequence: FrameSequence, config: TestConfig, seed: int
) -> dict[str, np.ndarray]:
    """Paint a sequence by every method from the same seed: name -> (F,H,W,3) uint8."""
    options = configured_options(config.sample, pipeline.default_preset)
    at_once = options.people_at_once or config.sample.batch_size
    painted = paint_both(pipeline, sequence, options, seed, at_once=at_once)
    return {**painted, COPY: copy_nearest_frame(sequence)}


def paint_both(
    pipeline: JCDMSequencePipeline,
    sequence: FrameSequence,
    options: SamplingOptions,
    seed: int,
    *,
    at_once: int,
) -> dict[str, np.ndarray]:
    """Paint a sequence with the motion modules and without, from equal noise: (F,H,W,3) uint8."""
    moving = pipeline.denoiser
    painted = {WITH: paint_frames(pipeline, sequence, options, seed, at_once=at_once)}
    pipeline.denoiser = without_motion(moving)
    try:
        painted[WITHOUT] = paint_frames(pipeline, sequence, options, seed, at_once=at_once)
    finally:
        pipeline.denoiser = moving
    return painted


def paint_frames(
    pipeline: JCDMSequencePipeline,
    sequence: FrameSequence,
    options: SamplingOptions,
    seed: int,
    *,
    at_once: int,
) -> np.ndarray:
    """Paint every frame of a sequence from its references, `at_once` windows a call: (F,H,W,3)."""
    given = list(sequence.references)
    place(pipeline, options)  # the denoiser may be another than before
    result = pipeline(
        [Image.fromarray(sequence.frames[i]) for i in given],
        [sequence.keypoints[i] for i in given],
        list(sequence.keypoints),
        windows_at_once=at_once,
        seed=seed,
        **asdict(options),
    )
    return np.stack([np.asarray(frame) for frame in result.frames])


def _add(
    found: SequenceScores,
    sequence: FrameSequence,
    painted: Mapping[str, np.ndarray],
    config: TestConfig,
) -> None:
    truth, scored = sequence.frames, sequence.scored
    for method, frames in painted.items():
        tally = found.tallies.setdefault(method, ScoreTally())
        tally.add_all(measure_frames(frames, truth, scored))
        tally.add_all(measure_pictures(frames[None], truth[None], scored[None]))
        error = np.abs(frames / 255.0 - truth / 255.0).mean((1, 2, 3))
        found.errors.setdefault(method, []).append(np.where(scored, error, np.nan))
    shown = PaintedSequence(sequence=sequence, with_motion=painted[WITH], without=painted[WITHOUT])
    save_sequence(shown, config.run.out)
    if len(found.films) < NUM_SHOWN:
        found.strips += sequence_strips(shown)
        found.films.append(save_comparison(shown, config.run.out))


def mean_errors(errors: list[np.ndarray]) -> tuple[list[float], list[float]]:
    """Mean error at each time over sequences: (frame numbers, L1), frames never scored left out."""
    longest = max(len(error) for error in errors)
    padded = [np.pad(e, (0, longest - len(e)), constant_values=np.nan) for e in errors]
    table = np.stack(padded)
    known = np.flatnonzero(~np.isnan(table).all(axis=0))
    means = np.nanmean(table[:, known], axis=0)
    return [float(k) for k in known], [float(m) for m in means]


def _write(config: TestConfig, found: SequenceScores, manifest: Mapping[str, object]) -> None:
    out = config.run.out
    columns = [f"frame {i}" for i in range(NUM_STRIP_FRAMES)]
    sheet = save_sheet(draw_sheet(found.strips, columns), out / "sequences.png")
    lines = {method: mean_errors(errors) for method, errors in found.errors.items()}
    plot = plot_lines(lines, out / "drift.png", xlabel="frame", ylabel="L1 to the truth")
    rows = {method: tally.scores() for method, tally in found.tallies.items()}
    table = Table(
        title="Frames of unseen people",
        rows=rows,
        highlight=WITH,
        notes=identical_note(found.tallies),
    )
    section = Section(
        title="Stage 2: motion",
        intro="Sequences are painted twice from the same noise, with the motion module and with it "
        "taken out. The reference frames given to the model are in no score.",
        weights=weights_sentence(config.sample, "prior", "denoiser"),
        tables=(table,),
        figures=(
            Figure(
                file=sheet,
                caption="The first frames of the first sequences: poses asked for, painted with "
                "and without motion, truth.",
            ),
            *(Figure(file=film, caption="The same in motion.") for film in found.films),
            Figure(file=plot, caption="Distance to the truth along the sequence, mean of all."),
        ),
    )
    write_report(
        out,
        title="Frames of unseen people in motion",
        intro="Does attention between neighbouring frames make them steadier?",
        sections=[section],
        manifest=manifest,
    )
