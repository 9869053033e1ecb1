"""Which scores of the person can be computed with what is at hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jcdm.errors import CheckpointError, ConfigError
from jcdm.evaluation.pair_scores import PairBatch, PairScorer
from jcdm.evaluation.person_scores.clip_similarity import ClipSimilarity
from jcdm.evaluation.person_scores.colours import GarmentColour
from jcdm.evaluation.person_scores.faces import FacePerceptual
from jcdm.evaluation.person_scores.masked import MaskedPerceptual, MaskedSimilarity
from jcdm.evaluation.person_scores.pose_accuracy import PoseAccuracy
from jcdm.evaluation.person_scores.regions import RegionSimilarity
from jcdm.evaluation.protocols.perceptual import PerceptualDistance
from jcdm.evaluation.protocols.protocol import Protocol
from jcdm.models.encoders import FrozenCLIPVision
from jcdm.poses.detector import PoseDetector

_POSES, _LPIPS, _CLIP, _DETECTOR = "poses", "lpips", "clip", "detector"
_LACKS = {
    _POSES: "no true poses; name a file of poses.",
    _LPIPS: "no AlexNet weights; name a local file of them.",
    _CLIP: "no CLIP image encoder; name a local folder of one.",
    _DETECTOR: "no pose detector; name its local weights.",
}
_NEEDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(MaskedSimilarity.names, (_POSES,)),
    **dict.fromkeys(MaskedPerceptual.names, (_POSES, _LPIPS)),
    **dict.fromkeys(RegionSimilarity.names, (_POSES,)),
    **dict.fromkeys(FacePerceptual.names, (_POSES, _LPIPS)),
    **dict.fromkeys(GarmentColour.names, (_POSES,)),
    **dict.fromkeys(ClipSimilarity.names, (_CLIP,)),
    **dict.fromkeys(PoseAccuracy.names, (_POSES, _DETECTOR)),
}
PERSON_SCORES = tuple(_NEEDS)
"""Names of all scores of the person, in the order of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonScorers:
    """scorers: ready to score. notes: one line for each score that is left out, and why."""

    scorers: tuple[PairScorer, ...]
    notes: tuple[str, ...]


class _Chosen:
    """Some of a scorer's scores."""

    def __init__(self, scorer: PairScorer, names: tuple[str, ...]) -> None:
        self._scorer, self.names = scorer, names

    @property
    def identity(self) -> str:
        return self._scorer.identity

    def score(self, batch: PairBatch) -> Mapping[str, np.ndarray]:
        values = self._scorer.score(batch)
        return {name: values[name] for name in self.names}


def person_scorers(
    protocol: Protocol,
    *,
    has_poses: bool,
    perceptual: PerceptualDistance | None = None,
    clip: FrozenCLIPVision | None = None,
    detector: PoseDetector | None = None,
    names: Sequence[str] | None = None,
) -> PersonScorers:
    """Build what can be built of the scores of the person.

    has_poses: whether true poses are known. names: scores that must be computed, None = all that
    can be. Errors: ConfigError for an unknown name, or one whose poses are not known;
    CheckpointError for one whose weights are not at hand.
    """
    at_hand = {_POSES} if has_poses else set()
    parts = {_LPIPS: perceptual, _CLIP: clip, _DETECTOR: detector}
    at_hand |= {need for need, part in parts.items() if part is not None}
    lacking = {
        name: missing[0]
        for name, needs in _NEEDS.items()
        if (missing := [need for need in needs if need not in at_hand])
    }
    if names is not None:
        _check(names, lacking)
    wanted = {name for name in _NEEDS if name not in lacking and (names is None or name in names)}
    built = _build(protocol, perceptual, clip, detector)
    return PersonScorers(
        scorers=tuple(_choose(scorer, wanted) for scorer in built if wanted & {*scorer.names}),
        notes=()
        if names
        else tuple(f"{n} left out: {_LACKS[need]}" for n, need in lacking.items()),
    )


def _check(names: Sequence[str], lacking: Mapping[str, str]) -> None:
    for name in names:
        if name not in _NEEDS:
            raise ConfigError(
                f"score {name!r} is none of the person; expected some of {', '.join(_NEEDS)}."
            )
        if name in lacking:
            error = ConfigError if lacking[name] == _POSES else CheckpointError
            raise error(f"{name} was asked for: {_LACKS[lacking[name]]}")


def _build(
    protocol: Protocol,
    perceptual: PerceptualDistance | None,
    clip: FrozenCLIPVision | None,
    detector: PoseDetector | None,
) -> list[PairScorer]:
    scorers: list[PairScorer] = [MaskedSimilarity(protocol)]
    if perceptual is not None:
        scorers.append(MaskedPerceptual(protocol, perceptual))
    scorers.append(RegionSimilarity(protocol))
    if perceptual is not None:
        scorers.append(FacePerceptual(protocol, perceptual))
    scorers.append(GarmentColour())
    if clip is not None:
        scorers.append(ClipSimilarity(clip))
    if detector is not None:
        scorers.append(PoseAccuracy(detector))
    return scorers


def _choose(scorer: PairScorer, wanted: set[str]) -> PairScorer:
    names = tuple(name for name in scorer.names if name in wanted)
    return scorer if names == scorer.names else _Chosen(scorer, names)
