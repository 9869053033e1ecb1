"""Painters without a trained denoiser: naive ones, a ceiling, and the steps of the calibration."""

from collections.abc import Sequence

import numpy as np

from jcdm.evaluation.baselines import copy_nearest_reference
from jcdm.evaluation.evaluate import to_pixels
from jcdm.evaluation.score_images import reconstruct
from jcdm.evidence.people import NUM_VIEWS, DrawnPeople
from jcdm.evidence.scoring import Painter
from jcdm.evidence.tasks import GridPlan
from jcdm.pipelines import JCDMPipeline
from jcdm.records import Batch

TRUTH, VAE = "truth", "VAE reconstruction"
STRANGER, WRONG_POSE = "another person, same pose", "right person, wrong pose"
COPY, MEAN = "copy of the nearest reference", "mean training image"


def calibration_painters(people: DrawnPeople, pipeline: JCDMPipeline) -> dict[str, Painter]:
    """Painters whose order is known: a score that does not rank them as it should is not used."""
    return {
        TRUTH: lambda batch, _plans: to_pixels(batch.images),
        VAE: lambda batch, _plans: to_pixels(reconstruct(pipeline, batch)),
        STRANGER: lambda _batch, plans: _pick(people.strangers, plans, 0),
        WRONG_POSE: lambda _batch, plans: _pick(people.images, plans, NUM_VIEWS // 2),
    }


def naive_painters(mean_image: np.ndarray) -> dict[str, Painter]:
    """Copy the nearest reference, or paint the mean (H,W,3) uint8 of training views."""

    def mean(batch: Batch, _plans: Sequence[GridPlan]) -> np.ndarray:
        return np.broadcast_to(mean_image, (*batch.visible.shape, *mean_image.shape))

    return {
        COPY: lambda batch, _plans: to_pixels(copy_nearest_reference(batch.images, batch)),
        MEAN: mean,
    }


def _pick(images: np.ndarray, plans: Sequence[GridPlan], turn: int) -> np.ndarray:
    """Take views (B,V,H,W,3), `turn` numbers on: eight on is another pose, seen alike."""
    return np.stack([[images[p.person, (v + turn) % NUM_VIEWS] for v in p.views] for p in plans])
