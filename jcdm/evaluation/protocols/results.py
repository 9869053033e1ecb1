"""Score lists of pictures by a named protocol: values a pair, aggregates, what was left out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from jcdm.errors import CheckpointError, ConfigError
from jcdm.evaluation.pair_scores import PairScorer
from jcdm.evaluation.protocols.frechet import exact_fid, kid, square_root_fid
from jcdm.evaluation.protocols.measurements import PoseReader
from jcdm.evaluation.protocols.measuring import Work
from jcdm.evaluation.protocols.networks import Networks
from jcdm.evaluation.protocols.pair_scorers import LPIPS, PerceptualScorer, SimilarityScorer
from jcdm.evaluation.protocols.pictures import Size
from jcdm.evaluation.protocols.protocol import Protocol
from jcdm.evaluation.protocols.scoring import Evaluation
from jcdm.evaluation.protocols.selection import Selection

SET_SCORES = ("fid", "fid_exact", "kid")
_REPORTED_DECIMALS = 6

Aggregates = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolResult:
    """What a protocol found.

    per_pair: name -> (pairs,); LPIPS may cover fewer, the first ones. Names of further scores, NaN
    where a pair has no value, are in `more`. aggregates: means, under NAME_variance population
    variances where the protocol has them, and distances between sets; infinite and NaN where a
    value is. counts: pairs behind a mean. reported: what the published script prints, 6 decimals.
    protocol: every choice, as plain values. lists: files in their order. dropped: files that
    partial batches left out, and pictures without truth. skipped: what was bad, with the reason.
    notes: scores left out, and why.
    """

    protocol: Mapping[str, Any]
    size: Size
    per_pair: Mapping[str, np.ndarray]
    more: tuple[str, ...]
    aggregates: Aggregates
    counts: Mapping[str, int]
    reported: Aggregates
    lists: Mapping[str, list[str]]
    dropped: Mapping[str, list[str]]
    skipped: Mapping[str, str]
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How pictures are scored.

    size: height, width. more: scores beside the protocol's own. poses: of true pictures. names:
    the protocol's scores that must be computed, None = all that weights and folders allow.
    """

    protocol: Protocol
    size: Size
    networks: Networks = field(default_factory=Networks)
    more: Sequence[PairScorer] = ()
    poses: PoseReader | None = None
    names: Sequence[str] | None = None
    work: Work = field(default_factory=Work)


def score_pictures(scoring: Scoring, selection: Selection) -> ProtocolResult | None:
    """Score lists of pictures. Several processes all call this; the first gets the result.

    Errors: ConfigError for an unknown name, CheckpointError for one whose network is not at hand,
    DataError for pictures.
    """
    protocol, networks, work = scoring.protocol, scoring.networks, scoring.work
    notes = _leave_out(protocol, selection, networks, scoring.names)
    evaluation = Evaluation(protocol, selection, scoring.size, work=work, poses=scoring.poses)
    wanted = [name for name in scoring.names or available(protocol) if name not in notes]
    values = evaluation.pair_values(_scorers(scoring, wanted))
    wants_sets = any(name in SET_SCORES for name in wanted)
    if work.rank:
        if wants_sets and networks.inception is not None:
            evaluation.share_features(networks.inception)
        return None
    if LPIPS in values:
        values[LPIPS] = values[LPIPS][: evaluation.lpips_batches.num_used]
    more = [name for scorer in scoring.more for name in scorer.names]
    per_pair = {name: values[name] for name in values if name in wanted or name in more}
    aggregates = aggregate(protocol, per_pair)
    aggregates |= _set_distances(evaluation, networks, wanted)
    lists, dropped = _file_lists(evaluation, wanted)
    return ProtocolResult(
        protocol=asdict(protocol),
        size=scoring.size,
        per_pair=per_pair,
        more=tuple(more),
        aggregates=aggregates,
        counts={name: int(np.sum(~np.isnan(array))) for name, array in per_pair.items()},
        reported=report_line(protocol, aggregates),
        lists=lists,
        dropped=dropped,
        skipped=dict(selection.bad_rows) | evaluation.bad,
        notes=tuple(notes.values()),
    )


def _scorers(scoring: Scoring, wanted: Sequence[str]) -> list[PairScorer]:
    scorers: list[PairScorer] = [SimilarityScorer(scoring.protocol)]
    if LPIPS in wanted and scoring.networks.perceptual is not None:
        scorers.append(PerceptualScorer(scoring.protocol, scoring.networks.perceptual))
    return [*scorers, *scoring.more]


def available(protocol: Protocol) -> tuple[str, ...]:
    """Names of all scores of a protocol."""
    return (*protocol.scores, LPIPS, *SET_SCORES)


def aggregate(protocol: Protocol, per_pair: Mapping[str, np.ndarray]) -> Aggregates:
    """Means over pairs, in the values' own precision, and population variances where asked for.

    NaN poisons a protocol's own scores, as published; others leave such pairs out.
    """
    found = {}
    with np.errstate(invalid="ignore"):
        for name, values in per_pair.items():
            if name not in (*protocol.scores, LPIPS):
                values = values[~np.isnan(values)]
            if len(values):
                found[name] = float(values.mean())
            if protocol.variances and name in protocol.scores:
                found[f"{name}_variance"] = float(values.var())
    return found


def report_line(protocol: Protocol, aggregates: Aggregates) -> Aggregates:
    """Pick what the published script prints, rounded as it is."""
    names = [n for name in protocol.reported for n in (name, f"{name}_variance")]
    return {n: round(aggregates[n], _REPORTED_DECIMALS) for n in names if n in aggregates}


def _leave_out(
    protocol: Protocol, selection: Selection, networks: Networks, scores: Sequence[str] | None
) -> dict[str, str]:
    """Say which scores cannot be computed, by name; raise where one was asked for."""
    known = available(protocol)
    if scores and (unknown := [name for name in scores if name not in known]):
        raise ConfigError(
            f"score {unknown[0]!r} is none of protocol {protocol.name}; expected some of "
            f"{', '.join(known)}."
        )
    lacking = {}
    if networks.perceptual is None:
        lacking[LPIPS] = "lpips left out: no AlexNet weights; name a local file of them."
    if networks.inception is None:
        reason = "left out: no Inception-v3 weights; name a local file of them."
        lacking |= {name: f"{name} {reason}" for name in SET_SCORES}
    for name in scores or ():
        if name in lacking:
            raise CheckpointError(lacking[name].replace("left out", "was asked for"))
    if not selection.real_files:
        reason = "left out: no folder of reference pictures; name one."
        unreferenced = {name: f"{name} {reason}" for name in SET_SCORES if name not in lacking}
        if asked := [name for name in scores or () if name in unreferenced]:
            raise ConfigError(unreferenced[asked[0]].replace("left out", "was asked for"))
        lacking |= unreferenced
    return lacking


def _set_distances(evaluation: Evaluation, networks: Networks, wanted: Sequence[str]) -> Aggregates:
    names = [name for name in wanted if name in SET_SCORES]
    if not names:
        return {}
    assert networks.inception is not None
    real = evaluation.real_features(networks.inception)
    generated = evaluation.generated_features(networks.inception)
    exact = evaluation.protocol.fid_root == "exact"
    computed = {
        "fid": lambda: (
            exact_fid(real, generated) if exact else square_root_fid(real, generated).fid
        ),
        "fid_exact": lambda: exact_fid(real, generated),
        "kid": lambda: kid(real, generated),
    }
    return {name: computed[name]() for name in names}


def _file_lists(
    evaluation: Evaluation, wanted: Sequence[str]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Name the files in their order, and those that were left out of a score."""
    selection = evaluation.selection
    pairs = [f"{pair.generated.name} {pair.truth.name}" for pair in selection.pairs]
    lists = {"pairs": pairs}
    dropped = {"without_truth": list(selection.without_truth)}
    if LPIPS in wanted:
        dropped[LPIPS] = pairs[evaluation.lpips_batches.num_used :]
    if any(name in SET_SCORES for name in wanted):
        lists["fid_real"] = [path.name for path in selection.real_files]
        lists["fid_generated"] = [path.name for path in selection.generated_files]
        dropped["fid_real"] = lists["fid_real"][evaluation.real_batches.num_used :]
        used = evaluation.generated_batches.num_used
        dropped["fid_generated"] = lists["fid_generated"][used:]
    return lists, dropped
