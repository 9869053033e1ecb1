import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jcdm.errors import ConfigError
from jcdm.evaluation import metrics
from jcdm.evaluation.metrics import ScoreTally, measure_pictures


def random_pictures(seed: int, shape: tuple[int, ...] = (2, 3, 24, 20, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def ssim_the_slow_way(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. (2004), equation 13, one channel at a time, borders of 5 pixels left out."""

    def blur(picture: np.ndarray) -> np.ndarray:
        return gaussian_filter(picture, 1.5, truncate=3.5)

    channels = []
    for a, b in zip(np.moveaxis(x, -1, 0), np.moveaxis(y, -1, 0), strict=True):
        mean_a, mean_b = blur(a), blur(b)
        variance_a, variance_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
        covariance = blur(a * b) - mean_a * mean_b
        top = (2 * mean_a * mean_b + 0.01**2) * (2 * covariance + 0.03**2)
        bottom = (mean_a**2 + mean_b**2 + 0.01**2) * (variance_a + variance_b + 0.03**2)
        channels.append((top / bottom)[5:-5, 5:-5].mean())
    return float(np.mean(channels))


def test_picture_metrics_equal_independent_computations() -> None:
    ours, truth = random_pictures(0), random_pictures(1)
    targets = np.array([[False, True, False], [True, False, True]])
    values = measure_pictures(ours, truth, targets)
    pairs = [(ours[b, v] / 255, truth[b, v] / 255) for b, v in ((0, 1), (1, 0), (1, 2))]
    squared = [sum((x - y) ** 2 for x, y in zip(a.flat, b.flat, strict=True)) for a, b in pairs]
    size = 24 * 20 * 3
    assert values["PSNR"] == pytest.approx(
        [20 * math.log10(1 / math.sqrt(s / size)) for s in squared]
    )
    assert values["SSIM"] == pytest.approx([ssim_the_slow_way(a, b) for a, b in pairs], abs=1e-9)
    assert values["L1"] == pytest.approx([abs(a - b).sum() / size for a, b in pairs])


@pytest.mark.parametrize("name", sorted(metrics.PICTURE_METRICS))
def test_only_target_views_count(name: str) -> None:
    ours, truth = random_pictures(0), random_pictures(1)
    targets = np.array([[False, True, True], [True, False, True]])
    before = measure_pictures(ours, truth, targets)[name]
    changed = ours.copy()
    changed[~targets] = 0
    assert measure_pictures(changed, truth, targets)[name] == before
    changed[1, 2] = 0
    after = measure_pictures(changed, truth, targets)[name]
    assert after[:-1] == before[:-1]
    assert after[-1] != before[-1]


def test_identical_views_leave_the_mean_of_psnr_and_are_counted() -> None:
    truth = random_pictures(0)
    ours = truth.copy()
    ours[0, 1] = 255 - ours[0, 1]
    targets = np.array([[False, True, True], [True, False, False]])
    tally = ScoreTally()
    tally.add_all(measure_pictures(ours, truth, targets))
    value, count = tally.scores().values["PSNR"]
    assert count == 1
    assert tally.num_infinite == {"PSNR": 2}
    assert value == metrics.psnr(ours[0, 1] / 255.0, truth[0, 1] / 255.0)
    assert tally.scores().values["SSIM"][1] == 3


def test_a_mean_weighs_every_view_alike() -> None:
    tally = ScoreTally()
    tally.add("L1", [0.1])
    tally.add("L1", [0.2, 0.3, 0.4])
    assert tally.scores().values["L1"] == (pytest.approx(0.25), 4)


def test_a_tally_refuses_what_it_cannot_average() -> None:
    with pytest.raises(ArithmeticError, match="SSIM"):
        ScoreTally().add("SSIM", [math.nan])
    with pytest.raises(ConfigError, match=r"'beauty' has no definition.*define_score"):
        ScoreTally().add("beauty", [1.0])


def test_a_name_means_one_formula() -> None:
    with pytest.raises(ConfigError, match="'SSIM' is already defined"):
        metrics.define_score("SSIM", "up", "Something else.")
    known = metrics.DEFINITIONS["SSIM"]
    assert metrics.define_score(known.name, known.direction, known.formula) == known
    assert metrics.find_score("PSNR").heading == "PSNR ↑"
