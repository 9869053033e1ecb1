"""The pictures that a run does without: found before it begins, and the same ones to its end.

Which samples a step reads is arithmetic on the list of people; so that list is made once, agreed on
by all ranks, kept in the run's folder, and read back when the run is resumed.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object

from jcdm.cache.reader import EncoderCache
from jcdm.config import Config
from jcdm.data.damage import find_damage
from jcdm.data.index import index_identity, photograph_name, read_index
from jcdm.data.skipping import SkippedPicture, pictures_of
from jcdm.logs import PacedProgress
from jcdm.processes import num_local_processes, process_state
from jcdm.training.people import fewest_views, sound_people
from jcdm.training.skipped_file import FILE, ROLES, Findings, read_findings

logger = logging.getLogger(__name__)


def find_skipped(
    kind: str,
    config: Config,
    *,
    cache: EncoderCache | None = None,
    checkpoint: Path | None = None,
    roles: Sequence[str] = ROLES,
) -> dict[str, Findings]:
    """Find what the stage `kind` does without, by role; nothing where bad pictures are errors.

    All processes call it, share the work and get the same answer. cache: training then reads none
    of its photographs, and does without those that it lacks. checkpoint: to be resumed from; what
    its run did without is then not looked for again. Errors: DataError.
    """
    if config.data.on_bad == "error":
        return {}
    processes = process_state()
    known = {} if checkpoint is None else _recall(checkpoint.parent.parent / FILE, processes)
    found = dict[str, Findings]()
    for role in roles:
        source = _source(role, kind, config, with_photographs=cache is None)
        if source is None:
            continue
        if role in known and known[role].source == source:
            found[role] = known[role]
            if processes.is_main_process:
                _name_repaired(known[role], config.data.index)
        elif role == "training":
            found[role] = _look_at_training(config, cache, source, processes)
        else:
            found[role] = _look_at_unseen(kind, config, source, processes)
    return found


def _source(
    role: str, kind: str, config: Config, *, with_photographs: bool
) -> dict[str, Any] | None:
    """Name the pictures of a role; None where it has none."""
    data, count = config.data, config.train.num_validation_subjects
    index = index_identity(data.index)["sha256"]
    if role == "training":
        return {"index": index, "split": data.split, "photographs": with_photographs}
    if data.validation_split is None or count == 0:
        return None
    fewest = fewest_views(kind, config)
    return {"index": index, "split": data.validation_split, "count": count, "fewest": fewest}


def _look_at_training(
    config: Config, cache: EncoderCache | None, source: Mapping[str, Any], processes: PartialState
) -> Findings:
    records = read_index(config.data.index, config.data.split)
    pictures = pictures_of(records, photographs=cache is None)
    skipped = _look(pictures, config.data.index, processes)
    if cache is not None:
        folder = config.data.index.absolute().parent
        names = {photograph_name(view.image, folder) for r in records for view in r.views}
        left_out = cache.manifest.left_out
        skipped |= {name: left_out[name] for name in sorted(names & left_out.keys())}
    return Findings(source=source, num_checked=len(pictures), skipped=skipped)


def _look_at_unseen(
    kind: str, config: Config, source: Mapping[str, Any], processes: PartialState
) -> Findings:
    """Look at people of validation until as many as are asked for can be shown."""
    records, count = read_index(config.data.index, source["split"]), source["count"]
    num_checked, skipped, kept = 0, dict[str, SkippedPicture](), 0
    for start in range(0, len(records), count):
        some = records[start : start + count]
        pictures = pictures_of(some)
        skipped |= _look(pictures, config.data.index, processes)
        num_checked += len(pictures)
        kept += len(sound_people(kind, config, some, skipped))
        if kept >= count:
            break
    return Findings(source=source, num_checked=num_checked, skipped=skipped)


def _look(
    pictures: Sequence[Path], index: Path, processes: PartialState
) -> dict[str, SkippedPicture]:
    """Decode pictures, every process its share; all get what all found, in the pictures' order."""
    mine = pictures[processes.process_index :: processes.num_processes]
    report = PacedProgress(logger, "pictures checked")
    damage = find_damage(mine, num_sharing=num_local_processes(), report=report)
    found = {path: SkippedPicture.describe(path, error) for path, error in damage.items()}
    joined = {path: seen for share in gather_object([found]) for path, seen in share.items()}
    folder = index.absolute().parent
    return {photograph_name(path, folder): joined[path] for path in pictures if path in joined}


def _recall(file: Path, processes: PartialState) -> dict[str, Findings]:
    """Let the main process read what a run did without, and tell the others."""
    known = [read_findings(file) if processes.is_main_process else {}]
    broadcast_object_list(known)
    return known[0]


def _name_repaired(known: Findings, index: Path) -> None:
    """Say so where a picture that was left out could be read by now."""
    names = [name for name, s in known.skipped.items() if s.is_repaired(index.parent / name)]
    if names:
        logger.warning(
            "%d of the pictures that this run does without can be read now, first %s: it goes on "
            "without them, so that its samples stay the same. A new run.out takes them in.",
            len(names),
            names[0],
        )
