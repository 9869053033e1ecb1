"""Score lists of pictures by a named protocol, step by step, each step computed once."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from jcdm.evaluation.pair_scores import PairScorer
from jcdm.evaluation.protocols.files import Batching, make_batches
from jcdm.evaluation.protocols.frechet import FeatureSet
from jcdm.evaluation.protocols.inception import InceptionTrunk
from jcdm.evaluation.protocols.measurements import (
    FEATURES,
    FeatureMeasurement,
    PairMeasurement,
    PoseReader,
)
from jcdm.evaluation.protocols.measuring import Measured, Work, measure, share
from jcdm.evaluation.protocols.pair_scorers import SimilarityScorer
from jcdm.evaluation.protocols.pictures import PictureReader, Size
from jcdm.evaluation.protocols.protocol import Protocol
from jcdm.evaluation.protocols.selection import Selection

NO_POSE = np.zeros((18, 3), np.float32)


class Evaluation:
    """The steps of a protocol on lists of files, at size (height, width). Errors: DataError.

    work: where numbers are kept, and what a bad picture does; where they are left out, a pair with
    one is left out of everything, and a picture of a set of the set; `bad` names them, with the
    reason, and `selection` is what is left. poses: of true pictures.
    """

    def __init__(
        self,
        protocol: Protocol,
        selection: Selection,
        size: Size,
        *,
        work: Work | None = None,
        poses: PoseReader | None = None,
    ) -> None:
        self.protocol, self.selection, self.size = protocol, selection, size
        self.work, self.poses = work or Work(), poses or (lambda _path: NO_POSE)
        self.bad: dict[str, str] = {}
        decode = protocol.decode
        self.read_truth = PictureReader(size=size, resize=protocol.truth_resize, decode=decode)
        self.read_generated = PictureReader(
            size=size, resize=protocol.generated_resize, decode=decode
        )

    @property
    def real_batches(self) -> Batching:
        """Batches of FID's real side, which comes first."""
        choice, count = self.protocol, len(self.selection.real_files)
        return make_batches(count, choice.fid_batch, drop_tail=choice.fid_drop_tail)

    @property
    def generated_batches(self) -> Batching:
        """Batches of FID's generated side; a batch that shrank stays so."""
        batch, count = self.real_batches.batch_after, len(self.selection.generated_files)
        return make_batches(count, batch, drop_tail=self.protocol.fid_drop_tail)

    @property
    def lpips_batches(self) -> Batching:
        """Batches of LPIPS over the pairs."""
        choice, count = self.protocol, len(self.selection.pairs)
        return make_batches(count, choice.lpips_batch, drop_tail=choice.lpips_drop_tail)

    def pair_values(self, scorers: Sequence[PairScorer]) -> dict[str, np.ndarray]:
        """Values of every pair that can be read: name -> (num_pairs,)."""
        measurement = PairMeasurement(
            generated=self.read_generated,
            truth=self.read_truth,
            poses=self.poses,
            scorers=scorers,
        )
        pairs = self.selection.pairs
        found = measure(pairs, measurement, self.work, "pairs")
        if found.bad:
            self._leave_out_pairs(found)
        return found.values

    @cached_property
    def similarities(self) -> dict[str, np.ndarray]:
        """Scores of every pair that need no network: name -> (num_pairs,)."""
        return self.pair_values([SimilarityScorer(self.protocol)])

    def real_features(self, network: InceptionTrunk) -> FeatureSet:
        """Features of the reference pictures that batches leave over."""
        found = self._features(network, self.read_truth, self.selection.real_files, "reference")
        if found.bad:
            files = self._leave_out(self.selection.real_files, found)
            self.selection = replace(self.selection, real_files=files)
        return self._set(found, self.real_batches)

    def generated_features(self, network: InceptionTrunk) -> FeatureSet:
        """Features of the generated pictures that batches leave over; after those of references."""
        files = self.selection.generated_files
        found = self._features(network, self.read_generated, files, "generated")
        if found.bad:
            files = self._leave_out(files, found)
            self.selection = replace(self.selection, generated_files=files)
        return self._set(found, self.generated_batches)

    def share_features(self, network: InceptionTrunk) -> None:
        """Compute this process's part of the features, for the process that goes on."""
        real, generated = self.selection.real_files, self.selection.generated_files
        share(real, self._measurement(network, self.read_truth), self.work)
        share(generated, self._measurement(network, self.read_generated), self.work)

    def _measurement(self, network: InceptionTrunk, reader: PictureReader) -> FeatureMeasurement:
        return FeatureMeasurement(network=network, reader=reader, protocol=self.protocol)

    def _features(
        self, network: InceptionTrunk, reader: PictureReader, files: Sequence[Path], side: str
    ) -> Measured:
        measurement = self._measurement(network, reader)
        return measure(files, measurement, self.work, f"{side} pictures")

    def _set(self, found: Measured, batching: Batching) -> FeatureSet:
        features = found.values.get(FEATURES, np.zeros((0, 1), np.float32))
        return FeatureSet(features[: batching.num_used], self.protocol.fid_mean_dtype)

    def _leave_out_pairs(self, found: Measured) -> None:
        """Take bad pairs out of all lists."""
        pairs = self.selection.pairs
        self.bad |= {pairs[i].generated.name: reason for i, reason in found.bad.items()}
        doomed = {pairs[i].generated for i in found.bad}
        files = [path for path in self.selection.generated_files if path not in doomed]
        kept = [pair for i, pair in enumerate(pairs) if i not in found.bad]
        self.selection = replace(self.selection, pairs=kept, generated_files=files)

    def _leave_out(self, files: Sequence[Path], found: Measured) -> list[Path]:
        self.bad |= {files[i].name: reason for i, reason in found.bad.items()}
        return [path for i, path in enumerate(files) if i not in found.bad]
