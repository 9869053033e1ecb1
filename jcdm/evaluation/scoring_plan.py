"""How pictures are to be scored, as a user says it, and what that loads."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from accelerate import PartialState

from jcdm.errors import ConfigError
from jcdm.evaluation.chunk_store import DEFAULT_FOLDER, ChunkStore
from jcdm.evaluation.folder_scores import pairs_identity, write_scores
from jcdm.evaluation.painted_sets import score_painted_sets
from jcdm.evaluation.person_scores.build_scorers import PERSON_SCORES, person_scorers
from jcdm.evaluation.protocols.files import OnBad
from jcdm.evaluation.protocols.measuring import Work
from jcdm.evaluation.protocols.networks import load_networks
from jcdm.evaluation.protocols.pictures import Size
from jcdm.evaluation.protocols.protocol import find_protocol
from jcdm.evaluation.protocols.results import Scoring, available
from jcdm.evaluation.protocols.selection import Folders, Selection, select
from jcdm.evaluation.scored_method import GROUND_TRUTH, ScoredMethod, StandIn, score_method
from jcdm.evaluation.truth_poses import pose_reader
from jcdm.logs import PacedProgress, console_messages, quiet_libraries
from jcdm.manifest import origin
from jcdm.models.encoders import FrozenCLIPVision
from jcdm.plain import to_plain
from jcdm.poses.detector import PoseDetector
from jcdm.processes import process_state
from jcdm.weights_identity import weights_identity

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringPlan:
    """A protocol and the files that its scores need; None = the scores that need it are left out.

    names: scores that must be computed, None = all that can. size: height, width of scoring.
    poses: see `pose_reader`. on_bad: a damaged picture ends it, or is left out and named.
    """

    protocol: str
    size: Size
    method: str = "ours"
    names: Sequence[str] | None = None
    reference: Path | None = None
    inception: Path | None = None
    alexnet: Path | None = None
    lpips_heads: Path | None = None
    clip: Path | None = None
    poses: Path | None = None
    detector: PoseDetector | None = None
    on_bad: OnBad = "error"
    cache: Path | None = None
    reference_rows: bool = True

    @property
    def weights(self) -> dict[str, Any]:
        """The networks' files, by role, each identified; None for what is left out."""
        files = {"inception": self.inception, "alexnet": self.alexnet, "clip": self.clip}
        detector = self.detector.identity if self.detector else None
        return {role: weights_identity(path) if path else None for role, path in files.items()} | {
            "detector": detector
        }

    @property
    def choices(self) -> dict[str, Any]:
        """What was chosen, as the record of a result holds it."""
        names = (f.name for f in fields(self) if f.name != "detector")
        return {name: to_plain(getattr(self, name)) for name in names}


class _Lines(dict[str, PacedProgress]):
    """Progress of everything that is scored, by its name."""

    def __missing__(self, what: str) -> PacedProgress:
        return self.setdefault(what, PacedProgress(logger, f"{what} scored"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlan:
    """A plan with its networks. notes: scores of the person that are left out, and why."""

    scoring: Scoring
    clip: FrozenCLIPVision | None
    notes: tuple[str, ...]


def load_plan(plan: ScoringPlan, state: PartialState) -> LoadedPlan:
    """Load the networks of a plan. Errors: ConfigError, CheckpointError."""
    protocol = find_protocol(plan.protocol)
    networks = load_networks(plan.inception, plan.alexnet, plan.lpips_heads)
    own = available(protocol)
    known = (*own, *PERSON_SCORES)
    if unknown := [name for name in plan.names or () if name not in known]:
        raise ConfigError(f"score {unknown[0]!r} is unknown; expected some of {', '.join(known)}.")
    asked = None if plan.names is None else [name for name in plan.names if name not in own]
    with quiet_libraries():
        clip = FrozenCLIPVision.from_folder(plan.clip, key="--clip") if plan.clip else None
    person = person_scorers(
        protocol,
        has_poses=plan.poses is not None,
        perceptual=networks.perceptual,
        clip=clip.to(state.device) if clip else None,
        detector=plan.detector,
        names=asked,
    )
    lines = _Lines()
    work = Work(
        store=ChunkStore(plan.cache or DEFAULT_FOLDER),
        rank=state.process_index,
        num_ranks=state.num_processes,
        wait=state.wait_for_everyone,
        on_bad=plan.on_bad,
        report=lambda what, done, count: lines[what](done, count),
    )
    names = None if plan.names is None else [name for name in plan.names if name in own]
    scoring = Scoring(
        protocol=protocol,
        size=plan.size,
        networks=networks,
        more=person.scorers,
        poses=pose_reader(plan.poses) if plan.poses else None,
        names=names,
        work=work,
    )
    notes = person.notes if plan.names is None else ()
    return LoadedPlan(scoring=scoring, clip=clip, notes=notes)


def score_folders(
    plan: ScoringPlan, generated: Path, truth: Path, pairs: Path | None, out: Path
) -> ScoredMethod | None:
    """Score a folder of pictures and write the new folder `out`; a result on one process only.

    Errors: ConfigError, CheckpointError, DataError.
    """
    protocol = find_protocol(plan.protocol)
    folders = Folders(generated=generated, truth=truth, reference=plan.reference, pairs=pairs)
    selection = select(protocol, folders, plan.on_bad)
    rows: dict[str, StandIn] = {GROUND_TRUTH: lambda pair: pair.truth}
    return score_lists(plan, {0: selection}, rows, out, generated=generated, truth=truth)


def score_lists(
    plan: ScoringPlan,
    selections: Mapping[int, Selection],
    rows: Mapping[str, StandIn],
    out: Path,
    *,
    generated: Path,
    truth: Path,
    best_of: bool = False,
    sets: Sequence[Sequence[str]] = (),
    weights: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    **facts: Any,
) -> ScoredMethod | None:
    """Score lists of pictures, one a seed, and write the new folder `out`.

    generated, truth: folders that are named in the result, beside `facts`. sets: files that were
    painted together. weights: of what painted them; data: identity of what was painted, None = the
    names of the pairs are all that is known.
    """
    state = process_state()
    rows = rows if plan.reference_rows else {}
    with console_messages(is_main=state.is_main_process):
        loaded = load_plan(plan, state)
        scored = score_method(loaded.scoring, selections, rows, best_of=best_of)
        if scored is None:
            return None
        lists = list(selections.values())
        means, intervals = score_painted_sets(loaded.scoring, lists, sets, loaded.clip)
    result = replace(
        scored.result,
        aggregates=scored.result.aggregates | means,
        notes=(*scored.result.notes, *loaded.notes),
    )
    scored = replace(scored, result=result, intervals={**scored.intervals, **intervals})
    folders = {"generated": str(generated.resolve()), "truth": str(truth.resolve())}
    where = origin(
        plan.choices,
        seed=scored.seeds[0],
        data=pairs_identity(result.lists["pairs"]) if data is None else data,
        weights={**plan.weights, **(weights or {})},
    )
    write_scores(out, scored, where, method=plan.method, folders=folders, **facts)
    return scored
