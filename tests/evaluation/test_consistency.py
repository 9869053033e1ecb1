"""Scores of sets of views equal a plain loop, read lazily and see what one view does."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from person_pairs import NOBODY, clip_encoder, drawn, noisy, picture, pose
from torch.nn.functional import cosine_similarity

from jcdm.errors import DataError
from jcdm.evaluation.person_scores.clip_similarity import embed_pictures
from jcdm.evaluation.person_scores.colours import colour_distance, garment_colour
from jcdm.evaluation.person_scores.consistency import set_scores

Triple = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def views(num: int = 4, identity: int = 0) -> list[Triple]:
    """Truths of one person, painted with noise."""
    shown = [drawn(identity, view) for view in range(num)]
    return [(noisy(picture(v), 0.08, i), picture(v), pose(v)) for i, v in enumerate(shown)]


def by_hand(group: list[Triple]) -> dict[str, float]:
    encoder = clip_encoder()
    agreements, gaps, spreads = [], [], []
    for first, second in combinations(group, 2):
        ours, truth = (
            float(
                cosine_similarity(
                    *(embed_pictures(encoder, v[side][None]) for v in (first, second))
                )
            )
            for side in (0, 1)
        )
        agreements.append(ours - truth)
        gaps.append(abs(ours - truth))
        ours, truth = (
            colour_distance(*(garment_colour(v[side], v[2]) for v in (first, second)))
            for side in (0, 1)
        )
        spreads.append(ours - truth)
    return {
        "view_agreement": sum(agreements) / len(agreements),
        "view_agreement_gap": sum(gaps) / len(gaps),
        "garment_colour_spread": sum(spreads) / len(spreads),
    }


def test_all_scores_equal_a_loop_over_pairs_of_views() -> None:
    triples = views()
    groups = [[0, 1], [1, 2, 3], [3, 0, 2, 1]]
    found = set_scores(groups, lambda i: triples[i], encoder=clip_encoder())
    for number, group in enumerate(groups):
        for name, expected in by_hand([triples[i] for i in group]).items():
            assert found[name].shape == (3,) and found[name].dtype == np.float64
            assert found[name][number] == pytest.approx(expected, abs=1e-6), name


def test_the_truth_is_zero_and_a_view_of_another_person_is_not() -> None:
    triples = [(truth, truth, joints) for _, truth, joints in views()]
    stranger = picture(drawn(4, 0))
    spoilt = [(stranger, triples[0][1], triples[0][2]), *triples[1:]]
    groups = [[0, 1, 2, 3]]
    right, wrong = (
        set_scores(groups, lambda i, t=t: t[i], encoder=clip_encoder()) for t in (triples, spoilt)
    )
    assert all(values[0] == 0 for values in right.values())
    assert wrong["view_agreement"][0] < 0 < wrong["view_agreement_gap"][0]
    assert wrong["garment_colour_spread"][0] > 5
    painted_alike = [(triples[0][0], truth, joints) for _, truth, joints in triples]
    alike = set_scores(groups, lambda i: painted_alike[i], encoder=clip_encoder())
    assert alike["view_agreement"][0] > 0, "copies agree more than true views do"


def test_pictures_are_read_once_and_one_after_another() -> None:
    triples, read = views(), []

    def reader(i: int) -> Triple:
        read.append(i)
        return triples[i]

    found = set_scores([[2, 0], [0, 3]], reader)
    assert read == [0, 2, 3]
    assert list(found) == ["garment_colour_spread"]


def test_views_without_clothes_are_left_out_of_the_colour_alone() -> None:
    triples = views()
    triples[1] = (triples[1][0], triples[1][1], None)
    triples[2] = (triples[2][0], triples[2][1], NOBODY)
    groups = [[0, 1, 3], [0, 3], [1, 2], [0, 1]]
    found = set_scores(groups, lambda i: triples[i], encoder=clip_encoder())
    spread = found["garment_colour_spread"]
    assert spread[0] == spread[1] and np.isnan(spread).tolist() == [False, False, True, True]
    assert np.isfinite(found["view_agreement"]).all()
    assert not math.isnan(spread[0])


@pytest.mark.parametrize("group", [[], [1], [1, 1]])
def test_a_set_needs_two_different_views(group: list[int]) -> None:
    with pytest.raises(DataError, match="set 1 holds the views"):
        set_scores([[0, 1], group], lambda i: views()[i])


def test_no_sets_give_no_values() -> None:
    found = set_scores([], lambda i: views()[i], encoder=clip_encoder())
    assert {name: len(values) for name, values in found.items()} == {
        "garment_colour_spread": 0,
        "view_agreement": 0,
        "view_agreement_gap": 0,
    }
    assert torch.is_grad_enabled()
