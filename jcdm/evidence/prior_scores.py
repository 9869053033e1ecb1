"""How near to the true embeddings of the scored views the prior comes, beside the naive answer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from einops import rearrange

from jcdm.evaluation.baselines import mean_reference_embedding
from jcdm.evaluation.features import cosine
from jcdm.evidence.batches import make_batches
from jcdm.evidence.scoring import BATCH_SIZE, EMBEDDING, Judge
from jcdm.evidence.tally import Tally
from jcdm.evidence.tasks import Task, plan_grids
from jcdm.pipelines.noise import KeyedNoise
from jcdm.pipelines.prior import predict_batch

PREDICTED, MEAN, CLOSED = "prediction", "mean of the references", "gap closed"


@torch.no_grad()
def score_prior(judge: Judge, task: Task, settings: Mapping[str, Any]) -> dict[str, Tally]:
    """Cosine to the true embedding of the scored views, by prediction and mean of the references.

    `gap closed` of the prediction: the share of what is missing to 1 beside the mean, (cosine -
    cosine of the mean) / (1 - cosine of the mean), of a person's mean cosines.
    """
    pipeline, clip = judge.pipeline, judge.pipeline.frozen_clip()
    found = {PREDICTED: Tally(), MEAN: Tally()}
    grids, spec = plan_grids(task, judge.people), pipeline.view_format(None, None)
    for plans, batch in make_batches(judge.people, grids, spec, batch_size=BATCH_SIZE):
        batch = batch.to(clip.device)
        views = clip.embed(rearrange(batch.clip_pixels, "b v c h w -> (b v) c h w"))
        truth = rearrange(views, "(b v) d -> b v d", b=len(plans))
        predicted = predict_batch(
            pipeline.prior,
            pipeline.prior_scheduler,
            clip,
            batch,
            num_steps=settings["prior_steps"],
            guidance=1.0,
            noise=KeyedNoise(batch.keys),
        ).embeddings
        answers = {PREDICTED: predicted, MEAN: mean_reference_embedding(truth, batch)}
        for method, embeddings in answers.items():
            values = cosine(embeddings, truth)
            for row, plan in enumerate(plans):
                for cell in np.flatnonzero(plan.scored):
                    found[method].add(plan.person, {EMBEDDING: float(values[row, cell])})
    _add_closed(found)
    return found


def _add_closed(found: Mapping[str, Tally]) -> None:
    ours, naive = (found[name].person_means(EMBEDDING) for name in (PREDICTED, MEAN))
    for person, value in ours.items():
        closed = (value - naive[person]) / (1 - naive[person])
        found[PREDICTED].add(person, {CLOSED: closed})
