"""skipped_pictures.json: which pictures a run does without, and why; read back by a resume."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from jcdm.config import Config
from jcdm.data.index import read_index, write_atomically
from jcdm.data.skipping import SkippedPicture, count_left_out
from jcdm.errors import DataError
from jcdm.reading import read_json, short_reason
from jcdm.records import SubjectRecord

logger = logging.getLogger(__name__)

FILE = "skipped_pictures.json"
FORMAT, VERSION = "jcdm-skipped-pictures", 1
ROLES = ("training", "validation")
"""Whose pictures: of the people a run learns from, and of those it is judged on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Some pictures of an index, all decoded once: those that are skipped, by name.

    source: which index, split and pictures these are; num_checked: how many were decoded.
    """

    source: Mapping[str, Any]
    num_checked: int = 0
    skipped: Mapping[str, SkippedPicture] = field(default_factory=dict)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what stands in the file. Errors: KeyError, TypeError, AttributeError, DataError."""
        skipped = {name: SkippedPicture(**facts) for name, facts in stored["skipped"].items()}
        return cls(source=stored["source"], num_checked=stored["num_checked"], skipped=skipped)


def read_findings(file: Path) -> dict[str, Findings]:
    """Read what a run did without, by role; nothing where there is no such file.

    One that cannot be read is passed over with a warning.
    """
    try:
        stored = read_json(file)
        if (stored["format"], stored["version"]) != (FORMAT, VERSION):
            raise DataError(f"it has not format {FORMAT!r} version {VERSION}")
        return {role: Findings.from_json(stored[role]) for role in ROLES if role in stored}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = short_reason(error)
    except DataError as error:
        reason = str(error)
    logger.warning("%s cannot be read (%s): all pictures are looked at anew", file, reason)
    return {}


def write_findings(
    out: Path, config: Config, found: Mapping[str, Findings], people: Sequence[SubjectRecord]
) -> dict[str, dict[str, int]]:
    """List in a run's folder what it does without, and warn of it; returns the counts by role.

    people: those that stayed to learn from. Writes nothing where bad pictures are errors.
    """
    if not found:
        return {}
    counts = {
        role: {"num_checked": some.num_checked, "num_pictures": len(some.skipped)}
        for role, some in found.items()
    }
    left_out = count_left_out(read_index(config.data.index, config.data.split), people)
    counts["training"] |= left_out._asdict()
    document = {role: counts[role] | asdict(some) for role, some in found.items()}
    content = {"format": FORMAT, "version": VERSION, **document}
    write_atomically(out / FILE, json.dumps(content, indent=1) + "\n")
    for role, some in found.items():
        if some.skipped:
            logger.warning("%s", _warning(role, counts[role], some, out / FILE))
    return counts


def _warning(role: str, counts: Mapping[str, int], some: Findings, file: Path) -> str:
    whom = ""
    if "num_subjects" in counts:
        whom = f" with {counts['num_views']} views, {counts['num_subjects']} people of them whole"
    first = next(iter(some.skipped.values())).reason
    return (
        f"{counts['num_pictures']} pictures of {role} cannot be read and are left out{whom}: "
        f"listed in {file}, first: {first}"
    )
