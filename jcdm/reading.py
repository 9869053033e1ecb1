"""JSON and YAML from outside: a plain value, or one short line that says why there is none.

Refused besides broken text: what no file of this project needs and what breaks a reader later on.
That is nesting without end, whole numbers beyond 64 bits, halves of characters, YAML's references
that unfold to very much, and YAML's dates, binaries and sets.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from jcdm.errors import JCDMError

MOST_CHARACTERS, MOST_VALUES = 1_000_000, 100_000
"""Of a YAML file, and values that it may unfold to; the longest plan has some thousands."""
LONGEST_REASON = 200
_MANY_DIGITS = re.compile(r"\d{19}")
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
_PLAIN_TAGS = ("null", "bool", "int", "float", "str", "seq", "map")


class UnreadableError(ValueError):
    """A text is no JSON or YAML that is taken here; the message is one short line."""


def short_reason(error: BaseException) -> str:
    """Fold what a library says into one short line; its kind where it says nothing."""
    return " ".join(str(error).split())[:LONGEST_REASON].rstrip(".") or type(error).__name__


def read_json(path: Path) -> Any:
    """Read a JSON file in UTF-8. Errors: OSError; UnreadableError, a ValueError."""
    return parse_json(path.read_bytes())


def read_object(path: Path, kind: type[JCDMError], remedy: str) -> dict[str, Any]:
    """Read a JSON file that holds an object. Errors: `kind`, whose line ends with the remedy."""
    try:
        content = read_json(path)
    except UnreadableError as error:
        raise kind(f"{path} is not JSON: {error}. {remedy}") from None
    except OSError as error:
        raise kind(f"{path} cannot be read: {error.strerror or error}. {remedy}") from None
    if not isinstance(content, dict):
        raise kind(f"{path} holds no JSON object but {type(content).__name__}. {remedy}")
    return content


def parse_json(text: str | bytes) -> Any:
    """Read JSON; bytes are UTF-8, with a byte order mark or without. Errors: UnreadableError."""
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        limits: dict[str, Any] = {"parse_int": _whole} if _MANY_DIGITS.search(text) else {}
        value = json.loads(text, **limits)
        if _HALF_CHARACTER.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise UnreadableError("it is nested too deeply") from None
    except MemoryError:
        raise UnreadableError("it does not fit into memory") from None
    except UnicodeEncodeError:
        raise UnreadableError("it holds half a character (a lone surrogate)") from None
    except ValueError as error:
        raise UnreadableError(short_reason(error)) from None
    return value


def read_yaml(path: Path) -> Any:
    """Read a YAML file in UTF-8. Errors: OSError; UnreadableError, a ValueError."""
    return parse_yaml(path.read_bytes())


def parse_yaml(text: str | bytes) -> Any:
    """Read YAML of plain values; bytes are UTF-8. Errors: UnreadableError."""
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        return _load_yaml(text)
    except RecursionError:
        raise UnreadableError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UnreadableError(short_reason(error).replace(' in "<unicode string>"', "")) from None
    except Exception as error:  # constructors of wrong values raise almost anything
        raise UnreadableError(f"a value does not fit its tag ({type(error).__name__})") from None


def _whole(digits: str) -> int:
    """Make a whole number of at most 64 bits."""
    number = int(digits)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"a whole number of {len(digits)} digits is too large")
    return number


def _is_whole(word: str) -> bool:
    """Tell whether a word has no half of a character."""
    return not any("\ud800" <= sign <= "\udfff" for sign in word)


class _PlainLoader(yaml.SafeLoader):
    """The safe loader without dates, binaries and sets, for which YAML has JSON no word."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the class it overrides
        first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """Refuse words that can stand in no path and no file: with a NUL, or half a character."""
        word = super().construct_scalar(node)
        if "\0" in word or not _is_whole(word):
            raise ValueError("it holds a NUL or half a character (a lone surrogate)")
        return word

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Refuse whole numbers beyond 64 bits."""
        number = super().construct_yaml_int(node)
        if not -(2**63) <= number < 2**63:
            raise ValueError("a whole number is too large")
        return number


_PlainLoader.yaml_constructors = {
    tag: make
    for tag, make in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in _PLAIN_TAGS
}
_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_yaml_int)


def _load_yaml(text: str) -> Any:
    if len(text) > MOST_CHARACTERS:
        raise UnreadableError(f"it has more than {MOST_CHARACTERS:,} characters")
    loader = _PlainLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _count_values(node, {}) > MOST_VALUES:
            raise UnreadableError(f"its references unfold to more than {MOST_VALUES:,} values")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _count_values(node: Any, known: dict[int, int]) -> int:
    """Count what a node unfolds to when every reference in it is written out."""
    if (count := known.get(id(node))) is not None:
        return count
    known[id(node)] = MOST_VALUES + 1  # found again inside itself: without end
    pairs = node.value if isinstance(node.value, list) else ()
    children = (child for pair in pairs for child in (pair if isinstance(pair, tuple) else (pair,)))
    known[id(node)] = 1 + sum(_count_values(child, known) for child in children)
    return known[id(node)]
