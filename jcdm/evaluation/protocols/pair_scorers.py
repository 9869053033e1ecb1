"""A protocol's own scores of pairs: those that need no network, and LPIPS."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from jcdm.evaluation.pair_scores import PairBatch
from jcdm.evaluation.protocols import similarity
from jcdm.evaluation.protocols.networks import run_network, stack_pictures
from jcdm.evaluation.protocols.perceptual import PerceptualDistance
from jcdm.evaluation.protocols.protocol import Protocol
from jcdm.models.identity import weights_hash

LPIPS = "lpips"
SCORE_DTYPES = {"psnr": "float64"}  # of a value a pair; all others are float32, as published


class SimilarityScorer:
    """PSNR, both SSIMs, MAE and L1, as far as a protocol has them."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.names = protocol.scores
        self.identity = (
            f"similarity {protocol.ssim_window} {protocol.sigma} {protocol.ssim_256_range}"
        )

    def score(self, batch: PairBatch) -> Mapping[str, np.ndarray]:
        """Score every pair: name -> (N,), float64 PSNR and float32 others."""
        pairs = zip(batch.truth, batch.generated, strict=True)
        rows = [similarities(self.protocol, truth, generated) for truth, generated in pairs]
        return {
            name: np.array([row[name] for row in rows], dtype=SCORE_DTYPES.get(name, "float32"))
            for name in self.names
        }


class PerceptualScorer:
    """LPIPS, the generated picture first."""

    names: tuple[str, ...] = (LPIPS,)

    def __init__(self, protocol: Protocol, network: PerceptualDistance) -> None:
        self.protocol, self.network = protocol, network

    @cached_property
    def identity(self) -> str:
        """Name the range of the pictures and the weights."""
        return f"{LPIPS} {self.protocol.lpips_range} {weights_hash(self.network)}"

    def score(self, batch: PairBatch) -> Mapping[str, np.ndarray]:
        """Score every pair: (N,) float32."""
        sides = [
            stack_pictures(list(side), self.network) for side in (batch.generated, batch.truth)
        ]
        if self.protocol.lpips_range == "symmetric":
            sides = [2 * side - 1 for side in sides]
        return {LPIPS: run_network(self.network, *sides)}


def similarities(protocol: Protocol, truth: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """Score one pair of pictures (H,W,3) float32 by everything that needs no network."""
    kinds = similarity.published_kinds(
        generated,
        size=protocol.ssim_window,
        sigma=protocol.sigma,
        fixed_range=protocol.ssim_256_range == "fixed",
    )
    uniform, gaussian = similarity.structural_similarities(truth, generated, kinds)
    scores = {
        "psnr": similarity.psnr(truth, generated),
        "ssim": uniform,
        "ssim_256": gaussian,
        "mae": similarity.relative_error(truth, generated),
        "l1": similarity.mean_difference(truth, generated),
    }
    return {name: scores[name] for name in protocol.scores}
