"""The lists that a protocol scores: pairs, and the two sides of a distance between sets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from jcdm.evaluation.protocols.files import (
    OnBad,
    Pair,
    find_pairs,
    list_pictures,
)
from jcdm.evaluation.protocols.protocol import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """What is scored. reference: FID's real side; pairs: CSV list, for protocols that take one."""

    generated: Path
    truth: Path
    reference: Path | None = None
    pairs: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Files in scoring order, before any batch drops its tail.

    pairs: of generated and true pictures. real_files, generated_files: the sides of a distance
    between sets. without_truth, bad_rows: what was left out, see `FoundPairs`.
    """

    pairs: Sequence[Pair]
    real_files: Sequence[Path]
    generated_files: Sequence[Path]
    without_truth: Sequence[str] = ()
    bad_rows: Mapping[str, str] = field(default_factory=dict)

    def with_generated(self, stand_in: Callable[[Pair], Path]) -> "Selection":
        """The same lists with other pictures in the place of those generated."""
        pairs = [replace(pair, generated=stand_in(pair)) for pair in self.pairs]
        return replace(self, pairs=pairs, generated_files=[pair.generated for pair in pairs])


def select(protocol: Protocol, folders: Folders, on_bad: OnBad = "error") -> Selection:
    """List what a protocol looks at. Errors: DataError, see `find_pairs` and `list_pictures`."""
    suffixes, by_suffix = protocol.reference_suffixes, protocol.by_suffix
    found = find_pairs(protocol, folders.generated, folders.truth, folders.pairs, on_bad)
    paired = [pair.generated for pair in found.pairs]
    if protocol.fid_generated == "folder":
        paired = list_pictures(folders.generated, suffixes, by_suffix=by_suffix)
    real = folders.reference
    return Selection(
        pairs=found.pairs,
        real_files=list_pictures(real, suffixes, by_suffix=by_suffix) if real else [],
        generated_files=paired,
        without_truth=found.without_truth,
        bad_rows=found.bad_rows,
    )
