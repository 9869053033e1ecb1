"""Scores against libraries that others keep: lpips, torchmetrics, scikit-image, SciPy."""

import numpy as np
import pytest
import torch
from real_lpips import distances, lpips_package
from scipy.linalg import sqrtm
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn
from torchmetrics.image import PeakSignalNoiseRatio
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from jcdm.compat.checkpoint_files import read_checkpoint
from jcdm.evaluation.pair_scores import PairBatch
from jcdm.evaluation.parity.seeded import seeded_weights
from jcdm.evaluation.protocols.frechet import FeatureSet, exact_fid, kid, square_root_fid
from jcdm.evaluation.protocols.networks import build_perceptual, packaged_heads
from jcdm.evaluation.protocols.pair_scorers import PerceptualScorer, SimilarityScorer
from jcdm.evaluation.protocols.protocol import PROTOCOLS

NAMES = list(PROTOCOLS)


@pytest.fixture(scope="module")
def pairs() -> PairBatch:
    """Three pairs: smooth pictures, and the same with noise."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((3, 3, 8, 6), np.float32))
    smooth = nn.functional.interpolate(coarse, (96, 64), mode="bicubic", align_corners=False)
    truth = smooth.clamp(0, 1).permute(0, 2, 3, 1).numpy()
    noise = rng.normal(0, 0.08, truth.shape).astype(np.float32)
    poses = np.zeros((3, 18, 3), np.float32)
    return PairBatch(generated=(truth + noise).clip(0, 1), truth=truth, poses=poses)


@pytest.mark.parametrize("name", NAMES)
def test_lpips_equals_the_package(pairs: PairBatch, name: str) -> None:
    weights, heads = seeded_weights("alexnet", 1), read_checkpoint(packaged_heads())
    features = {key: t for key, t in weights.items() if key.startswith("features")}
    scorer = PerceptualScorer(PROTOCOLS[name], build_perceptual(features, heads))
    first, second = (
        torch.from_numpy(side).permute(0, 3, 1, 2) for side in (pairs.generated, pairs.truth)
    )
    in_unit_range = PROTOCOLS[name].lpips_range == "unit"  # one published script forgets to scale
    package = lpips_package(weights, heads)
    expected = distances(package, first, second, normalize=not in_unit_range)
    np.testing.assert_allclose(scorer.score(pairs)["lpips"], expected.numpy(), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_similarities_equal_scikit_image_and_torchmetrics(pairs: PairBatch, name: str) -> None:
    protocol = PROTOCOLS[name]
    found = SimilarityScorer(protocol).score(pairs)
    for i, (ours, truth) in enumerate(zip(pairs.generated, pairs.truth, strict=True)):
        spread = 1.0 if protocol.ssim_256_range == "fixed" else float(ours.max() - ours.min())
        gaussian = structural_similarity(
            truth,
            ours,
            gaussian_weights=True,
            sigma=protocol.sigma,
            use_sample_covariance=False,
            channel_axis=-1,
            data_range=spread,
        )
        assert found["ssim_256"][i] == pytest.approx(gaussian, rel=1e-5)
        uniform = structural_similarity(truth, ours, win_size=51, channel_axis=-1, data_range=1.0)
        assert found["ssim"][i] == pytest.approx(uniform, rel=1e-5)
        assert found["psnr"][i] == pytest.approx(
            peak_signal_noise_ratio(truth, ours, data_range=1.0), rel=1e-5
        )
        meter = PeakSignalNoiseRatio(data_range=1.0)
        assert found["psnr"][i] == pytest.approx(
            float(meter(torch.from_numpy(ours), torch.from_numpy(truth))), rel=1e-5
        )


class AsTheyAre(nn.Module):
    """Stands for Inception: the "picture" is its feature."""

    num_features = 16

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


@pytest.fixture(scope="module")
def sets() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(16, 16))
    real = rng.normal(size=(90, 16)) @ mixing
    return real.astype(np.float32), (1.1 * rng.normal(size=(70, 16)) @ mixing + 0.3).astype(
        np.float32
    )


def test_fid_equals_scipy_s_root_and_torchmetrics(sets: tuple[np.ndarray, np.ndarray]) -> None:
    real, generated = (FeatureSet(side) for side in sets)
    means = [side.astype(np.float64).mean(0) for side in sets]
    first, second = (np.cov(side.astype(np.float64), rowvar=False) for side in sets)
    root = sqrtm(first @ second).real
    expected = np.square(means[0] - means[1]).sum() + np.trace(first + second - 2 * root)
    meter = FrechetInceptionDistance(
        feature=AsTheyAre(), input_img_size=(1, 4, 4), normalize=True
    ).set_dtype(torch.float64)
    for side, is_real in zip(sets, (True, False), strict=True):
        meter.update(torch.from_numpy(side).double().view(-1, 1, 4, 4), real=is_real)
    for found in (exact_fid(real, generated), square_root_fid(real, generated).fid):
        assert found == pytest.approx(expected, rel=1e-5)
        assert found == pytest.approx(float(meter.compute()), rel=1e-5)


def test_kid_equals_torchmetrics_on_one_whole_subset() -> None:
    rng = np.random.default_rng(2)
    real, generated = (rng.normal(shift, 1, (60, 16)).astype(np.float32) for shift in (0, 0.4))
    meter = KernelInceptionDistance(feature=AsTheyAre(), subsets=1, subset_size=60, normalize=True)
    for side, is_real in ((real, True), (generated, False)):
        meter.update(torch.from_numpy(side).view(-1, 1, 4, 4), real=is_real)
    mean, _ = meter.compute()
    assert kid(FeatureSet(real), FeatureSet(generated)) == pytest.approx(float(mean), rel=1e-5)
