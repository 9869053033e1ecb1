"""Hostile contents for files: bytes of any kind, and good files with damage of many kinds.

Every strategy gives bytes. Hypothesis draws where and how, so that what fails is made small.
"""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from hypothesis import strategies as st

MUCH = "many " * 4000
WORDS = ("", " ", "a\0b", "\n", "../../etc/passwd", "/etc/passwd", "C:\\x", "..\\x", "ü", "\x1b[2J")
WORDS += ("\ud800", "nan", "null", "[", "{", "&a [*a]", "!!python/name:os.system", "hub:x/y", "=")
WORDS += ("--config", "${HOME}", "${NO_SUCH}", "1e999", "0x10", "s3://b/k", MUCH)
NUMBERS = (0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.5, 1e308, -0.0)
NUMBERS += (float("nan"), float("inf"), float("-inf"))
TREES: tuple[Any, ...] = ([], {}, [None], {"": None}, [[[[]]]], {"a": {"b": {"c": []}}})
TREES += ([1] * 300, {"keypoints": []}, ["x", 1, None, {}])
DEEP = "[" * 3000 + "]" * 3000
PLACE_OF_DEEP = "@deep@"
ODD_VALUES = (None, True, False, *WORDS, *NUMBERS, *TREES, PLACE_OF_DEEP)
CHUNKS = (b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xfc", b"\xed\xa0\x80", b"\n", b"\r", b'"')
CHUNKS += (b"[" * 3000, b"{", b"}", b",", b":", b"\\u", b"9" * 5000, b"NaN", b"- ", b"\t", b"\x1b")
CHUNKS += (b"../../x", b",,,,", b"\x80\x02", b"PK\x03\x04", b"A" * 3000)
VALUES = st.sampled_from(ODD_VALUES) | st.integers() | st.floats() | st.text(max_size=8)
SHARE = st.integers(0, 10_000)


def damaged_bytes(good: bytes) -> st.SearchStrategy[bytes]:
    """Random bytes, and a good file that is cut, has other bytes, chunks, or two halves swapped."""
    return st.one_of(
        st.binary(max_size=60),
        st.sampled_from(CHUNKS),
        SHARE.map(lambda share: good[: _at(good, share)]),
        st.lists(_change(len(good)), min_size=1, max_size=4).map(lambda many: _apply(good, many)),
        SHARE.map(lambda share: good[_at(good, share) :] + good[: _at(good, share)]),
        st.sampled_from(["utf-16", "utf-32", "utf-8-sig"]).map(lambda code: _recode(good, code)),
    )


def damaged_lines(good: bytes) -> st.SearchStrategy[bytes]:
    """Damage bytes, or take lines and cells of a list out, double them, or put odd words there."""
    return damaged_bytes(good) | st.lists(
        st.tuples(SHARE, SHARE, st.sampled_from(WORDS) | st.integers().map(str)),
        min_size=1,
        max_size=3,
    ).map(lambda changes: _change_cells(good, changes))


def damaged_json(good: bytes) -> st.SearchStrategy[bytes]:
    """Damage bytes, or nodes of the tree of a JSON file."""
    return damaged_bytes(good) | _trees(json.loads(good)).map(_to_json)


def damaged_yaml(good: bytes) -> st.SearchStrategy[bytes]:
    """Damage bytes, or nodes of the tree of a YAML file."""
    return damaged_bytes(good) | _trees(yaml.safe_load(good)).map(_to_yaml)


def _trees(good: Any) -> st.SearchStrategy[Any]:
    kinds = st.sampled_from(["replace", "replace", "remove", "double", "rename", "wrap", "swap"])
    change = st.tuples(SHARE, kinds, VALUES, SHARE)
    return st.lists(change, min_size=1, max_size=3).map(lambda changes: _damage(good, changes))


def _damage(good: Any, changes: list[tuple[int, str, Any, int]]) -> Any:
    tree = {"": copy.deepcopy(good)}
    for share, kind, value, other in changes:
        if not (places := list(_places(tree))):  # the whole of it is gone
            break
        parent, key = places[share * len(places) // 10_001]
        _CHANGES[kind](parent, key, copy.deepcopy(value), places[other * len(places) // 10_001])
    return tree.get("")


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a tree: the object or list, and the key or number in it."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])


def _replace(parent: Any, key: Any, value: Any, _other: Any) -> None:
    parent[key] = value


def _remove(parent: Any, key: Any, _value: Any, _other: Any) -> None:
    del parent[key]


def _double(parent: Any, key: Any, value: Any, _other: Any) -> None:
    if isinstance(parent, list):
        parent.insert(key, copy.deepcopy(parent[key]))
    else:
        parent[str(value)[:20]] = copy.deepcopy(parent[key])


def _rename(parent: Any, key: Any, value: Any, _other: Any) -> None:
    if isinstance(parent, dict):
        parent[str(value)[:20]] = parent.pop(key)


def _wrap(parent: Any, key: Any, value: Any, _other: Any) -> None:
    parent[key] = [parent[key]] if value else {"x": parent[key]}


def _swap(parent: Any, key: Any, _value: Any, other: tuple[Any, Any]) -> None:
    parent[key] = copy.deepcopy(other[0][other[1]]) if other[1] in _keys(other[0]) else None


def _keys(parent: Any) -> Any:
    return parent if isinstance(parent, dict) else range(len(parent))


_CHANGES: dict[str, Callable[[Any, Any, Any, Any], None]] = {
    "replace": _replace,
    "remove": _remove,
    "double": _double,
    "rename": _rename,
    "wrap": _wrap,
    "swap": _swap,
}


def _to_json(tree: Any) -> bytes:
    return json.dumps(tree).replace(f'"{PLACE_OF_DEEP}"', DEEP).encode()


def _to_yaml(tree: Any) -> bytes:
    text = json.dumps(tree) if _holds_surrogates(tree) else yaml.safe_dump(tree)
    return text.replace(PLACE_OF_DEEP, DEEP).encode()


def _holds_surrogates(tree: Any) -> bool:
    try:
        json.dumps(tree, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _at(good: bytes, share: int) -> int:
    return share * len(good) // 10_000


def _change(length: int) -> st.SearchStrategy[tuple[int, int, bytes]]:
    place = st.integers(0, max(0, length - 1))
    return st.tuples(place, st.integers(0, 20), st.sampled_from(CHUNKS) | st.binary(max_size=4))


def _apply(good: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    content = good
    for place, number, chunk in changes:
        content = content[:place] + chunk + content[place + number :]
    return content


def _recode(good: bytes, code: str) -> bytes:
    return good.decode("latin-1").encode(code)


def _change_cells(good: bytes, changes: list[tuple[int, int, str]]) -> bytes:
    lines = good.decode("latin-1").split("\n")
    for share, other, word in changes:
        number = share * len(lines) // 10_001
        for sign in (":", ",", " "):
            cells = lines[number].split(sign)
            if len(cells) > 1:
                cells[other * len(cells) // 10_001] = word
                lines[number] = sign.join(cells)
                break
        else:
            lines[number : number + 1] = [word, word]
    return "\n".join(lines).encode("utf-8", "surrogatepass")
