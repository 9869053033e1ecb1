"""Speed and memory of evaluation: similarities, networks, distances between large sets."""

from collections.abc import Iterator

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from jcdm.bench.memory import peak_memory
from jcdm.bench.results import Fact, Row
from jcdm.bench.timing import Comparison, Timing, compare_work, time_work
from jcdm.evaluation.pair_scores import PairBatch
from jcdm.evaluation.protocols.frechet import FeatureSet, exact_fid, kid
from jcdm.evaluation.protocols.inception import (
    NUM_FEATURES,
    InceptionTrunk,
    prepare_pictures,
)
from jcdm.evaluation.protocols.networks import run_network, stack_pictures
from jcdm.evaluation.protocols.pair_scorers import PerceptualScorer, similarities
from jcdm.evaluation.protocols.perceptual import AlexNetTrunk, LinearHeads, PerceptualDistance
from jcdm.evaluation.protocols.protocol import PROTOCOLS
from jcdm.seeding import generator

SIZE = (256, 176)
NUM_PAIRS, NUM_REAL = 8_570, 48_674
_BATCH = 16


def bench_evaluation(num_repeats: int = 7, *, with_sets: bool = True) -> Iterator[Row]:
    """Time similarities, networks and, with `with_sets`, distances between large sets."""
    comparison, gap = compare_similarities(num_repeats)
    yield comparison
    yield Fact(name="largest difference of the two", value=gap, unit="")
    yield from time_networks(num_repeats)
    if with_sets:
        before, peak = measure_set_distances()
        yield Fact(
            name="memory before FID, KID of 48,674 and 8,570 features", value=before, unit="MB"
        )
        yield Fact(name="FID, KID of 48,674 and 8,570 features", value=peak, unit="MB at most")


def compare_similarities(num_repeats: int = 7) -> tuple[Comparison, float]:
    """Both SSIMs and PSNR beside scikit-image called one by one; also the largest difference.

    Absolute for SSIM, relative for PSNR.
    """
    truth, generated = _pictures(2)
    protocol = PROTOCOLS["cfld"]
    ours, theirs = similarities(protocol, truth, generated), _by_skimage(truth, generated)
    gaps = (abs(ours[name] - value) / max(1.0, abs(value)) for name, value in theirs.items())
    gap = float(max(gaps))

    def work() -> int:
        similarities(protocol, truth, generated)
        return 1

    def reference() -> int:
        _by_skimage(truth, generated)
        return 1

    names = ("SSIM-51, SSIM-256, PSNR at 256 x 176", "the same by scikit-image")
    return compare_work(names, "pairs", work, reference, num_repeats=num_repeats), gap


def time_networks(num_repeats: int = 3) -> list[Timing]:
    """Inception features and LPIPS, with random weights, on the GPU where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    inception = InceptionTrunk().eval().to(device)
    heads = PerceptualDistance(AlexNetTrunk(), LinearHeads()).eval().to(device)
    pictures = _pictures(_BATCH)
    lpips = PerceptualScorer(PROTOCOLS["cfld"], heads)
    poses = np.zeros((_BATCH, 18, 3), np.float32)
    batch = PairBatch(generated=pictures, truth=pictures[::-1], poses=poses)

    def features() -> int:
        stacked = stack_pictures(list(pictures), inception)
        run_network(inception, prepare_pictures(stacked, symmetric=True, antialias=True))
        return _BATCH

    def distances() -> int:
        lpips.score(batch)
        return _BATCH

    return [
        time_work("Inception features", "pictures", features, num_repeats=num_repeats),
        time_work("LPIPS at 256 x 176", "pairs", distances, num_repeats=num_repeats),
    ]


def measure_set_distances() -> tuple[float, float]:
    """Peak memory in MB before and after FID and KID of sets as large as the protocol's."""
    before = peak_memory()
    stream = generator(0, "bench features")
    real, generated = (
        FeatureSet(stream.random((count, NUM_FEATURES), np.float32))
        for count in (NUM_REAL, NUM_PAIRS)
    )
    exact_fid(real, generated)
    kid(real, generated)
    return before, peak_memory()


def _pictures(count: int) -> np.ndarray:
    return generator(0, "bench pictures").random((count, *SIZE, 3), np.float32)


def _by_skimage(truth: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """The scores of protocol cfld as its authors call them."""
    spread = float(generated.max() - generated.min())
    return {
        "ssim": structural_similarity(
            truth, generated, win_size=51, channel_axis=-1, data_range=1.0
        ),
        "ssim_256": structural_similarity(
            truth,
            generated,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=-1,
            data_range=spread,
        ),
        "psnr": peak_signal_noise_ratio(truth, generated, data_range=1.0),
    }
