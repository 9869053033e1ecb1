"""Scores of views that were painted together, over seeds."""

from collections.abc import Mapping, Sequence

import numpy as np

from jcdm.evaluation.bootstrap import bootstrap_intervals
from jcdm.evaluation.person_scores.consistency import set_scores
from jcdm.evaluation.protocols.files import Pair
from jcdm.evaluation.protocols.results import Scoring
from jcdm.evaluation.protocols.scoring import NO_POSE, Evaluation
from jcdm.evaluation.protocols.selection import Selection
from jcdm.models.encoders import FrozenCLIPVision

Intervals = dict[str, tuple[float, float]]


def score_painted_sets(
    scoring: Scoring,
    selections: Sequence[Selection],
    sets: Sequence[Sequence[str]],
    clip: FrozenCLIPVision | None,
) -> tuple[dict[str, float], Intervals]:
    """Score sets of pictures, named by file; sets of which fewer than two are left do not count.

    selections: pair by pair the same, one a seed. Returns means over sets and seeds, and their
    intervals over sets; nothing where no set is left. Errors: DataError for pictures.
    """
    place = {pair.generated.name: i for i, pair in enumerate(selections[0].pairs)}
    groups = [[place[name] for name in names if name in place] for names in sets]
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        return {}, {}
    seeds = [_score(scoring, selection.pairs, groups, clip) for selection in selections]
    values = {name: np.mean([seed[name] for seed in seeds], axis=0) for name in seeds[0]}
    known = {name: array for name, array in values.items() if not np.isnan(array).all()}
    return {n: float(np.nanmean(array)) for n, array in known.items()}, bootstrap_intervals(known)


def _score(
    scoring: Scoring,
    pairs: Sequence[Pair],
    groups: Sequence[Sequence[int]],
    clip: FrozenCLIPVision | None,
) -> Mapping[str, np.ndarray]:
    lists = Selection(pairs=pairs, real_files=(), generated_files=())
    readers = Evaluation(scoring.protocol, lists, scoring.size, poses=scoring.poses)

    def read(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        pair = pairs[number]
        pose = readers.poses(pair.truth)
        generated, truth = readers.read_generated(pair.generated), readers.read_truth(pair.truth)
        return generated, truth, None if pose is NO_POSE else pose

    return set_scores(groups, read, encoder=clip)
