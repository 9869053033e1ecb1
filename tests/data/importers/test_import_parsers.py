"""Parsers meet broken inputs, ten thousand each in the slow form, and raise only our errors."""

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jcdm.data.importers import imagpose, jcdm, pcdms, pidm
from jcdm.data.importers.joints import read_pose_text
from jcdm.data.importers.tables import parse_annotation, parse_pair
from jcdm.data.importers.text import split_array
from jcdm.errors import JCDMError

FEW_OR_MANY = pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
TEXT = st.text(max_size=30)
NUMBERS = st.integers(-(10**400), 10**400) | st.floats() | st.sampled_from(["NaN", "1e999", "[["])
LISTS = st.lists(NUMBERS, max_size=19).map(str)
ROWS = TEXT | st.lists(TEXT | LISTS, max_size=4).map(":".join) | st.lists(TEXT).map(",".join)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
KEYS = TEXT | st.sampled_from(["img1", "img2", "img", "coordinate", "source_image", "target_image"])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)


def meet(inputs: st.SearchStrategy, count: int, parse: Callable) -> None:
    """Let a parser meet so many generated inputs; whatever it raises passes."""
    settings(max_examples=count, deadline=None, database=None)(given(inputs)(parse))()


@FEW_OR_MANY
def test_lines(count: int) -> None:
    def read(line: str) -> None:
        for parse in (parse_annotation, parse_pair, pidm.parse_line, read_pose_text):
            with suppress(JCDMError):
                parse(line)

    meet(ROWS, count, read)


@FEW_OR_MANY
def test_json_entries(count: int) -> None:
    def read(value: object) -> None:
        for parse in (imagpose.parse_entry, jcdm.parse_person, jcdm.parse_pose, pcdms.parse_entry):
            with suppress(JCDMError):
                parse(value)

    meet(JSON, count, read)


@FEW_OR_MANY
def test_json_texts(count: int) -> None:
    def read(texts: tuple[str, str]) -> None:
        text, more = texts
        for broken in (text, f"[{text}]", text[: len(more)] + more, f"[{text}, {more}"):
            with suppress(JCDMError):
                list(split_array(broken, "list.json"))

    meet(st.tuples(JSON.map(json.dumps), TEXT), count, read)


def test_extreme_texts():
    for text in ("[" * 100_000, "[" + "9" * 10_000 + "]", "[NaN]", "[1e999]", "[1] 2", ""):
        with suppress(JCDMError):
            for _, value in split_array(text, "list.json"):
                with suppress(JCDMError):
                    jcdm.parse_person(value)
