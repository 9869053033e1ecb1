"""Every score of a view: right where the answer is known, and blind to what it should not see."""

from dataclasses import replace

import numpy as np
import pytest

from jcdm.data.synthetic import Region
from jcdm.evidence.view_scores import (
    VIEW_SCORES,
    PaintedView,
    TrueView,
    colour_error,
    disagreement,
    joints_found,
    print_agreement,
    print_likeness,
    psnr_inside,
    silhouette_overlap,
)

SIZE = (64, 48)


@pytest.fixture
def truth() -> TrueView:
    rng = np.random.default_rng(0)
    regions = np.zeros(SIZE, np.uint8)
    regions[10:30, 14:34] = Region.TOP
    regions[30:55, 16:32] = Region.BOTTOM
    picture = np.full((*SIZE, 3), 0.8)
    picture[regions == Region.TOP] = (0.9, 0.1, 0.1)
    picture[regions == Region.BOTTOM] = (0.1, 0.1, 0.9)
    mask = np.zeros(SIZE, dtype=bool)
    mask[16:22, 20:26] = True
    picture[16:19, 20:26] = (0.1, 0.9, 0.1)
    return TrueView(
        picture=picture,
        regions=regions,
        print_mask=mask,
        shown=True,
        keypoints=rng.random((18, 2)),
        seen=np.arange(18) < 9,
    )


def perfect(truth: TrueView) -> PaintedView:
    return PaintedView(
        picture=truth.picture, silhouette=truth.regions > 0, joints=truth.keypoints.copy()
    )


def test_a_perfect_view_has_perfect_scores(truth: TrueView) -> None:
    scores = {name: score(perfect(truth), truth) for name, score in VIEW_SCORES.items()}
    assert scores.pop("PSNR") == scores.pop("PSNR inside") == np.inf
    assert scores.pop("colour error") == 0
    assert scores == pytest.approx(
        {
            "SSIM": 1,
            "silhouette overlap": 1,
            "print agreement": 1,
            "print likeness": 1,
            "joints found": 1,
        }
    )


def test_psnr_inside_looks_at_the_person_alone(truth: TrueView) -> None:
    painted = truth.picture.copy()
    painted[truth.regions == 0] = 0
    assert psnr_inside(replace(perfect(truth), picture=painted), truth) == np.inf
    painted = truth.picture + 0.1 * (truth.regions > 0)[..., None]
    assert psnr_inside(replace(perfect(truth), picture=painted), truth) == pytest.approx(20)


def test_overlap_is_intersection_over_union(truth: TrueView) -> None:
    half = (truth.regions > 0) & (np.arange(SIZE[0]) < 30)[:, None]
    expected = half.sum() / (truth.regions > 0).sum()
    painted = replace(perfect(truth), silhouette=half)
    assert silhouette_overlap(painted, truth) == pytest.approx(expected)


def test_colour_error_is_the_mean_over_garments_of_chroma_alone(truth: TrueView) -> None:
    swapped = truth.picture.copy()
    swapped[truth.regions == Region.TOP] = (0.5, 0.5, 0.5)
    error = colour_error(replace(perfect(truth), picture=swapped), truth)
    top = truth.regions == Region.TOP
    from skimage.color import rgb2lab

    chroma = rgb2lab(truth.picture)[top, 1:].mean(0)
    assert error == pytest.approx(np.linalg.norm(chroma) / 2, rel=1e-3)  # the trousers are right
    elsewhere = truth.picture.copy()
    elsewhere[truth.regions == 0] = (0, 1, 0)
    assert colour_error(replace(perfect(truth), picture=elsewhere), truth) == 0


def test_print_agreement_needs_a_reference_that_shows_it(truth: TrueView) -> None:
    plain = truth.picture.copy()
    plain[truth.print_mask] = (0.9, 0.1, 0.1)
    assert print_agreement(replace(perfect(truth), picture=plain), truth) == pytest.approx(0)
    inverted = truth.picture.copy()
    inverted[16:19, 20:26], inverted[19:22, 20:26] = (0.9, 0.1, 0.1), (0.1, 0.9, 0.1)
    assert print_agreement(replace(perfect(truth), picture=inverted), truth) < 0
    hidden = replace(truth, shown=False)
    assert np.isnan(print_agreement(perfect(truth), hidden))
    assert print_likeness(perfect(truth), hidden) == pytest.approx(1)
    small = replace(truth, print_mask=np.zeros(SIZE, dtype=bool))
    assert np.isnan(print_agreement(perfect(truth), small))


def test_joints_count_where_they_are_seen(truth: TrueView) -> None:
    joints = truth.keypoints.copy()
    joints[:3, 1] += 0.2
    joints[12:] = 5
    assert joints_found(replace(perfect(truth), joints=joints), truth) == pytest.approx(6 / 9)
    nobody = replace(truth, seen=np.zeros(18, dtype=bool))
    assert np.isnan(joints_found(perfect(truth), nobody))


def test_views_wrong_in_the_same_way_agree(truth: TrueView) -> None:
    wrong = np.clip(truth.picture * (0.5, 1, 1), 0, 1)
    same = [replace(perfect(truth), picture=wrong)] * 2
    assert disagreement(same, [truth, truth]) == 0
    different = [perfect(truth), same[0]]
    assert disagreement(different, [truth, truth]) == pytest.approx(
        colour_error(same[0], truth), rel=1e-6
    )
