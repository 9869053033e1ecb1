"""Score folders of pictures by a named protocol, step by step, each step computed once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from jcdm.evaluation.protocols import similarity
from jcdm.evaluation.protocols.files import (
    Batching,
    Pair,
    find_pairs,
    list_pictures,
    make_batches,
)
from jcdm.evaluation.protocols.frechet import FeatureSet
from jcdm.evaluation.protocols.inception import NUM_FEATURES, InceptionTrunk, prepare_pictures
from jcdm.evaluation.protocols.perceptual import PerceptualDistance
from jcdm.evaluation.protocols.pictures import Size, read_resized
from jcdm.evaluation.protocols.protocol import Protocol

COMPUTE_BATCH = 16  # pictures a network sees at once; changes no number beyond rounding
SCORE_DTYPES = {"psnr": "float64"}  # of a value a pair; all others are float32, as published


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """What is scored. reference: FID's real side; pairs: CSV list, for protocols that take one."""

    generated: Path
    truth: Path
    reference: Path | None = None
    pairs: Path | None = None


class FolderEvaluation:
    """The steps of a protocol on folders, at size (height, width). Errors: DataError."""

    def __init__(self, protocol: Protocol, folders: Folders, size: Size) -> None:
        self.protocol, self.folders, self.size = protocol, folders, size

    @cached_property
    def _found_pairs(self) -> tuple[list[Pair], list[str]]:
        folders = self.folders
        return find_pairs(self.protocol, folders.generated, folders.truth, folders.pairs)

    @property
    def pairs(self) -> list[Pair]:
        """Pairs in scoring order."""
        return self._found_pairs[0]

    @property
    def skipped(self) -> list[str]:
        """Generated pictures without truth, which the protocol passes over."""
        return self._found_pairs[1]

    @cached_property
    def real_files(self) -> list[Path]:
        """FID's real side, in order, before batches drop any."""
        if self.folders.reference is None:
            return []
        suffixes, by_suffix = self.protocol.reference_suffixes, self.protocol.by_suffix
        return list_pictures(self.folders.reference, suffixes, by_suffix=by_suffix)

    @cached_property
    def generated_files(self) -> list[Path]:
        """FID's generated side, in order, before batches drop any."""
        if self.protocol.fid_generated == "pairs":
            return [pair.generated for pair in self.pairs]
        suffixes, by_suffix = self.protocol.reference_suffixes, self.protocol.by_suffix
        return list_pictures(self.folders.generated, suffixes, by_suffix=by_suffix)

    @property
    def real_batches(self) -> Batching:
        """Batches of FID's real side, which comes first."""
        choice = self.protocol
        return make_batches(len(self.real_files), choice.fid_batch, drop_tail=choice.fid_drop_tail)

    @property
    def generated_batches(self) -> Batching:
        """Batches of FID's generated side; a batch that shrank stays so."""
        batch = self.real_batches.batch_after
        drop = self.protocol.fid_drop_tail
        return make_batches(len(self.generated_files), batch, drop_tail=drop)

    @property
    def lpips_batches(self) -> Batching:
        """Batches of LPIPS over the pairs."""
        choice = self.protocol
        return make_batches(len(self.pairs), choice.lpips_batch, drop_tail=choice.lpips_drop_tail)

    def read_truth(self, path: Path) -> np.ndarray:
        """Read a truth or reference picture: (H,W,3) float32."""
        return read_resized(path, self.size, self.protocol.truth_resize, self.protocol.decode)

    def read_generated(self, path: Path) -> np.ndarray:
        """Read a generated picture: (H,W,3) float32."""
        return read_resized(path, self.size, self.protocol.generated_resize, self.protocol.decode)

    @cached_property
    def similarities(self) -> dict[str, np.ndarray]:
        """Scores of every pair that need no network: name -> (num_pairs,)."""
        rows = [
            pair_scores(
                self.protocol, self.read_truth(pair.truth), self.read_generated(pair.generated)
            )
            for pair in self.pairs
        ]
        return {
            name: np.array([row[name] for row in rows], dtype=SCORE_DTYPES.get(name, "float32"))
            for name in self.protocol.scores
        }

    def perceptual(self, network: PerceptualDistance) -> np.ndarray:
        """LPIPS of the pairs that batches leave over, generated first: (n,) float32."""
        used = self.pairs[: self.lpips_batches.num_used]
        found = []
        for chunk in _chunks(used):
            pictures = (
                _stack([self.read_generated(pair.generated) for pair in chunk], network),
                _stack([self.read_truth(pair.truth) for pair in chunk], network),
            )
            if self.protocol.lpips_range == "symmetric":
                pictures = (2 * pictures[0] - 1, 2 * pictures[1] - 1)
            found.append(_run(network, *pictures))
        return np.concatenate(found)

    def real_features(self, network: InceptionTrunk) -> FeatureSet:
        """Features of the reference pictures that batches leave over."""
        return self._features(
            network, self.real_files[: self.real_batches.num_used], self.read_truth
        )

    def generated_features(self, network: InceptionTrunk) -> FeatureSet:
        """Features of the generated pictures that batches leave over."""
        used = self.generated_files[: self.generated_batches.num_used]
        return self._features(network, used, self.read_generated)

    def _features(
        self, network: InceptionTrunk, files: list[Path], read: Callable[[Path], np.ndarray]
    ) -> FeatureSet:
        choice = self.protocol
        found = [np.zeros((0, NUM_FEATURES), np.float32)]
        for chunk in _chunks(files):
            prepared = prepare_pictures(
                _stack([read(path) for path in chunk], network),
                symmetric=choice.inception_input == "symmetric",
                antialias=choice.inception_antialias,
            )
            found.append(_run(network, prepared))
        return FeatureSet(np.concatenate(found), choice.fid_mean_dtype)


def pair_scores(protocol: Protocol, truth: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """Score one pair of pictures (H,W,3) float32 by everything that needs no network."""
    fixed = protocol.ssim_256_range == "fixed"
    spread = 1.0 if fixed else similarity.value_range(generated)
    kinds = [
        (similarity.uniform_window(protocol.ssim_window), 1.0),
        (similarity.gaussian_window(protocol.sigma), spread),
    ]
    uniform, gaussian = similarity.structural_similarities(truth, generated, kinds)
    scores = {
        "psnr": similarity.psnr(truth, generated),
        "ssim": uniform,
        "ssim_256": gaussian,
        "mae": similarity.relative_error(truth, generated),
        "l1": similarity.mean_difference(truth, generated),
    }
    return {name: scores[name] for name in protocol.scores}


def _chunks(items: Sequence) -> Iterator[Sequence]:
    for start in range(0, len(items), COMPUTE_BATCH):
        yield items[start : start + COMPUTE_BATCH]


def _stack(pictures: list[np.ndarray], network: nn.Module) -> Tensor:
    """Put pictures (H,W,3) where a network is: (N,3,H,W)."""
    device = next(network.parameters()).device
    batch = torch.from_numpy(np.stack(pictures)).to(device)
    return rearrange(batch, "n h w c -> n c h w").contiguous()


@torch.no_grad()
def _run(network: nn.Module, *inputs: Tensor) -> np.ndarray:
    """Call a network in full float32: a GPU's short format for convolutions would show in FID."""
    with torch.backends.cudnn.flags(allow_tf32=False):
        return network(*inputs).float().cpu().numpy()
