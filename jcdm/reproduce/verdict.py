"""How near to the recorded numbers a repeated run will come, and why not nearer."""

from collections.abc import Sequence

from jcdm.reproduce.differences import Difference
from jcdm.reproduce.record import RunRecord


def verdict(record: RunRecord, differences: Sequence[Difference]) -> str:
    """Say in one sentence what to expect of the numbers."""
    changed = [difference for difference in differences if not difference.is_same]
    other = [difference.name for difference in changed if difference.effect == "numbers"]
    if other:
        return f"other numbers are to be expected: {', '.join(other)} differ."
    reasons = [difference.name for difference in changed if difference.effect == "last digits"]
    reasons += _not_exact(record)
    if reasons:
        return (
            "the same numbers but for their last digits (1e-4 relative in the first hundred steps) "
            f"are to be expected, not bit-equal ones: {'; '.join(reasons)}."
        )
    return "bit-equal numbers are to be expected."


def _not_exact(record: RunRecord) -> list[str]:
    """Name what kept a run from being repeatable bit by bit, on any computer."""
    found = []
    if record.hardware.get("gpus"):
        found.append("a GPU adds in no fixed order")
    if record.engine != "plain":
        found.append(f"engine {record.engine}")
    if count := record.num_other_starts:
        found.append(f"{count} earlier starts of it were made otherwise, see `earlier` in it")
    return found
