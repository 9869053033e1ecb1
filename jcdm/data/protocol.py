"""The published protocols' counts, and what an index says about where it comes from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jcdm.data.importers.photo_names import parse_name
from jcdm.errors import DataError
from jcdm.reading import UnreadableError, read_json
from jcdm.records import SubjectRecord, ViewRecord

Protocol = Literal["deepfashion", "market"]
EXPECTED: Mapping[Protocol, Mapping[tuple[str, str], int]] = {
    "deepfashion": {
        ("train", "images"): 48_674,
        ("test", "images"): 4_038,
        ("train", "pairs"): 101_966,
        ("test", "pairs"): 8_570,
    },
    "market": {("train", "pairs"): 263_632, ("test", "pairs"): 12_000},
}


class Comparison(NamedTuple):
    """One count of a protocol beside what was found."""

    line: str
    is_equal: bool


def compare(
    records: Sequence[SubjectRecord], generator: Mapping[str, Any], protocol: Protocol
) -> list[Comparison]:
    """Hold the counts of an index against a protocol's, one line each."""
    found: Counter[tuple[str, str]] = Counter()
    for record in records:
        found[record.split, "images"] += len(record.views)
    for split, table in pair_tables(generator).items():
        found[split, "pairs"] += table["num_pairs"]
    return [
        Comparison(
            f"{split} {what}: found {found[split, what]:,}, expected {number:,}",
            found[split, what] == number,
        )
        for (split, what), number in EXPECTED[protocol].items()
    ]


def read_generator(path: Path) -> dict[str, Any]:
    """What made an index, as it says itself; empty where it does not."""
    try:
        document = read_json(path)
    except (OSError, UnreadableError):
        raise DataError(f"{path} is not a readable index. See: data check --index.") from None
    generator = document.get("generator") if isinstance(document, dict) else None
    return generator if isinstance(generator, dict) else {}


def pair_tables(generator: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """File and number of pairs of each split's pair table, where the import found one."""
    tables = generator.get("pairs")
    if not isinstance(tables, dict):
        return {}
    return {
        split: table
        for split, table in tables.items()
        if isinstance(table, dict)
        and type(table.get("num_pairs")) is int
        and isinstance(table.get("file"), str)
    }


def view_name(view: ViewRecord) -> str:
    """Name of a view that can be published: the protocol's, or that of the file."""
    photo = parse_name(view.image.as_posix())
    return photo.protocol_name if photo else view.image.name


def identity_of(record: SubjectRecord) -> str | None:
    """Who a subject is, whatever is worn; None where neither tags nor names tell."""
    tagged = record.views[0].tags.get("identity")
    if isinstance(tagged, str):
        return tagged
    photo = parse_name(record.views[0].image.as_posix())
    return photo.person if photo else None


def shared_identities(records: Sequence[SubjectRecord]) -> list[str]:
    """Identities that are in several splits, in whatever outfit, sorted."""
    splits: dict[str, set[str]] = {}
    for record in records:
        identity = identity_of(record)
        if identity is not None:
            splits.setdefault(identity, set()).add(record.split)
    return sorted(identity for identity, found in splits.items() if len(found) > 1)
