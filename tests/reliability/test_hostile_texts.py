"""JSON, YAML and messages: what the one strict reader refuses, and how errors come out."""

import io
import json
import sys
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jcdm.cli.main import run
from jcdm.errors import LONGEST_MESSAGE, DataError, JCDMError
from jcdm.plain import from_plain
from jcdm.reading import MOST_CHARACTERS, UnreadableError, parse_json, parse_yaml, read_object


def unfolding(levels: int, merged: bool = False) -> str:
    """A few lines that unfold to 10 ** levels values."""
    lines = ["a0: &a0 {k: v}"]
    for level in range(1, levels + 1):
        ten = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} " + (f"{{<<: [{ten}]}}" if merged else f"[{ten}]"))
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text", [unfolding(9), unfolding(9, merged=True), "a: &a [*a]", "&a {*a : 1}"]
)
def test_references_that_unfold_to_very_much_are_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        parse_yaml(text)
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}")["b"] == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system",
        "!!binary aGVsbG8=",
        "!!timestamp 2001-01-01",
        "!!set {a, b}",
        "!!omap [a: 1]",
        "!!int ''",
        "!!float ''",
        "!!bool maybe",
        "[" * 5000,
        "x: " + "9" * 30,
        "x: " + "9" * 5000,
        "? [1]\n: 2",
        "a: b: c",
        "\0",
        'a: "b\\0c"',
        'a: "\\ud800"',
        "x" * (MOST_CHARACTERS + 1),
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_yaml_without_a_plain_value_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        parse_yaml(text)
    assert 3 < len(str(caught.value)) <= 200 and str(caught.value).isprintable()


def test_dates_in_yaml_are_words() -> None:
    assert parse_yaml("a: 2001-01-01\nb: [1, 2.5, true, null, x]") == {
        "a": "2001-01-01",
        "b": [1, 2.5, True, None, "x"],
    }


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 100_000, '{"a":' * 100_000, "9" * 5000, "9" * 20, "-9223372036854775809"),
        *('"\\ud800"', '{"\\udfff": 1}', b"\xff", b"\xff\xfe{\0}\0", "", "{", "[1] 2", "'a'"),
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_json_that_breaks_readers_later_is_refused(text: str | bytes) -> None:
    with pytest.raises(UnreadableError) as caught:
        parse_json(text)
    assert 3 < len(str(caught.value)) <= 200 and str(caught.value).isprintable()


def test_json_that_is_unusual_is_read() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 9223372036854775807}') == {"a": 2**63 - 1}
    assert parse_json('"\\ud83d\\ude00 \\\\ud800"') == "\U0001f600 \\ud800"
    assert parse_json('"12345678901234567890"') == "12345678901234567890"
    assert parse_json("0.12345678901234567890123") == pytest.approx(0.123456789012345678)


def test_what_is_no_object_is_refused_in_the_caller_s_words(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "folder.json").mkdir()
    for name in ("list.json", "folder.json", "missing.json"):
        with pytest.raises(DataError, match=rf"{name} .*\. Do this\.$"):
            read_object(tmp_path / name, DataError, "Do this.")


@pytest.mark.parametrize(
    "name", ["a\nb", "\x1b[2J", "x" * 9000, "\ud800", "\u202e", "a\0b", "\u2028"]
)
def test_a_message_is_one_short_line_whatever_a_name_holds(name: str) -> None:
    for error in (JCDMError(f"{name} not found."), FileNotFoundError(2, "no such file", name)):

        def fail(error: Exception = error) -> None:
            raise error

        shown = io.StringIO()
        with redirect_stderr(shown):
            assert run(fail) == 1
        line = shown.getvalue()
        assert line.endswith("\n") and line[:-1].isprintable() and len(line) < LONGEST_MESSAGE + 200
    assert "ü" in str(JCDMError("ü")) and sys.stderr is not shown


@dataclass
class Inner:
    size: tuple[int, int]
    names: dict[str, float] | None = None


@dataclass
class Outer:
    inner: Inner
    many: tuple[Inner, ...] = ()
    word: str = "x"


GOOD = {"inner": {"size": [1, 2], "names": {"a": 1}}, "many": [{"size": [3, 4]}], "word": "y"}


def test_plain_values_become_a_dataclass() -> None:
    made = from_plain(Outer, json.loads(json.dumps(GOOD)))
    assert made == Outer(Inner((1, 2), {"a": 1.0}), (Inner((3, 4)),), "y")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"inner": None}, "inner is None"),
        ({"inner": {"size": [1, 2, 3]}}, "size is"),
        ({"inner": {"size": [1, True]}}, "size is True, expected int"),
        ({"inner": {"size": [1, 2], "names": {"a": "b"}}}, "names.a is 'b', expected float"),
        ({"inner": {}}, "inner lacks the key 'size'"),
        ({"many": {"a": 1}}, "many is"),
        ({"word": 1}, "word is 1, expected str"),
        ({"other": 1}, "unknown key 'other'"),
    ],
)
def test_a_value_of_another_kind_is_named(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        from_plain(Outer, GOOD | change)
