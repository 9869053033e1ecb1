"""Caches beyond one disk: read by URL through local copies, of which the oldest in use go first."""

import os
import shutil
from pathlib import Path

import fsspec
import pytest
import torch
from test_encoder_cache import builder, cache, encoders, identity, index, pictures  # noqa: F401

from jcdm.cache.build import CacheBuilder
from jcdm.cache.places import LocalCopies, Place, remote_url
from jcdm.cache.reader import EncoderCache
from jcdm.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("s3://bucket/people/cache", "s3://bucket/people/cache"),
        ("gs://b/c", "gs://b/c"),
        ("memory://cache", "memory:///cache"),
        ("file:///data/cache", "file:///data/cache"),
        ("/data/cache", None),
        ("../cache", None),
        ("c:/cache", None),
    ],
)
def test_a_path_that_was_a_url_is_one_again(written: str, url: str | None) -> None:
    assert remote_url(Path(written)) == url


@pytest.fixture
def remote(builder: CacheBuilder, cache: EncoderCache) -> str:  # noqa: F811
    """The cache in fsspec's memory, as on an object store."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    for file in builder.folder.iterdir():
        memory.put_file(str(file), f"/store/{file.name}")
    return "memory://store"


def test_a_remote_cache_gives_the_same_and_copies_what_is_read(
    remote: str,
    cache: EncoderCache,  # noqa: F811
    index: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    copies = LocalCopies(folder=tmp_path / "copies", max_bytes=10**9)
    far = EncoderCache(Path(remote), index, copies)
    paths = pictures(index)
    copied = len(list(copies.folder.iterdir()))
    for path in (paths[-1], paths[0], paths[5]):
        ours, theirs = far.load(path, flip=True), cache.load(path, flip=True)
        assert ours.mean is not None and theirs.mean is not None
        assert torch.equal(ours.mean, theirs.mean)
        assert torch.equal(ours.appearance, theirs.appearance)
    assert 1 == copied < len(list(copies.folder.iterdir()))
    fsspec.filesystem("memory").store.clear()
    again = far.load(paths[0], flip=False)
    assert torch.equal(again.appearance, cache.load(paths[0], flip=False).appearance)


def test_the_copies_used_longest_ago_go(tmp_path: Path) -> None:
    source = fsspec.filesystem("memory")
    source.store.clear()
    for name in "abcd":
        source.pipe_file(f"/{name}", name.encode() * 400)
    copies = LocalCopies(folder=tmp_path, max_bytes=1000)

    def fetch(name: str) -> None:
        path = copies.fetch(source, f"{name}.safetensors", f"/{name}")
        assert path.read_bytes() == name.encode() * 400

    def kept() -> str:
        return "".join(sorted(path.stem for path in tmp_path.iterdir()))

    for number, name in enumerate("ab"):
        fetch(name)
        os.utime(tmp_path / f"{name}.safetensors", (number, number))
    fetch("c")
    assert kept() == "bc"
    os.utime(tmp_path / "c.safetensors", (5, 5))
    fetch("b")  # used again: now c is the older one
    fetch("d")
    assert kept() == "bd"
    with pytest.raises(DataError, match="not found"):
        copies.fetch(source, "x.safetensors", "/x")
    assert kept() == "bd", "nothing half-copied stays"


def test_a_copy_of_an_older_cache_is_not_taken_for_the_new_one(tmp_path: Path) -> None:
    source = fsspec.filesystem("memory")
    source.store.clear()
    copies = LocalCopies(folder=tmp_path, max_bytes=10**6)
    place = Place(Path("memory://p"), copies)
    for content in (b"old", b"new"):
        source.pipe_file("/p/shard", content)
        assert place.local_file("shard", content.hex()).read_bytes() == content


def test_places_that_cannot_be_reached_are_one_line(tmp_path: Path) -> None:
    copies = LocalCopies(folder=tmp_path, max_bytes=1)
    with pytest.raises(ConfigError, match="nosuch://bucket/x cannot be reached"):
        Place(Path("nosuch://bucket/x"), copies)
    with pytest.raises(DataError, match=r"python -m jcdm cache"):
        Place(Path("memory://nothing"), copies).read_text("cache.json")
    shutil.rmtree(tmp_path)
