"""Scores in the image encoder's space: perceptual distance, cosine similarity, view agreement."""

from itertools import combinations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from jcdm.evaluation.metrics import ScoreDefinition, define_score
from jcdm.models.encoders import FrozenCLIPVision

SMALLEST_PUBLISHED_WIDTH = 768

COSINE = define_score(
    "cosine",
    "up",
    "Cosine of the angle between predicted and true image embedding of a target view, mean over "
    "target views.",
)
CENTRED_COSINE = define_score(
    "centred cosine",
    "up",
    "The same cosine after the mean of all true embeddings in the test has been subtracted from "
    "both; 0 = no better than the average person.",
)
APPEARANCE_COSINE = define_score(
    "appearance cosine",
    "up",
    "Cosine of the angle between the image embeddings of the painted and of the true view, mean "
    "over target views.",
)
AGREEMENT_GAP = define_score(
    "view agreement gap",
    "down",
    "Two target views of one person, generated together, agree by the cosine of their image "
    "embeddings; the gap is the absolute difference to the agreement of the same two true views, "
    "mean over all such pairs.",
)


def perceptual_score(encoder: FrozenCLIPVision) -> ScoreDefinition:
    """Return the definition of the perceptual distance, named by the size of its encoder.

    Every published CLIP image encoder is at least 768 wide; a narrower one is called tiny.
    """
    published = encoder.model.config.hidden_size >= SMALLEST_PUBLISHED_WIDTH
    return define_score(
        "perceptual (CLIP)" if published else "perceptual (tiny)",
        "down",
        "Hidden states of every encoder layer, scaled to length 1 over channels at each patch; "
        "squared difference summed over channels, mean over patches, layers and target views "
        "(after Zhang et al., 2018, with equal weights).",
    )


@torch.no_grad()
def hidden_states(encoder: FrozenCLIPVision, clip_pixels: Tensor) -> tuple[Tensor, ...]:
    """Return the patch features of every layer: clip_pixels (N,3,S,S) -> L tensors (N,P,width)."""
    parameter = next(encoder.model.parameters())
    pixels = clip_pixels.to(device=parameter.device, dtype=parameter.dtype)
    states = encoder.model(pixel_values=pixels, output_hidden_states=True).hidden_states
    return tuple(state[:, 1:].float() for state in states[1:])


def perceptual_distance(ours: tuple[Tensor, ...], truth: tuple[Tensor, ...]) -> Tensor:
    """Mean over layers and patches of the squared distance of unit features: (N,) in [0,4].

    Source: Zhang et al. (2018), equation 1, with all channel weights 1.
    """
    layers = [
        (normalize(a, dim=-1) - normalize(b, dim=-1)).square().sum(-1).mean(-1)
        for a, b in zip(ours, truth, strict=True)
    ]
    return torch.stack(layers).mean(0)


def cosine(ours: Tensor, truth: Tensor) -> Tensor:
    """Cosine similarity along the last axis: (..., D), (..., D) -> (...) in [-1,1]."""
    return (normalize(ours.double(), dim=-1) * normalize(truth.double(), dim=-1)).sum(-1)


def agreement_gaps(ours: Tensor, truth: Tensor, targets: Tensor) -> list[float]:
    """Compare how well target views agree with each other: embeddings (B,V,D), targets (B,V).

    Returns |cos(ours_i, ours_j) - cos(truth_i, truth_j)| for every pair of target views i < j of
    the same person; a person with one target view gives no pair.
    """
    gaps: list[float] = []
    for b in range(targets.shape[0]):
        for i, j in combinations(targets[b].nonzero().flatten().tolist(), 2):
            agreement = cosine(ours[b, i], ours[b, j]) - cosine(truth[b, i], truth[b, j])
            gaps.append(float(agreement.abs()))
    return gaps
