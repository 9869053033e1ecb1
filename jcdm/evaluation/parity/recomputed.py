"""A recorded case computed again by this project's protocols, each part when it is asked for."""

import hashlib
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from jcdm.compat.checkpoint_files import read_checkpoint
from jcdm.evaluation.parity.recorded import MetricFolder
from jcdm.evaluation.parity.seeded import digest, seeded_weights
from jcdm.evaluation.protocols.frechet import FeatureSet, SquareRoot, exact_fid, square_root_fid
from jcdm.evaluation.protocols.inception import InceptionTrunk
from jcdm.evaluation.protocols.networks import build_inception, build_perceptual, packaged_heads
from jcdm.evaluation.protocols.pair_scorers import LPIPS, PerceptualScorer
from jcdm.evaluation.protocols.perceptual import PerceptualDistance
from jcdm.evaluation.protocols.results import aggregate, report_line
from jcdm.evaluation.protocols.scoring import Evaluation

_NUM_SPOTS = 4


class SeededNetworks:
    """The two recorded networks and facts of their weights, drawn once."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self._facts: dict[str, dict[str, Any]] = {}

    def facts(self, network: str) -> dict[str, Any]:
        """Digest, counts and first values of a network's weights."""
        if network not in self._facts:
            self._draw(network)
        return self._facts[network]

    @cached_property
    def inception(self) -> InceptionTrunk:
        """The trunk of Inception-v3."""
        return build_inception(self._draw("inception_v3"))

    @cached_property
    def perceptual(self) -> PerceptualDistance:
        """LPIPS on the seeded AlexNet, with the published heads."""
        return build_perceptual(self._draw("alexnet"), read_checkpoint(packaged_heads()))

    def _draw(self, network: str) -> dict[str, Tensor]:
        weights = seeded_weights(network, self.offset)
        self._facts[network] = {
            "sha256": digest(weights),
            "n_float32": sum(tensor.numel() for tensor in weights.values()),
            "n_tensors": len(weights),
            "spots": {
                name: tensor.flatten()[:_NUM_SPOTS].tolist() for name, tensor in weights.items()
            },
        }
        return weights


class RecomputedCase:
    """Everything that one case has numbers for. evaluation: the protocol on its pictures."""

    def __init__(self, folder: MetricFolder, case: str, networks: SeededNetworks) -> None:
        self.name, self.networks = case, networks
        self.evaluation, self._folder = folder.evaluation(case), folder
        self.crop_files: list[str] = folder.expected[case].get("crop_files", [])

    @cached_property
    def edge(self) -> Evaluation:
        """The protocol on the corner cases, which a record may lack."""
        return self._folder.edge_evaluation(self.name)

    @property
    def num_pairs(self) -> int:
        """Number of pairs of the case."""
        return len(self.evaluation.selection.pairs)

    def _evaluation(self, at_edge: bool) -> Evaluation:
        return self.edge if at_edge else self.evaluation

    @cached_property
    def _lpips(self) -> np.ndarray:
        evaluation = self.evaluation
        return self._perceptual(evaluation)[: evaluation.lpips_batches.num_used]

    def _perceptual(self, evaluation: Evaluation) -> np.ndarray:
        scorer = PerceptualScorer(evaluation.protocol, self.networks.perceptual)
        return evaluation.pair_values([scorer])[LPIPS]

    def per_image(self, score: str, *, at_edge: bool = False) -> np.ndarray:
        """Return a score of every pair, or of the corner cases `at_edge`."""
        if score == LPIPS:
            return self._perceptual(self.edge) if at_edge else self._lpips
        return self._evaluation(at_edge).similarities[score]

    def aggregates(self, score: str) -> float:
        """Return a score's mean, or under NAME_variance its variance."""
        name = score.removesuffix("_variance")
        return aggregate(self.evaluation.protocol, {name: self.per_image(name)})[score]

    def reported(self, score: str, *, at_edge: bool = False) -> float:
        """Return a number of the published script's summary line."""
        protocol, similarities = self.evaluation.protocol, self._evaluation(at_edge).similarities
        return report_line(protocol, aggregate(protocol, similarities))[score]

    @cached_property
    def features(self) -> dict[str, FeatureSet]:
        """FID's two sides: real, generated."""
        network = self.networks.inception
        return {
            "real": self.evaluation.real_features(network),
            "generated": self.evaluation.generated_features(network),
        }

    @cached_property
    def root(self) -> SquareRoot:
        """The FID by SciPy's square root."""
        return square_root_fid(self.features["real"], self.features["generated"])

    def control(self, name: str) -> float:
        """Exact FID between two sets, by the name of a recorded control."""
        real, generated = self.features["real"], self.features["generated"]
        if name == "reference_even_vs_odd":
            even, odd = (FeatureSet(real.features[i::2], real.mean_dtype) for i in range(2))
            return exact_fid(even, odd)
        others = {"reference_vs_itself": real, "reference_vs_generated": generated}
        return exact_fid(real, others[name])

    def statistics(self, side: str) -> dict[str, Any]:
        """Summaries of a side's statistics, as they are recorded."""
        found = self.features[side]
        mean, covariance = found.mean.astype(np.float64), found.covariance
        return {
            "mu_sum": mean.sum(),
            "mu_sq": np.square(mean).sum(),
            "mu_first8": mean[:8],
            "sigma_trace": np.trace(covariance),
            "sigma_frob": np.linalg.norm(covariance),
            "sigma_sum": covariance.sum(),
            "sigma_block4": covariance[:4, :4],
            "mu_dtype": str(found.mean.dtype),
            "sigma_dtype": str(covariance.dtype),
        }

    def array(self, name: str) -> np.ndarray:
        """Return a recorded array's counterpart: mu_real, diag_real, feat_real and the like."""
        kind, _, side = name.partition("_")
        found = self.features[side]
        if kind == "mu":
            return found.mean
        return np.diag(found.covariance) if kind == "diag" else found.features

    def resized_bytes(self, side: str) -> list[dict[str, Any]]:
        """Sum and SHA-256 of the resized 8-bit pictures of all pairs: `truth` or `generated`."""
        return [
            {
                "sum": int(picture.sum(dtype=np.int64)),
                "sha256_hwc": hashlib.sha256(picture.tobytes()).hexdigest(),
            }
            for picture in (self.eight_bits(side, i) for i in range(self.num_pairs))
        ]

    def eight_bits(self, side: str, index: int) -> np.ndarray:
        """Return a pair's resized picture in 8 bits, (H,W,3)."""
        pair = self.evaluation.selection.pairs[index]
        if side == "truth":
            picture = self.evaluation.read_truth(pair.truth)
        else:
            picture = self.evaluation.read_generated(pair.generated)
        return np.rint(picture * 255).astype(np.uint8)
