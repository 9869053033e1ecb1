"""The table of the documentation has a row a defect, and its tests exist."""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "published-weights.md"
ROW = re.compile(r"\| (\d+) \| .+ \| .+ \| (.+) \|")
NODE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_defect_has_a_row_and_a_test_named_after_it() -> None:
    rows = dict(
        found.groups()
        for found in map(ROW.fullmatch, PAGE.read_text(encoding="utf-8").splitlines())
        if found
    )
    assert [int(number) for number in rows] == list(range(1, 31))
    for number, cell in rows.items():
        nodes = NODE.findall(cell)
        assert any(f"test_defect_{int(number):02d}_" in test for _, test in nodes), number
        for file, test in nodes:
            assert test in _functions(REPOSITORY / file), f"row {number}: no {test} in {file}"


def test_every_test_of_a_defect_stands_in_its_row() -> None:
    listed = {test for _, test in NODE.findall(PAGE.read_text(encoding="utf-8"))}
    for file in Path(__file__).parent.glob("test_*.py"):
        unlisted = {name for name in _functions(file) if name.startswith("test_defect_")} - listed
        assert not unlisted, f"{file.name}: name {sorted(unlisted)} in {PAGE.name}"


def _functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
