"""What is measured of pictures: scores of pairs, and features for distances between sets."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from jcdm.evaluation.chunk_store import content_hash, make_key
from jcdm.evaluation.pair_scores import PairBatch, PairScorer
from jcdm.evaluation.protocols.files import Pair
from jcdm.evaluation.protocols.inception import InceptionTrunk, prepare_pictures
from jcdm.evaluation.protocols.networks import run_network, stack_pictures
from jcdm.evaluation.protocols.pictures import PictureReader
from jcdm.evaluation.protocols.protocol import Protocol
from jcdm.models.identity import weights_hash

FEATURES = "features"
PoseReader = Callable[[Path], np.ndarray]
"""Joints (18,3) of a true picture; confidence 0 where a joint, or the whole pose, is not known."""
ReadPair = tuple[np.ndarray, np.ndarray, np.ndarray]
_VERSION = "1"  # of what is computed here and in similarity.py; new numbers need a new one


@dataclass(frozen=True, kw_only=True)
class PairMeasurement:
    """All scores of pairs in one reading of the pictures."""

    generated: PictureReader
    truth: PictureReader
    poses: PoseReader
    scorers: Sequence[PairScorer]

    @cached_property
    def identity(self) -> str:
        """Name the reading of pictures and every score."""
        scorers = (f"{scorer.identity} {scorer.names}" for scorer in self.scorers)
        return make_key([_VERSION, str(self.generated), str(self.truth), *scorers])

    def content(self, item: Pair) -> str:
        """Hash both pictures and the pose."""
        pose = hashlib.sha256(self.poses(item.truth).tobytes()).hexdigest()
        return f"{content_hash(item.generated)} {content_hash(item.truth)} {pose}"

    def read(self, item: Pair) -> ReadPair:
        """Read generated and true picture, and the pose. Errors: DataError."""
        return self.generated(item.generated), self.truth(item.truth), self.poses(item.truth)

    def compute(self, items: Sequence[ReadPair]) -> Mapping[str, np.ndarray]:
        """Score pairs: name -> (N,)."""
        generated, truth, poses = (np.stack(column) for column in zip(*items, strict=True))
        batch = PairBatch(generated=generated, truth=truth, poses=poses)
        found: dict[str, np.ndarray] = {}
        for scorer in self.scorers:
            found |= scorer.score(batch)
        return found


@dataclass(frozen=True, kw_only=True)
class FeatureMeasurement:
    """Features of pictures for distances between sets."""

    network: InceptionTrunk
    reader: PictureReader
    protocol: Protocol

    @cached_property
    def identity(self) -> str:
        """Name the reading of pictures, their preparation and the weights."""
        prepared = f"{self.protocol.inception_input} {self.protocol.inception_antialias}"
        return make_key(
            [_VERSION, FEATURES, str(self.reader), prepared, weights_hash(self.network)]
        )

    def content(self, item: Path) -> str:
        """Hash a picture."""
        return content_hash(item)

    def read(self, item: Path) -> np.ndarray:
        """Read a picture: (H,W,3) float32. Errors: DataError."""
        return self.reader(item)

    def compute(self, items: Sequence[np.ndarray]) -> Mapping[str, np.ndarray]:
        """Features of pictures: (N,2048) float32."""
        prepared = prepare_pictures(
            stack_pictures(items, self.network),
            symmetric=self.protocol.inception_input == "symmetric",
            antialias=self.protocol.inception_antialias,
        )
        return {FEATURES: run_network(self.network, prepared)}
