"""Test of stage 1: how near predicted appearance embeddings come to the true ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from jcdm.config import TestConfig
from jcdm.evaluation.baselines import (
    mean_reference_embedding,
    nearest_reference_embedding,
    target_views,
)
from jcdm.evaluation.evaluate import evaluation_batches
from jcdm.evaluation.features import CENTRED_COSINE, COSINE, cosine
from jcdm.evaluation.loading import load_prior_pipeline
from jcdm.evaluation.metrics import ScoreTally
from jcdm.evaluation.plots import plot_spread
from jcdm.evaluation.report import Figure, Section, Table, write_report
from jcdm.evaluation.summary import evaluation_manifest, weights_sentence
from jcdm.grid import GridShape
from jcdm.models.encoders import FrozenCLIPVision
from jcdm.pipelines.prior import JCDMPriorPipeline
from jcdm.pipelines.sampling import configured_options
from jcdm.records import Batch, Report, Scores

METHOD = "appearance prior"
MEAN = "mean of the references"
NEAREST = "nearest reference in pose"


@dataclass(slots=True)
class Embeddings:
    """True and predicted embeddings of the target views collected so far, rows of (D,)."""

    truth: list[Tensor] = field(default_factory=list)
    predicted: dict[str, list[Tensor]] = field(default_factory=dict)

    def add(self, targets: Tensor, truth: Tensor, predicted: Mapping[str, Tensor]) -> None:
        """Keep the target views of a batch: targets (B,V); truth and predictions (B,V,D)."""
        self.truth.append(truth[targets].cpu())
        for method, values in predicted.items():
            self.predicted.setdefault(method, []).append(values[targets].cpu())

    def cosines(self, centred: bool = False) -> dict[str, list[float]]:
        """Cosine with the truth, target view by target view, of each method."""
        truth = torch.cat(self.truth)
        middle = truth.mean(0) if centred else torch.zeros_like(truth[0])
        return {
            method: cosine(torch.cat(rows) - middle, truth - middle).tolist()
            for method, rows in self.predicted.items()
        }


def score_prior(config: TestConfig) -> Report:
    """Predict the target embeddings of unseen people, score them and write the report."""
    pipeline = load_prior_pipeline(config.sample)
    clip = FrozenCLIPVision(pipeline.image_encoder, pipeline.image_encoder.dtype)
    embeddings = Embeddings()
    for batch in evaluation_batches(config, pipeline, GridShape()):
        truth = embed_views(clip, batch)
        embeddings.add(
            target_views(batch), truth, predict_embeddings(pipeline, truth, batch, config)
        )
    scores = tally_cosines(embeddings)
    manifest = evaluation_manifest(config)
    _write(config, scores, embeddings, manifest)
    return Report(title="Stage 1: appearance prior", scores=scores, manifest=manifest)


def embed_views(clip: FrozenCLIPVision, batch: Batch) -> Tensor:
    """Embed every view of a batch, targets too: the truth, (B,V,D) on the CPU."""
    found = clip.embed(batch.clip_pixels.flatten(0, 1)).cpu()
    return found.unflatten(0, batch.visible.shape)


def predict_embeddings(
    pipeline: JCDMPriorPipeline, truth: Tensor, batch: Batch, config: TestConfig
) -> dict[str, Tensor]:
    """Predict all views by the prior and by both baselines: name -> (B,V,D) on the CPU."""
    predicted = pipeline.generate(
        batch,
        seed=config.run.seed,
        num_steps=configured_options(config.sample, "standard").prior_steps,
        guidance=config.sample.prior_guidance,
    )
    return {
        METHOD: predicted.embeddings.cpu(),
        MEAN: mean_reference_embedding(truth, batch),
        NEAREST: nearest_reference_embedding(truth, batch),
    }


def tally_cosines(embeddings: Embeddings) -> dict[str, Scores]:
    """Turn collected embeddings into one row of scores a method."""
    rows = {method: ScoreTally() for method in embeddings.predicted}
    for definition, centred in ((COSINE, False), (CENTRED_COSINE, True)):
        for method, values in embeddings.cosines(centred).items():
            rows[method].add(definition.name, values)
    return {method: tally.scores() for method, tally in rows.items()}


def _write(
    config: TestConfig,
    scores: Mapping[str, Scores],
    embeddings: Embeddings,
    manifest: Mapping[str, object],
) -> None:
    out = config.run.out
    plot = plot_spread(embeddings.cosines(), out / "cosine.png", xlabel="cosine with the truth")
    section = Section(
        title="Stage 1: appearance prior",
        intro="From the references and the poses alone, the prior predicts how CLIP would see the "
        "target views of people it has never met.",
        weights=weights_sentence(config.sample, "prior"),
        tables=(Table(title="Target views of unseen people", rows=scores, highlight=METHOD),),
        figures=(
            Figure(
                file=plot,
                caption="Cosine of every target view: a point a view, a box from the first to the "
                "third quartile with the median inside.",
            ),
        ),
    )
    write_report(
        out,
        title="Appearance prior on unseen people",
        intro="Predicted image embeddings beside two ways of guessing them from the references.",
        sections=[section],
        manifest=manifest,
    )
