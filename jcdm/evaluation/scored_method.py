"""A method scored: over seeds, with intervals, beside rows that show what its numbers mean."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from jcdm.errors import ConfigError, DataError
from jcdm.evaluation.bootstrap import bootstrap_intervals
from jcdm.evaluation.protocols.files import Pair
from jcdm.evaluation.protocols.results import ProtocolResult, Scoring, score_pictures
from jcdm.evaluation.protocols.selection import Selection

GROUND_TRUTH = "ground truth"
CHOICE = "ssim_256"  # by which the best of several is chosen, as the published code does
StandIn = Callable[[Pair], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredMethod:
    """The first seed's result with values that are means over seeds, and what stands around it.

    spread: standard deviation of a score over seeds (n - 1), with two seeds or more. intervals: of
    means over pairs. rows: reference rows, label -> scores. best_of: None, or of how many pictures
    the best was kept.
    """

    result: ProtocolResult
    seeds: tuple[int, ...] = ()
    spread: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    best_of: int | None = None


def score_method(
    scoring: Scoring,
    selections: Mapping[int, Selection],
    rows: Mapping[str, StandIn],
    *,
    best_of: bool = False,
) -> ScoredMethod | None:
    """Score what was painted with each seed, and reference rows; None on all processes but one.

    selections: seed -> lists, pair by pair the same. rows: label -> what stands for the picture of
    a pair. best_of: keep each pair's best picture instead of the mean; the names of all scores then
    say so. Errors: as `score_pictures`; ConfigError for best_of with one seed.
    """
    seeds = tuple(selections)
    results = [score_pictures(scoring, selections[seed]) for seed in seeds]
    if best_of:
        results = [score_pictures(scoring, _best(scoring, selections, results))]
    first = selections[seeds[0]]
    around = {
        label: score_pictures(scoring, first.with_generated(stand_in))
        for label, stand_in in rows.items()
    }
    known = [result for result in results if result is not None]
    if not known:
        return None
    result = _mean_over_seeds(known)
    method = ScoredMethod(
        result=result,
        seeds=seeds,
        spread=_spread(known),
        intervals=bootstrap_intervals(result.per_pair),
        rows={label: row.aggregates for label, row in around.items() if row is not None},
    )
    return _renamed(method, len(seeds)) if best_of else method


def _mean_over_seeds(results: Sequence[ProtocolResult]) -> ProtocolResult:
    """Average values of pairs and aggregates. Errors: DataError where seeds have other pairs."""
    first = results[0]
    if len(results) == 1:
        return first
    pairs = first.lists["pairs"]
    if any(result.lists["pairs"] != pairs for result in results):
        raise DataError(
            "the seeds have pictures of different pairs, so that no mean over them exists; paint "
            "what is missing, or score each seed alone."
        )
    return replace(
        first,
        per_pair={n: np.mean([r.per_pair[n] for r in results], axis=0) for n in first.per_pair},
        aggregates=_means([r.aggregates for r in results]),
        reported=_means([r.reported for r in results]),
    )


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _spread(results: Sequence[ProtocolResult]) -> dict[str, float]:
    if len(results) < 2:
        return {}
    rows = [result.aggregates for result in results]
    return {name: float(np.std([row[name] for row in rows], ddof=1)) for name in rows[0]}


def _best(
    scoring: Scoring,
    selections: Mapping[int, Selection],
    results: Sequence[ProtocolResult | None],
) -> Selection:
    """Keep, pair by pair, the picture with the highest SSIM against the truth.

    Every process has to know them; those without a result compute this one score again.
    """
    if len(selections) < 2:
        raise ConfigError("best-of needs pictures of several seeds; name them: --seeds 0 1 2 3.")
    values = []
    alone = replace(scoring, names=[CHOICE], more=())
    for selection, result in zip(selections.values(), results, strict=True):
        found = result or _score_alone(alone, selection)
        values.append(found.per_pair[CHOICE])
    chosen = np.argmax(values, axis=0)
    lists = list(selections.values())
    files = [lists[seed].pairs[i].generated for i, seed in enumerate(chosen)]
    place = {pair: i for i, pair in enumerate(lists[0].pairs)}
    return lists[0].with_generated(lambda pair: files[place[pair]])


def _score_alone(scoring: Scoring, selection: Selection) -> ProtocolResult:
    """Score without the other processes."""
    work = replace(scoring.work, rank=0, num_ranks=1)
    result = score_pictures(replace(scoring, work=work), selection)
    assert result is not None
    return result


def _renamed(method: ScoredMethod, count: int) -> ScoredMethod:
    """Say in every score's name that it is the best of several."""
    result = method.result

    def name(scores: Mapping) -> dict:
        return {f"{score}_best_of_{count}": value for score, value in scores.items()}

    named = replace(
        result,
        per_pair=name(result.per_pair),
        aggregates=name(result.aggregates),
        reported=name(result.reported),
        counts=name(result.counts),
        more=tuple(name(dict.fromkeys(result.more))),
    )
    return replace(method, result=named, intervals=name(method.intervals), best_of=count)
