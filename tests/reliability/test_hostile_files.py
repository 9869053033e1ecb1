"""Whatever stands in a file from outside, a reader gives a value or one clear line."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_lists import PARSERS as LISTS
from hostile_lists import Parser
from hostile_models import CHECKPOINT
from hostile_models import PARSERS as MODELS
from hypothesis import HealthCheck, given, settings

from jcdm.errors import LONGEST_MESSAGE, JCDMError

QUICK, PUBLISHED = 60, 10_000
PARSERS = (*LISTS, *MODELS)


def outcome(read: Callable[[], object]) -> str:
    """Read, and say what became of it; a refusal must be one short line."""
    try:
        read()
    except JCDMError as error:
        line = str(error)
        assert line.isprintable() and 10 < len(line) <= LONGEST_MESSAGE, line
        return "refused"
    return "read"


@pytest.mark.parametrize(
    "parser",
    [*PARSERS, CHECKPOINT],
    ids=lambda parser: parser.name,
)
@pytest.mark.parametrize("count", [QUICK, pytest.param(PUBLISHED, marks=pytest.mark.slow)])
def test_no_content_raises_anything_else(
    parser: Parser, count: int, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    file, read = parser.prepare(tmp_path)
    good = file.read_bytes()
    assert outcome(read) == "read"  # else nothing behind the first check is ever reached
    found: Counter[str] = Counter()

    @settings(
        max_examples=count if count == PUBLISHED else max(5, count // parser.slowness),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(parser.damage(good))
    def try_one(content: bytes) -> None:
        file.write_bytes(content)
        found[outcome(read)] += 1

    try_one()
    figure(f"{parser.name}: {found.total():,} inputs, {found['refused']:,} refused, 0 uncaught")
    assert found["refused"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("scores", b'"seeds": [3]', b'"seeds": [1e999]'),
        ("cache_shard", b'"appearance"', b'"appearancf"'),
        ("model_index", b'"denoiser"', b'"%s"' % (b"A" * 3000)),
        ("part_config", b'"head_dim": 32', b'"head_dim": 16384'),
    ],
)
def test_what_the_large_counts_found_stays_mended(
    tmp_path: Path, name: str, old: bytes, new: bytes
) -> None:
    file, read = next(parser for parser in PARSERS if parser.name == name).prepare(tmp_path)
    content = file.read_bytes()
    assert content.count(old) == 1
    file.write_bytes(content.replace(old, new))
    assert outcome(read) == "refused"


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_folder_and_nothing_in_place_of_the_file(parser: Parser, tmp_path: Path) -> None:
    file, read = parser.prepare(tmp_path)
    file.unlink()
    outcome(read)
    file.mkdir()
    outcome(read)
