"""Scored pairs joined with task and index: references, garment category, pose distance."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import torch

from jcdm.data.importers.photo_names import parse_name
from jcdm.data.index import read_index
from jcdm.errors import ConfigError, DataError
from jcdm.evaluation.baselines import pose_distances
from jcdm.evaluation.score_report.scored import ScoredFolder, ScoredPair
from jcdm.evaluation.task_items import read_task, reference_names
from jcdm.records import ViewRecord

Found = dict[str, tuple[tuple[ViewRecord, ...], ViewRecord]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportItem:
    """A scored pair and what is known of it.

    references: views that were given, empty where unknown; target: the true view of the index.
    category: gender and garment, None where unknown. pose_distance: from the target to the
    nearest reference, mean over common joints, in shares of the view; None where unknown.
    """

    pair: ScoredPair
    references: tuple[ViewRecord, ...]
    target: ViewRecord | None
    category: str | None
    pose_distance: float | None

    @property
    def num_references(self) -> int | None:
        """How many views were given; None where that is unknown."""
        return len(self.references) or None


def join_items(
    scored: ScoredFolder, task: Path | None, index: Path | None
) -> tuple[ReportItem, ...]:
    """Find every scored pair in the task and in the index, as far as they are named.

    Errors: ConfigError for a task without index, DataError where pairs are in neither.
    """
    if task is not None and index is None:
        raise ConfigError(
            f"--task {task} names views only; name the index it was made of: --index FILE."
        )
    if index is None:
        return tuple(_item(pair, (), None) for pair in scored.pairs)
    if task is not None:
        found, where = _by_task(task, index, scored.pairs), task
    else:
        found, where = _by_names(index, scored.pairs), index
    if absent := [pair.generated for pair in scored.pairs if pair.generated not in found]:
        raise DataError(
            f"{len(absent)} of {len(scored.pairs)} scored pictures are not in {where}, first: "
            f"{absent[0]}. Name the file that they were painted from, or leave it out."
        )
    return tuple(_item(pair, *found[pair.generated]) for pair in scored.pairs)


def _by_task(task: Path, index: Path, pairs: Sequence[ScoredPair]) -> Found:
    """References and target of every pair that the task holds, by generated name."""
    painted = {
        PurePath(name).stem: (item.references, target)
        for item in read_task(task, index)
        for name, target in zip(item.names, item.targets, strict=True)
    }
    stems = {pair.generated: PurePath(pair.generated).stem for pair in pairs}
    return {name: painted[stem] for name, stem in stems.items() if stem in painted}


def _by_names(index: Path, pairs: Sequence[ScoredPair]) -> Found:
    """References and target of every pair whose truth is a view of the index.

    References come from the generated picture's name; one that is no view's makes all unknown.
    """
    views = _views_by_stem(index)
    found = {}
    for pair in pairs:
        target = views.get(PurePath(pair.truth).stem)
        given = [views.get(name) for name in reference_names(pair.generated)]
        references = tuple(view for view in given if view is not None)
        if target is not None:
            found[pair.generated] = (references if len(references) == len(given) else (), target)
    return found


def _views_by_stem(index: Path) -> Mapping[str, ViewRecord]:
    """Views by the names of their pictures; a name of several views tells nothing."""
    views = [view for record in read_index(index) for view in record.views]
    counts = Counter(view.image.stem for view in views)
    return {view.image.stem: view for view in views if counts[view.image.stem] == 1}


def _item(
    pair: ScoredPair,
    references: tuple[ViewRecord, ...],
    target: ViewRecord | None,
) -> ReportItem:
    return ReportItem(
        pair=pair,
        references=references,
        target=target,
        category=_category(pair, target),
        pose_distance=_nearest(references, target) if target else None,
    )


def _nearest(references: Sequence[ViewRecord], target: ViewRecord) -> float | None:
    """Distance to the reference nearest in pose; None without references or common joints."""
    views = (target, *references)
    keypoints = torch.from_numpy(np.stack([view.keypoints for view in views]))
    valid = torch.from_numpy(np.stack([view.keypoint_valid for view in views]))
    distances = pose_distances(keypoints[None], valid[None])[0, 0, 1:].tolist()
    return min((distance for distance in distances if math.isfinite(distance)), default=None)


def _category(pair: ScoredPair, target: ViewRecord | None) -> str | None:
    """Gender and garment as a DeepFashion name says, else the tag `category` of the index."""
    photo = parse_name(pair.truth)
    if photo is not None:
        return f"{photo.gender} {photo.category.replace('_', ' ')}"
    tag = target.tags.get("category") if target else None
    return tag if isinstance(tag, str) else None
