"""Parsers meet ten thousand broken inputs each and raise only the project's errors."""

import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from jcdm.data.importers import imagpose, jcdm, pcdms, pidm
from jcdm.data.importers.joints import read_pose_text
from jcdm.data.importers.tables import parse_annotation, parse_pair
from jcdm.data.importers.text import split_array
from jcdm.errors import JCDMError

MANY = settings(max_examples=10_000, deadline=None, database=None)
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


@MANY
@given(ROWS)
def test_lines(line):
    for parse in (parse_annotation, parse_pair, pidm.parse_line, read_pose_text):
        with suppress(JCDMError):
            parse(line)


@MANY
@given(JSON)
def test_json_entries(value):
    for parse in (imagpose.parse_entry, jcdm.parse_person, jcdm.parse_pose, pcdms.parse_entry):
        with suppress(JCDMError):
            parse(value)


@MANY
@given(JSON.map(json.dumps), TEXT)
def test_json_texts(text, more):
    for broken in (text, f"[{text}]", text[: len(more)] + more, f"[{text}, {more}"):
        with suppress(JCDMError):
            list(split_array(broken, "list.json"))


def test_extreme_texts():
    for text in ("[" * 100_000, "[" + "9" * 10_000 + "]", "[NaN]", "[1e999]", "[1] 2", ""):
        with suppress(JCDMError):
            for _, value in split_array(text, "list.json"):
                with suppress(JCDMError):
                    jcdm.parse_person(value)
