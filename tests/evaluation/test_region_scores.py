"""Face and garment scores equal scikit-image, and see their region only."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from person_pairs import (
    NOBODY,
    SIZE,
    alexnet,
    batch,
    drawn,
    heads,
    lpips_network,
    noisy,
    picture,
    pose,
    ranking,
)
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity
from torch.nn.functional import interpolate

from jcdm.evaluation.pair_scores import PairScorer
from jcdm.evaluation.person_scores.colours import GarmentColour, colour_distance, garment_colour
from jcdm.evaluation.person_scores.faces import FacePerceptual, face_square
from jcdm.evaluation.person_scores.masks import face_circle, face_mask, garment_mask
from jcdm.evaluation.person_scores.regions import RegionSimilarity
from jcdm.evaluation.protocols.networks import build_perceptual
from jcdm.evaluation.protocols.protocol import PROTOCOLS, Protocol
from jcdm.evaluation.protocols.similarity import (
    gaussian_window,
    similarity_map,
    structural_similarities,
    uniform_window,
)

STRICT, PCDMS = PROTOCOLS["strict"], PROTOCOLS["pcdms"]


@pytest.mark.parametrize("protocol", [STRICT, PCDMS], ids=lambda p: p.name)
def test_region_similarities_equal_scikit_images_map(protocol: Protocol) -> None:
    truth, joints = picture(drawn(1)), pose(drawn(1))
    generated = 0.8 * noisy(truth, 0.1)
    a, b = truth.astype(np.float64), generated.astype(np.float64)
    _, expected = structural_similarity(
        a,
        b,
        gaussian_weights=True,
        sigma=protocol.sigma,
        use_sample_covariance=False,
        channel_axis=-1,
        data_range=1.0 if protocol.ssim_256_range == "fixed" else b.max() - b.min(),
        full=True,
    )
    edge = int(3.5 * protocol.sigma + 0.5)
    inside = np.zeros(SIZE, bool)
    inside[edge:-edge, edge:-edge] = True
    found = RegionSimilarity(protocol).score(batch((generated, truth, joints)))
    for name, find in (("ssim_face", face_mask), ("ssim_garment", garment_mask)):
        mask = find(joints, SIZE)
        assert mask is not None
        mean = expected.mean(-1)[mask & inside].mean()
        assert found[name][0] == pytest.approx(mean, rel=1e-5), name


@pytest.mark.parametrize("window", [uniform_window(), gaussian_window(1.2)])
def test_the_map_s_mean_is_the_similarity(window) -> None:
    truth, generated = picture(drawn(1)), picture(drawn(2))
    found = similarity_map(truth, generated, (window, 0.9))
    mean = structural_similarities(truth, generated, [(window, 0.9)])[0]
    assert np.nanmean(found) == pytest.approx(mean, rel=1e-6)
    edge = window.size // 2
    assert np.isnan(found).sum() == SIZE[0] * SIZE[1] - (SIZE[0] - 2 * edge) * (SIZE[1] - 2 * edge)
    assert np.isnan(similarity_map(truth, generated, (window, 0.0))).all()


@pytest.mark.parametrize("zoom", [1, 6])
def test_face_lpips_is_that_of_the_resized_square(zoom: float) -> None:
    pairs = ranking()
    joints = pairs.poses[0].copy()
    middle, _ = face_circle(joints, SIZE) or pytest.fail("no face")
    place = (middle + 0.5) / SIZE[::-1]
    joints[:, :2] = 0.5 + zoom * (joints[:, :2] - place) if zoom > 1 else joints[:, :2]
    middle, radius = face_circle(joints, SIZE) or pytest.fail("no face")
    side = round(2 * radius)
    assert (side > 64) == (zoom > 1)
    top, left = (round(c - (side - 1) / 2) for c in (middle[1], middle[0]))
    crops = []
    for pictures in (pairs.generated, pairs.truth):
        x = torch.from_numpy(pictures[:, top : top + side, left : left + side])
        x = interpolate(x.permute(0, 3, 1, 2), (64, 64), mode="bilinear", antialias=True)
        crops.append(2 * x - 1)
    expected = lpips_network()(*crops).numpy()
    moved = replace(pairs, poses=np.stack([joints] * 3))
    found = FacePerceptual(STRICT, lpips_network()).score(moved)["lpips_face"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)
    assert found[0] == 0 < found[1] < found[2]


def test_the_face_s_square_stays_inside_the_picture() -> None:
    joints = pose(drawn(0)).copy()
    for shift in ((0.9, 0.0), (0.0, 0.9), (-0.9, 0.0), (0.0, -0.9)):
        middle, _ = face_circle(joints, SIZE) or pytest.fail("no face")
        moved = joints.copy()
        moved[:, :2] -= (middle + 0.5) / SIZE[::-1] - 0.5 - np.array(shift) / 2
        rows, columns = face_square(moved, SIZE) or pytest.fail("no square")
        assert rows.stop - rows.start == columns.stop - columns.start > 5
        assert min(rows.start, columns.start) >= 0
        assert rows.stop <= SIZE[0] and columns.stop <= SIZE[1]
        moved[:, :2] += np.array(shift) / 2
        assert face_square(moved, SIZE) is None


def test_garment_colour_is_delta_e_of_mean_lab() -> None:
    pairs = ranking()
    mask = garment_mask(pairs.poses[0], SIZE)
    labs = [
        [rgb2lab(p.astype(np.float64))[mask].mean(0) for p in side]
        for side in (pairs.generated, pairs.truth)
    ]
    expected = [deltaE_ciede2000(a, b) for a, b in zip(*labs, strict=True)]
    found = GarmentColour().score(pairs)["colour_garment"]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert found[0] == 0 and 0 < found[1] < 3 < found[2]
    known = colour_distance(np.array([50.0, 2.6772, -79.7751]), np.array([50.0, 0.0, -82.7485]))
    assert known == pytest.approx(2.0425, abs=1e-4), "the first pair of Sharma et al. (2005)"
    assert garment_colour(pairs.truth[0], NOBODY) is None


SCORERS: list[tuple[PairScorer, str]] = [
    (RegionSimilarity(STRICT), "ssim_face"),
    (RegionSimilarity(STRICT), "ssim_garment"),
    (FacePerceptual(STRICT, lpips_network()), "lpips_face"),
    (GarmentColour(), "colour_garment"),
]


@pytest.mark.parametrize(("scorer", "name"), SCORERS, ids=[name for _, name in SCORERS])
def test_a_score_of_a_region_sees_that_region_only(scorer: PairScorer, name: str) -> None:
    truth, joints = picture(drawn(0)), pose(drawn(0))
    pair = batch((noisy(truth, 0.05), truth, joints))
    find = face_mask if name.endswith("face") else garment_mask
    mask = find(joints, SIZE)
    assert mask is not None
    near = mask.copy()
    for axis in (0, 1):  # as far as an SSIM window, and a square's corners, reach
        near = np.any([np.roll(near, step, axis) for step in range(-6, 7)], axis=0)
    far = replace(pair, generated=np.where(near[..., None], pair.generated, 1 - pair.generated))
    inner = replace(pair, generated=np.where(mask[..., None], 1 - pair.generated, pair.generated))
    before = scorer.score(pair)[name]
    assert scorer.score(far)[name] == before != scorer.score(inner)[name]


def test_region_similarities_rank_and_the_truth_is_one() -> None:
    for name, values in RegionSimilarity(STRICT).score(ranking()).items():
        assert values[0] == pytest.approx(1, abs=1e-9)
        assert values[0] > values[1] > values[2], name


def test_pairs_without_a_region_are_nan_and_several_are_as_one_by_one() -> None:
    truth, front, back = picture(drawn(0)), pose(drawn(0)), pose(drawn(0)).copy()
    back[[0, 14, 15], 2] = 0
    triples = [(noisy(truth, 0.1), truth, p) for p in (front, NOBODY, back)]
    for scorer, name in SCORERS:
        together = scorer.score(batch(*triples))[name]
        alone = [scorer.score(batch(triple))[name][0] for triple in triples]
        np.testing.assert_allclose(together, alone, rtol=1e-5)
        assert np.isnan(together).tolist() == [False, True, name.endswith("face")]


def test_a_region_at_the_border_has_no_similarity() -> None:
    truth, joints = picture(drawn(0)), pose(drawn(0)).copy()
    middle, radius = face_circle(joints, SIZE) or pytest.fail("no face")
    joints[:, 1] -= (middle[1] + radius - 3) / SIZE[0]  # the picture begins at the chin
    assert face_mask(joints, SIZE) is not None
    found = RegionSimilarity(STRICT).score(batch((truth, truth, joints)))
    assert np.isnan(found["ssim_face"][0])
    assert found["ssim_garment"][0] == pytest.approx(1, abs=1e-9)


def test_identities_change_with_choices_and_weights() -> None:
    assert RegionSimilarity(STRICT).identity != RegionSimilarity(PCDMS).identity
    changed = dict(heads())
    changed["lin4.model.1.weight"] = changed["lin4.model.1.weight"] + 1e-3
    other = build_perceptual(alexnet(), changed)
    found = {
        FacePerceptual(STRICT, lpips_network()).identity,
        FacePerceptual(STRICT, other).identity,
        FacePerceptual(PCDMS, lpips_network()).identity,
    }
    assert len(found) == 3
