"""Values in pieces: the same whole, in parts, kept, by several processes; bad items left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from jcdm.errors import ConfigError, DataError
from jcdm.evaluation.chunk_store import ChunkStore, content_hash, make_key
from jcdm.evaluation.protocols import measuring
from jcdm.evaluation.protocols.measuring import Work, measure, share


@dataclass
class Squares:
    """Squares of numbers; odd hundreds are bad. Counts what is computed."""

    identity: str = "squares"
    computed: list[int] = field(default_factory=list)

    def content(self, item: int) -> str:
        return str(item)

    def read(self, item: int) -> int:
        if item % 100 == 50:
            raise DataError(f"item {item} is bad")
        return item

    def compute(self, items: Sequence[int]) -> Mapping[str, np.ndarray]:
        self.computed += items
        return {"square": np.array(items) ** 2, "row": np.ones((len(items), 3), np.float32)}


NUMBERS = list(range(1000))
GOOD = [n for n in NUMBERS if n % 100 != 50]


def test_bad_items_are_left_out_and_named() -> None:
    found = measure(NUMBERS, Squares(), Work(on_bad="skip"))
    assert np.array_equal(found.values["square"], np.array(GOOD) ** 2)
    assert found.values["row"].shape == (990, 3) and found.values["row"].dtype == np.float32
    assert found.bad == {n: f"item {n} is bad" for n in NUMBERS if n % 100 == 50}
    with pytest.raises(DataError, match="item 50 is bad"):
        measure(NUMBERS, Squares(), Work())
    with pytest.raises(DataError, match="none of 2 items can be read, first: item 50 is bad"):
        measure([50, 150], Squares(), Work(on_bad="skip"))


def test_what_is_kept_is_not_computed_again(tmp_path: Path) -> None:
    work = Work(store=ChunkStore(tmp_path), on_bad="skip")
    first, again = Squares(), Squares()
    whole = measure(NUMBERS, first, work)
    kept = measure(NUMBERS, again, work)
    assert first.computed == GOOD and not again.computed
    assert list(kept.values) == list(whole.values) == ["square", "row"], "the order is kept too"
    assert np.array_equal(kept.values["square"], whole.values["square"]) and kept.bad == whole.bad
    other = Squares(identity="other squares")
    measure(NUMBERS, other, work)
    assert other.computed == GOOD, "another identity must not meet what is kept"
    changed = [1, *NUMBERS[1:]]
    some = Squares()
    measure(changed, some, work)
    assert some.computed == [n for n in changed[: measuring.CHUNK] if n % 100 != 50]


def test_a_cut_run_and_a_damaged_piece_are_computed_again(tmp_path: Path) -> None:
    store = ChunkStore(tmp_path)
    measure(NUMBERS[: measuring.CHUNK], Squares(), Work(store=store, on_bad="skip"))
    rest = Squares()
    measure(NUMBERS, rest, Work(store=store, on_bad="skip"))
    assert min(rest.computed) == measuring.CHUNK
    piece = next(tmp_path.rglob("*.safetensors"))
    piece.write_bytes(piece.read_bytes()[:40])
    again = Squares()
    found = measure(NUMBERS, again, Work(store=store, on_bad="skip"))
    assert 0 < len(again.computed) <= measuring.CHUNK
    assert np.array_equal(found.values["square"], np.array(GOOD) ** 2)


@pytest.mark.parametrize("num_ranks", [2, 3, 7])
def test_processes_share_the_pieces(tmp_path: Path, num_ranks: int) -> None:
    store, parts = ChunkStore(tmp_path), []
    for rank in range(num_ranks):
        parts.append(Squares())
        share(NUMBERS, parts[-1], Work(store=store, rank=rank, num_ranks=num_ranks, on_bad="skip"))
    computed = [n for part in parts for n in part.computed]
    assert sorted(computed) == GOOD and len(computed) == len(set(computed))
    alone = Squares()
    found = measure(NUMBERS, alone, Work(store=store, on_bad="skip"))
    assert not alone.computed and len(found.values["square"]) == len(GOOD)
    with pytest.raises(ConfigError, match="--cache"):
        share(NUMBERS, Squares(), Work(num_ranks=2))


def test_a_key_is_the_content_and_not_the_name(tmp_path: Path) -> None:
    for name, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).write_text(text)
    a, b, c = (content_hash(tmp_path / name) for name in "abc")
    assert a == b != c and content_hash(tmp_path / "absent") == "missing"
    assert make_key(["ab", "c"]) != make_key(["a", "bc"])
