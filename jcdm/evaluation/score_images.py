"""Test of stage 2: painted target views beside the truth, a copied reference and the VAE."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor

from jcdm.config import TestConfig
from jcdm.evaluation.baselines import copy_nearest_reference, target_views
from jcdm.evaluation.evaluate import (
    clip_view,
    evaluation_batches,
    frame_pixels,
    save_pictures,
)
from jcdm.evaluation.features import (
    AGREEMENT_GAP,
    APPEARANCE_COSINE,
    agreement_gaps,
    cosine,
    hidden_states,
    perceptual_distance,
    perceptual_score,
)
from jcdm.evaluation.loading import load_pipeline, without_motion
from jcdm.evaluation.metrics import ScoreTally, measure_pictures
from jcdm.evaluation.report import Figure, Section, Table, write_report
from jcdm.evaluation.sheets import enlarged, people_sheet, save_sheet
from jcdm.evaluation.summary import evaluation_manifest, identical_note, weights_sentence
from jcdm.pipelines.execution import place
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.sampling import configured_options
from jcdm.records import Batch, Report

logger = logging.getLogger(__name__)
METHOD = "painted"
COPY = "copy of the nearest reference"
CEILING = "VAE reconstruction (ceiling)"
NUM_SHEET_ROWS = 8

SheetPeople = list[tuple[str, list[np.ndarray], list[list[np.ndarray]]]]


@dataclass(slots=True)
class ImageScores:
    """Scores of each method, and the first people as rows of the contact sheet."""

    tallies: dict[str, ScoreTally] = field(default_factory=dict)
    people: SheetPeople = field(default_factory=list)


def score_images(config: TestConfig) -> Report:
    """Paint the target views of unseen people, score them and write the report."""
    pipeline = load_pipeline(JCDMPipeline, config.sample)
    pipeline.denoiser = without_motion(pipeline.denoiser)
    place(pipeline, configured_options(config.sample, pipeline.default_preset))
    found = ImageScores()
    for batch in evaluation_batches(config, pipeline, pipeline.denoiser.grid):
        pictures = paint_methods(pipeline, batch, config)
        for method, images in pictures.items():
            tally = found.tallies.setdefault(method, ScoreTally())
            score_views(tally, pipeline, batch, images)
        _collect(found.people, pipeline, batch, pictures[METHOD], config)
        logger.info("%d target views painted and scored", len(found.tallies[METHOD].finite["SSIM"]))
    manifest = evaluation_manifest(config)
    _write(config, found, manifest)
    scores = {method: tally.scores() for method, tally in found.tallies.items()}
    return Report(title="Stage 2: painted views", scores=scores, manifest=manifest)


def paint_methods(
    pipeline: JCDMPipeline, batch: Batch, config: TestConfig
) -> dict[str, np.ndarray]:
    """Paint a batch by every method: name -> (B,V,H,W,3) uint8, no bars; target views count."""
    options = configured_options(config.sample, pipeline.default_preset)
    generated = pipeline.generate(batch, seed=config.run.seed, **asdict(options))
    return {
        METHOD: frame_pixels(generated.images, pipeline),
        COPY: frame_pixels(copy_nearest_reference(batch.images, batch), pipeline),
        CEILING: frame_pixels(reconstruct(pipeline, batch), pipeline),
    }


def reconstruct(pipeline: JCDMPipeline, batch: Batch) -> Tensor:
    """Encode and decode every view: what no painting in this VAE's latents can exceed."""
    vae = pipeline.frozen_vae()
    decoded = [vae.decode(vae.mean_latents(vae.encode(images))) for images in batch.images]
    return torch.stack(decoded).cpu()


def score_views(
    tally: ScoreTally, pipeline: JCDMPipeline, batch: Batch, images: np.ndarray
) -> None:
    """Add the scores of a batch's target views: images (B,V,H,W,3) uint8."""
    targets, truth = target_views(batch), frame_pixels(batch.images, pipeline)
    chosen = targets.numpy()
    tally.add_all(measure_pictures(images, truth, chosen))
    clip = pipeline.frozen_clip()
    ours, true = (clip_view(list(p[chosen]), pipeline) for p in (images, truth))
    distance = perceptual_distance(hidden_states(clip, ours), hidden_states(clip, true))
    tally.add(perceptual_score(clip).name, distance.tolist())
    ours, true = clip.embed(ours).cpu(), clip.embed(true).cpu()
    tally.add(APPEARANCE_COSINE.name, cosine(ours, true).tolist())
    views = [torch.zeros(*targets.shape, clip.width) for _ in range(2)]
    for values, embedded in zip(views, (ours, true), strict=True):
        values[targets] = embedded
    tally.add(AGREEMENT_GAP.name, agreement_gaps(views[0], views[1], targets))


def _collect(
    people: SheetPeople,
    pipeline: JCDMPipeline,
    batch: Batch,
    painted: np.ndarray,
    config: TestConfig,
) -> None:
    """Save painted target views as files, and the first people for the contact sheet."""
    targets, references = target_views(batch), batch.visible & batch.present
    truth = frame_pixels(batch.images, pipeline)
    poses = frame_pixels(batch.pose_maps * 2 - 1, pipeline)
    for b, subject in enumerate(batch.subjects):
        chosen = targets[b].nonzero().flatten().tolist()
        save_pictures(
            {f"{subject}_view{v}": painted[b, v] for v in chosen}, config.run.out / "generated"
        )
        if len(people) < NUM_SHEET_ROWS:
            shown = [[enlarged(p[b, v]) for p in (poses, painted, truth)] for v in chosen]
            given = [enlarged(picture) for picture in truth[b][references[b].numpy()]]
            people.append((subject, given, shown))


def _write(config: TestConfig, found: ImageScores, manifest: Mapping[str, object]) -> None:
    out = config.run.out
    sheet = people_sheet(found.people, ("pose", "painted", "truth"))
    rows = {method: tally.scores() for method, tally in found.tallies.items()}
    section = Section(
        title="Stage 2: painted views",
        intro="The references stand in their cells of one grid; the model paints the other cells "
        "in the poses asked for. Scores look at painted views only.",
        weights=weights_sentence(config.sample, "prior", "denoiser"),
        tables=(
            Table(
                title="Target views of unseen people",
                rows=rows,
                highlight=METHOD,
                notes=identical_note(found.tallies),
            ),
        ),
        figures=(
            Figure(
                file=save_sheet(sheet, out / "people.png"),
                caption="One person a row: the references given, then for every target view the "
                "pose asked for, the painted view and the true one. The first people of the "
                "split, not picked by hand.",
            ),
        ),
    )
    write_report(
        out,
        title="Painted views of unseen people",
        intro="Target views painted from a few references, beside a simple copy and the best that "
        "the VAE allows.",
        sections=[section],
        manifest=manifest,
    )
