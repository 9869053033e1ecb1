"""Masked scores equal scikit-image and the `lpips` package, and see nothing outside the mask."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from person_pairs import NOBODY, alexnet, batch, drawn, heads, lpips_network, noisy, picture, pose
from person_pairs import ranking as ranked_pairs
from real_lpips import lpips_package
from skimage.metrics import structural_similarity

from jcdm.evaluation.pair_scores import PairBatch
from jcdm.evaluation.person_scores.masked import MaskedPerceptual, MaskedSimilarity
from jcdm.evaluation.person_scores.masks import person_mask
from jcdm.evaluation.protocols.networks import build_perceptual
from jcdm.evaluation.protocols.protocol import PROTOCOLS, Protocol

STRICT, PCDMS = PROTOCOLS["strict"], PROTOCOLS["pcdms"]


def mask_of(pair: PairBatch, i: int = 0) -> np.ndarray:
    mask = person_mask(pair.poses[i], pair.truth.shape[1:3])
    assert mask is not None
    return mask


def reference(protocol: Protocol, pair: PairBatch) -> dict[str, float]:
    """By scikit-image in float64 on pictures that are multiplied by the mask."""
    inside = mask_of(pair)[..., None].astype(np.float64)
    a, b = (side[0].astype(np.float64) * inside for side in (pair.truth, pair.generated))
    fixed = protocol.ssim_256_range == "fixed"
    uniform = structural_similarity(a, b, win_size=51, channel_axis=-1, data_range=1.0)
    gaussian = structural_similarity(
        a,
        b,
        gaussian_weights=True,
        sigma=protocol.sigma,
        use_sample_covariance=False,
        channel_axis=-1,
        data_range=1.0 if fixed else b.max() - b.min(),
    )
    error = ((a - b) ** 2).sum() / (inside.sum() * 3)
    return {
        "ssim_masked": float(uniform),
        "ssim_256_masked": float(gaussian),
        "psnr_masked": -10 * math.log10(error),
    }


@pytest.mark.parametrize("protocol", [STRICT, PCDMS, PROTOCOLS["cfld"]], ids=lambda p: p.name)
def test_masked_similarities_equal_scikit_image(protocol: Protocol) -> None:
    truth, joints = picture(drawn(1)), pose(drawn(1))
    for generated in (noisy(truth, 0.1), 0.7 * picture(drawn(2))):
        pair = batch((generated, truth, joints))
        found = MaskedSimilarity(protocol).score(pair)
        for name, expected in reference(protocol, pair).items():
            assert found[name][0] == pytest.approx(expected, rel=1e-5), name
            assert found[name].dtype == np.float64


def masked_tensors(pair: PairBatch) -> list[torch.Tensor]:
    inside = torch.from_numpy(mask_of(pair))[None, None].float()
    sides = (pair.generated, pair.truth)
    return [torch.from_numpy(side).permute(0, 3, 1, 2) * inside for side in sides]


@pytest.mark.parametrize("protocol", [STRICT, PCDMS], ids=lambda p: p.name)
def test_masked_lpips_equals_the_package(protocol: Protocol) -> None:
    package, pair = lpips_package(alexnet(), heads()), ranked_pairs()
    symmetric = protocol.lpips_range == "symmetric"
    with torch.no_grad():
        expected = package(*masked_tensors(pair), normalize=symmetric).flatten().numpy()
    found = MaskedPerceptual(protocol, lpips_network()).score(pair)["lpips_masked"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("protocol", [STRICT, PCDMS], ids=lambda p: p.name)
def test_masked_lpips_is_that_of_multiplied_pictures(protocol: Protocol) -> None:
    pair = ranked_pairs()
    tensors = masked_tensors(pair)
    if protocol.lpips_range == "symmetric":
        tensors = [2 * tensor - 1 for tensor in tensors]
    expected = lpips_network()(*tensors).numpy()
    found = MaskedPerceptual(protocol, lpips_network()).score(pair)["lpips_masked"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)
    assert found[0] == 0 < found[1] < found[2]


def test_masked_scores_rank_the_truth_before_noise_before_another_person() -> None:
    found = MaskedSimilarity(STRICT).score(ranked_pairs())
    for name, values in found.items():
        assert values[0] > values[1] > values[2], name
    assert found["ssim_masked"][0] == 1 and found["psnr_masked"][0] == math.inf


def test_what_is_outside_the_mask_changes_nothing_and_what_is_inside_does() -> None:
    scorers = [MaskedSimilarity(STRICT), MaskedPerceptual(STRICT, lpips_network())]
    truth, joints = picture(drawn(0)), pose(drawn(0))
    pair = batch((noisy(truth, 0.05), truth, joints))
    mask = mask_of(pair)[None, ..., None]
    elsewhere = replace(pair, generated=np.where(mask, pair.generated, np.float32(0.3)))
    inside = replace(pair, generated=np.where(mask, np.float32(0.3), pair.generated))
    for scorer in scorers:
        before, outer, inner = (scorer.score(each) for each in (pair, elsewhere, inside))
        for name in scorer.names:
            assert outer[name][0] == before[name][0] != inner[name][0], name


def test_psnr_counts_the_masks_pixels_only() -> None:
    truth, joints = picture(drawn(0)), pose(drawn(0))
    pair = batch((truth + np.float32(0.1), truth, joints))
    assert MaskedSimilarity(STRICT).score(pair)["psnr_masked"][0] == pytest.approx(20, rel=1e-5)


def test_a_pair_without_a_pose_is_nan_and_leaves_the_others_alone() -> None:
    truth, joints = picture(drawn(0)), pose(drawn(0))
    triples = [
        (noisy(truth, 0.1), truth, joints),
        (truth, truth, NOBODY),
        (noisy(truth, 0.2), truth, pose(drawn(1))),
    ]
    for scorer in (MaskedSimilarity(PCDMS), MaskedPerceptual(PCDMS, lpips_network())):
        together = scorer.score(batch(*triples))
        alone = [scorer.score(batch(triple)) for triple in triples]
        for name in scorer.names:
            assert np.isnan(together[name]).tolist() == [False, True, False]
            single = [values[name][0] for values in alone]
            np.testing.assert_allclose(together[name], single, rtol=1e-5)
        nobody = scorer.score(batch(triples[1]))
        assert all(np.isnan(values).all() for values in nobody.values())


def test_the_identity_changes_with_choices_and_weights() -> None:
    assert MaskedSimilarity(STRICT).identity == MaskedSimilarity(STRICT).identity
    assert MaskedSimilarity(STRICT).identity != MaskedSimilarity(PCDMS).identity
    network = lpips_network()
    first = MaskedPerceptual(STRICT, network).identity
    changed = {name: t.clone() for name, t in alexnet().items()}
    changed["features.0.bias"][0] += 1e-3
    other = build_perceptual(changed, heads())
    assert first != MaskedPerceptual(STRICT, other).identity
    assert first != MaskedPerceptual(PCDMS, network).identity
