"""Score folders of pictures by a named protocol: values a pair, aggregates, what was left out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from jcdm.errors import CheckpointError, ConfigError
from jcdm.evaluation.protocols.frechet import exact_fid, kid, square_root_fid
from jcdm.evaluation.protocols.networks import Networks
from jcdm.evaluation.protocols.pictures import Size
from jcdm.evaluation.protocols.protocol import Protocol
from jcdm.evaluation.protocols.scoring import FolderEvaluation, Folders

LPIPS = "lpips"
SET_SCORES = ("fid", "fid_exact", "kid")
_REPORTED_DECIMALS = 6

Aggregates = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolResult:
    """What a protocol found.

    per_pair: name -> (pairs,); LPIPS may cover fewer, the first ones. aggregates: means, under
    NAME_variance population variances where the protocol has them, and distances between sets;
    infinite and NaN where a value is. reported: what the published script prints, 6 decimals.
    protocol: every choice, as plain values. lists: files in their order. dropped: files that
    partial batches left out, and pictures without truth. notes: scores left out, and why.
    """

    protocol: Mapping[str, Any]
    size: Size
    per_pair: Mapping[str, np.ndarray]
    aggregates: Aggregates
    reported: Aggregates
    lists: Mapping[str, list[str]]
    dropped: Mapping[str, list[str]]
    notes: tuple[str, ...] = field(default=())


def score_folders(
    protocol: Protocol,
    folders: Folders,
    size: Size,
    networks: Networks,
    *,
    scores: Sequence[str] | None = None,
) -> ProtocolResult:
    """Score generated pictures against truths and a reference set, at size (height, width).

    scores: names that must be computed, None = all that weights and folders allow.
    Errors: ConfigError for an unknown name, CheckpointError for one whose network is not at hand,
    DataError for pictures or lists.
    """
    notes = _leave_out(protocol, folders, networks, scores)
    evaluation = FolderEvaluation(protocol, folders, size)
    wanted = [name for name in scores or available(protocol) if name not in notes]
    per_pair = {n: v for n, v in evaluation.similarities.items() if n in wanted}
    if LPIPS in wanted:
        assert networks.perceptual is not None
        per_pair[LPIPS] = evaluation.perceptual(networks.perceptual)
    aggregates = aggregate(protocol, per_pair)
    aggregates |= _set_distances(evaluation, networks, wanted)
    lists, dropped = _file_lists(evaluation, wanted)
    return ProtocolResult(
        protocol=asdict(protocol),
        size=size,
        per_pair=per_pair,
        aggregates=aggregates,
        reported=report_line(protocol, aggregates),
        lists=lists,
        dropped=dropped,
        notes=tuple(notes.values()),
    )


def available(protocol: Protocol) -> tuple[str, ...]:
    """Names of all scores of a protocol."""
    return (*protocol.scores, LPIPS, *SET_SCORES)


def aggregate(protocol: Protocol, per_pair: Mapping[str, np.ndarray]) -> Aggregates:
    """Means over pairs, in the values' own precision, and population variances where asked for."""
    found = {}
    with np.errstate(invalid="ignore"):
        for name, values in per_pair.items():
            found[name] = float(values.mean())
            if protocol.variances and name in protocol.scores:
                found[f"{name}_variance"] = float(values.var())
    return found


def report_line(protocol: Protocol, aggregates: Aggregates) -> Aggregates:
    """Pick what the published script prints, rounded as it is."""
    names = [n for name in protocol.reported for n in (name, f"{name}_variance")]
    return {n: round(aggregates[n], _REPORTED_DECIMALS) for n in names if n in aggregates}


def _leave_out(
    protocol: Protocol, folders: Folders, networks: Networks, scores: Sequence[str] | None
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
    if folders.reference is None:
        reason = "left out: no folder of reference pictures; name one."
        unreferenced = {name: f"{name} {reason}" for name in SET_SCORES if name not in lacking}
        if asked := [name for name in scores or () if name in unreferenced]:
            raise ConfigError(unreferenced[asked[0]].replace("left out", "was asked for"))
        lacking |= unreferenced
    return lacking


def _set_distances(
    evaluation: FolderEvaluation, networks: Networks, wanted: Sequence[str]
) -> Aggregates:
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
    evaluation: FolderEvaluation, wanted: Sequence[str]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Name the files in their order, and those that were left out of a score."""
    pairs = [f"{pair.generated.name} {pair.truth.name}" for pair in evaluation.pairs]
    lists = {"pairs": pairs}
    dropped = {"without_truth": evaluation.skipped}
    if LPIPS in wanted:
        dropped[LPIPS] = pairs[evaluation.lpips_batches.num_used :]
    if any(name in SET_SCORES for name in wanted):
        lists["fid_real"] = [path.name for path in evaluation.real_files]
        lists["fid_generated"] = [path.name for path in evaluation.generated_files]
        dropped["fid_real"] = lists["fid_real"][evaluation.real_batches.num_used :]
        used = evaluation.generated_batches.num_used
        dropped["fid_generated"] = lists["fid_generated"][used:]
    return lists, dropped
