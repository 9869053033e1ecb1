"""Do views that were painted together show one person in one outfit? Scores of sets of views."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from jcdm.data.transforms import ClipFit
from jcdm.errors import DataError
from jcdm.evaluation.features import agreement_gaps, cosine
from jcdm.evaluation.person_scores.clip_similarity import embed_pictures
from jcdm.evaluation.person_scores.colours import colour_distance, garment_colour
from jcdm.models.encoders import FrozenCLIPVision

ReadPictures = Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray | None]]
"""Reads a pair: generated and true picture (H,W,3) in [0,1], true pose (18,3) or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """What is kept of a pair: embeddings (2,D) and clothes' colours, generated first."""

    embeddings: Tensor | None
    colours: tuple[np.ndarray | None, np.ndarray | None]


def set_scores(
    groups: Sequence[Sequence[int]],
    pictures: ReadPictures,
    *,
    encoder: FrozenCLIPVision | None = None,
    fit: ClipFit = "pad",
) -> Mapping[str, np.ndarray]:
    """Score sets of views, each a list of pairs' numbers: name -> (num_groups,) float64.

    view_agreement: mean over all pairs of views of the cosine of their CLIP image embeddings, among
    the generated minus among the true; 0 is best, below 0 they agree too little.
    view_agreement_gap: mean over the pairs of views of the absolute difference, in which nothing
    cancels. Both need the encoder and are left out without. garment_colour_spread: mean Delta E
    2000 between the clothes' mean colours of two views, among the generated minus among the true,
    over the pairs of views whose clothes are found; 0 is best, NaN where there is no such pair.

    A pair is read once, one at a time; only embedding and colours are kept. Errors: DataError for a
    set of fewer than two views.
    """
    _check(groups)
    wanted = sorted({i for group in groups for i in group})
    views = {i: _look(pictures(i), encoder, fit) for i in wanted}
    sets = [[views[i] for i in group] for group in groups]
    found = {"garment_colour_spread": [_colour_spread(group) for group in sets]}
    if encoder is not None:
        found["view_agreement"] = [_agreement(group) for group in sets]
        found["view_agreement_gap"] = [_agreement_gap(group) for group in sets]
    return {name: np.array(values, np.float64) for name, values in found.items()}


def _check(groups: Iterable[Sequence[int]]) -> None:
    for number, group in enumerate(groups):
        if len(set(group)) != len(group) or len(group) < 2:
            raise DataError(
                f"set {number} holds the views {list(group)}; expected two or more, all different. "
                "Leave it out, or list the views that were painted together."
            )


def _look(
    read: tuple[np.ndarray, np.ndarray, np.ndarray | None],
    encoder: FrozenCLIPVision | None,
    fit: ClipFit,
) -> _View:
    generated, truth, pose = read
    colours: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
    if pose is not None:
        colours = garment_colour(generated, pose), garment_colour(truth, pose)
    both = np.stack([generated, truth])
    embeddings = None if encoder is None else embed_pictures(encoder, both, fit)
    return _View(embeddings=embeddings, colours=colours)


def _stacked(views: Sequence[_View]) -> Tensor:
    """Embeddings (2,M,D): generated, then true."""
    return torch.stack([view.embeddings for view in views if view.embeddings is not None], 1)


def _agreement(views: Sequence[_View]) -> float:
    ours, truth = (
        np.mean([float(cosine(a, b)) for a, b in combinations(side, 2)]) for side in _stacked(views)
    )
    return float(ours - truth)


def _agreement_gap(views: Sequence[_View]) -> float:
    ours, truth = _stacked(views)[:, None]
    return float(np.mean(agreement_gaps(ours, truth, torch.ones(1, len(views), dtype=torch.bool))))


def _colour_spread(views: Sequence[_View]) -> float:
    distances = [
        colour_distance(a.colours[0], b.colours[0]) - colour_distance(a.colours[1], b.colours[1])
        for a, b in combinations(views, 2)
    ]
    known = [distance for distance in distances if not math.isnan(distance)]
    return float(np.mean(known)) if known else math.nan
