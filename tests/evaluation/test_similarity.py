"""Picture-pair scores equal scikit-image's, or a formula written the slow way."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from jcdm.errors import DataError
from jcdm.evaluation.protocols import similarity
from jcdm.evaluation.protocols.similarity import (
    Window,
    gaussian_window,
    structural_similarities,
    uniform_window,
    value_range,
)

SIZE = (96, 70)


def pictures(seed: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures (H,W,3) float32, values a little beyond [0,1]."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.random((*SIZE, 3)), (4, 4, 0)) * 4 - 1.5
    if kind == "noise":
        smooth = rng.random((*SIZE, 3))
    if kind == "white background":
        smooth[:, :30] = 1
    other = smooth + 0.1 * rng.standard_normal(smooth.shape)
    if kind == "white background":
        other[:, :30] = 1
    return smooth.astype(np.float32), other.astype(np.float32)


def reference(truth: np.ndarray, generated: np.ndarray, sigma: float) -> tuple[float, float]:
    """Both kinds by scikit-image in float64, the second on pictures of 0 to 255."""
    a, b = truth.astype(np.float64), generated.astype(np.float64)
    uniform = structural_similarity(a, b, win_size=51, channel_axis=-1, data_range=1.0)
    gaussian = structural_similarity(
        255 * a,
        255 * b,
        gaussian_weights=True,
        sigma=sigma,
        use_sample_covariance=False,
        channel_axis=-1,
        data_range=255 * (b.max() - b.min()),
    )
    return float(uniform), float(gaussian)


@pytest.mark.parametrize("kind", ["smooth", "noise", "white background"])
@pytest.mark.parametrize("sigma", [1.2, 1.5])
def test_both_kinds_equal_scikit_image(kind: str, sigma: float) -> None:
    for seed in range(3):
        truth, generated = pictures(seed, kind)
        kinds = [(uniform_window(), 1.0), (gaussian_window(sigma), value_range(generated))]
        found = structural_similarities(truth, generated, kinds)
        assert found == pytest.approx(reference(truth, generated, sigma), abs=1e-6)


def test_population_covariance_and_a_fixed_range_are_choices_that_count() -> None:
    truth, generated = pictures(0, "noise")
    kinds = [
        (uniform_window(), 1.0),
        (uniform_window(sample=False), 1.0),
        (gaussian_window(1.5), value_range(generated)),
        (gaussian_window(1.2), value_range(generated)),
        (gaussian_window(1.5), 1.0),
        (gaussian_window(1.5, sample=True), value_range(generated)),
    ]
    assert len(set(structural_similarities(truth, generated, kinds))) == len(kinds)


def test_psnr_mae_and_l1_equal_their_formulas() -> None:
    truth, generated = pictures(1, "smooth")
    a, b = truth.astype(np.float64), generated.astype(np.float64)
    expected = peak_signal_noise_ratio(truth, generated, data_range=1)
    assert similarity.psnr(truth, generated) == pytest.approx(expected, rel=1e-9)
    assert similarity.relative_error(truth, generated) == pytest.approx(
        np.abs(a - b).sum() / (a + b).sum(), rel=1e-5
    )
    assert similarity.mean_difference(truth, generated) == pytest.approx(
        np.abs(a - b).mean(), rel=1e-5
    )


def test_identical_pictures_are_one_and_infinite() -> None:
    truth, _ = pictures(0, "white background")
    kinds = [(uniform_window(), 1.0), (gaussian_window(1.5), value_range(truth))]
    assert structural_similarities(truth, truth, kinds) == [1, 1]
    assert similarity.psnr(truth, truth) == math.inf
    black = np.zeros_like(truth)
    assert math.isnan(similarity.relative_error(black, black))


def test_a_flat_prediction_has_no_range_and_no_similarity() -> None:
    truth, _ = pictures(0, "smooth")
    flat = np.full_like(truth, 0.5)
    uniform, gaussian = structural_similarities(
        truth, flat, [(uniform_window(), 1.0), (gaussian_window(1.2), value_range(flat))]
    )
    assert math.isfinite(uniform) and math.isnan(gaussian)


def test_bad_pairs_are_refused_in_one_line() -> None:
    truth, generated = pictures(0, "smooth")
    with pytest.raises(DataError, match="smaller than the SSIM window of 51"):
        structural_similarities(truth[:40], generated[:40], [(uniform_window(), 1.0)])
    with pytest.raises(DataError, match="differ in shape"):
        structural_similarities(truth, generated[:-1], [(uniform_window(), 1.0)])
    with pytest.raises(DataError, match="odd number"):
        Window(size=8)
