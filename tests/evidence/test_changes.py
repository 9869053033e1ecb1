"""Differences between rows: paired by person, averaged over tasks and seeds, told plainly."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jcdm.errors import DataError
from jcdm.evidence.changes import (
    PAIRED,
    Changes,
    Side,
    changes_table,
    compare,
    describe_kept,
    find_changes,
)
from jcdm.evidence.plan import Benchmark, EvidencePlan, EvidenceRow
from jcdm.evidence.row_files import Result, RowFile, read_row, write_row

PERCEPTUAL = "perceptual (tiny)"
PEOPLE = np.linspace(0.1, 0.5, 12)  # people differ far more than the change does


def row(
    name: str, shifts: Mapping[int, float | np.ndarray], variant: str = "", task: str = "t"
) -> RowFile:
    results = tuple(
        Result(
            seed=seed,
            variant=variant,
            task=task,
            scores={},
            people={PERCEPTUAL: tuple(PEOPLE + shift + 0.001 * np.sin(7 * PEOPLE))},
        )
        for seed, shift in shifts.items()
    )
    return RowFile(name=name, about="", results=results, provenance={})


def side(row: RowFile, variant: str = "", task: str | None = None) -> Side:
    return Side(row=row, variant=variant, task=task)


def plan(**rows: EvidenceRow) -> EvidencePlan:
    benchmark = Benchmark(seed=1, num_people=12, height=8, width=8)
    return EvidencePlan(configs=Path(), benchmark=benchmark, common={}, trainings={}, rows=rows)


def test_a_difference_is_paired_by_person() -> None:
    """Five hundredths are told apart though people's values are spread over four tenths."""
    base, changed = row("base", {0: 0.0}), row("changed", {0: 0.05})
    found = compare(side(changed), side(base))[PERCEPTUAL].estimate
    assert (found.mean, found.low, found.high) == pytest.approx((0.05, 0.05, 0.05))
    back = compare(side(base), side(changed))[PERCEPTUAL].estimate
    assert back.mean == pytest.approx(-0.05)


def test_seeds_are_compared_with_their_own_and_counted() -> None:
    base = row("base", {0: 0.0, 1: 0.2, 2: 0.0})
    changed = row("changed", {0: 0.05, 1: 0.25, 2: -0.01, 3: 9.0})
    gap = compare(side(changed), side(base))[PERCEPTUAL]
    assert gap.estimate.mean == pytest.approx(0.03)
    assert (gap.num_seeds, gap.num_agreeing) == (3, 2)
    assert str(gap) == "**+0.03** (+0.03 to +0.03), 2 of 3 seeds"


def test_what_has_no_task_or_values_in_common_is_not_compared() -> None:
    base = row("base", {0: 0.0})
    assert compare(side(row("other", {0: 0.1}, task="u")), side(base)) == {}
    assert compare(side(row("other", {0: 0.1}), "x"), side(base)) == {}
    old = RowFile(
        name="old",
        about="",
        results=(Result(seed=0, variant="", task="t", scores={}),),
        provenance={},
    )
    assert compare(side(old), side(base)) == {}


def test_rows_of_other_people_are_refused() -> None:
    few = Result(seed=0, variant="", task="t", scores={}, people={PERCEPTUAL: (0.1, 0.2)})
    base = row("base", {0: 0.0})
    fewer = RowFile(name="other", about="", results=(few,), provenance={})
    with pytest.raises(
        DataError, match=r"`other` and `base` have perceptual .* of different people"
    ):
        compare(side(fewer), side(base))
    other = replace(row("other", {0: 0.1}), provenance={"people": "ab12"})
    with pytest.raises(DataError, match="`other` and `base` were tried on different people"):
        compare(side(other), side(base))


def test_the_table_has_every_change_that_is_finished() -> None:
    known = plan(
        base=EvidenceRow(about=""),
        changed=EvidenceRow(about="", beside="base"),
        to_do=EvidenceRow(about="", beside="base"),
        untouched=EvidenceRow(about="", beside="base"),
        told=EvidenceRow(about="", beside="told"),
        apart=EvidenceRow(about="", tasks=("t", "u"), compared=("t", "u")),
    )
    apart = row("apart", {0: 0.0}, task="t").results + row("apart", {0: -0.2}, task="u").results
    told = row("told", {0: 0.0}, "truth").results + row("told", {0: 0.1}, "nothing").results
    rows = {
        "base": row("base", {0: 0.0}),
        "changed": row("changed", {0: 0.05}),
        "untouched": row("untouched", {0: 0.0}),
        "told": RowFile(name="told", about="", results=told, provenance={}),
        "apart": RowFile(name="apart", about="", results=apart, provenance={}),
    }
    head, _, *lines = changes_table(find_changes(known, rows)).splitlines()
    assert all(name in head for name in PAIRED)
    assert [line.split(" | ")[:2] for line in lines] == [
        ["| `changed`", "`base`"],
        ["| `told`, nothing", "`told`, truth"],
        ["| `apart`, u", "`apart`, t"],
    ]
    assert "**+0.1** (+0.1 to +0.1)" in lines[1] and "**-0.2**" in lines[2]


def test_changes_are_counted_that_other_people_show_too() -> None:
    known = plan(
        base=EvidenceRow(about=""),
        better=EvidenceRow(about="", beside="base"),
        worse=EvidenceRow(about="", beside="base"),
        unsure=EvidenceRow(about="", beside="base"),
    )

    unclear = np.resize([0.2, -0.2], 12)

    def found(better: float | np.ndarray, worse: float) -> Changes:
        shifts = {"base": 0.0, "better": better, "worse": worse, "unsure": 0.001 + unclear}
        return find_changes(known, {name: row(name, {0: s}) for name, s in shifts.items()})

    ours = found(-0.1, 0.1)
    assert describe_kept(ours, ours) == (
        "changes: 2 of 2 keep their sign, 2 are told apart there too"
    )
    assert describe_kept(ours, found(-0.01 + unclear, -0.1)) == (
        "changes: 1 of 2 keep their sign, 0 are told apart there too; turned: perceptual (tiny) of "
        "`worse`"
    )
    assert "0 of 0" in describe_kept(ours, {})


def test_values_by_person_come_back_from_a_file_each_list_on_one_line(tmp_path: Path) -> None:
    written = row("base", {0: 0.0, 1: 0.1})
    file = write_row(written, tmp_path)
    found = read_row(file).results
    assert [r.people[PERCEPTUAL] for r in found] == [
        pytest.approx(r.people[PERCEPTUAL], rel=1e-5) for r in written.results
    ]
    assert len([line for line in file.read_text().splitlines() if PERCEPTUAL in line]) == 2
    assert max(map(len, file.read_text().splitlines())) > 100
