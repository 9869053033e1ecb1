"""Check an encoder cache: its shards, the photographs it was made of, and some rows anew."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from jcdm.cache.build import CacheBuilder
from jcdm.cache.layout import BLACK
from jcdm.cache.pictures import file_facts, show
from jcdm.cache.reader import EncoderCache
from jcdm.config import OnBad
from jcdm.data.images import load_image
from jcdm.data.index import photograph_name
from jcdm.errors import JCDMError
from jcdm.seeding import generator

NUM_ROWS = 16  # photographs that are encoded again
TOLERANCE = {"float32": 1e-4, "float16": 4e-3, "bfloat16": 3e-2}
"""Largest difference of a row encoded anew, as a share of the largest number of its field."""


def find_problems(
    cache: EncoderCache,
    builder: CacheBuilder,
    pictures: Sequence[Path],
    index: Path,
    on_bad: OnBad = "error",
) -> Iterator[str]:
    """Name every problem of a cache in one line each; none for a cache that is right.

    on_bad: `skip` = photographs that were left out since they could not be read are no problem.
    """
    known, left_out = cache.manifest.photographs, cache.manifest.left_out
    names = {path: photograph_name(path, index.absolute().parent) for path in pictures}
    for shard, sha256 in cache.manifest.shards.items():
        try:
            if file_facts(builder.folder / shard).sha256 != sha256:
                yield f"{shard} has not the SHA-256 recorded"
        except JCDMError:
            yield f"{shard} is missing"
    if not (builder.folder / BLACK).is_file():
        yield f"{BLACK} is missing"
    for path, name in names.items():
        if name in left_out and left_out[name].is_repaired(path):
            yield f"{path} was left out, and has changed since the cache was built"
        elif name in left_out and on_bad == "error":
            yield f"{path} was left out: {left_out[name].reason}"
        elif name not in known and name not in left_out:
            yield f"{path} is not in the cache"
        elif name in known and path.is_file() and file_facts(path).sha256 != known[name].sha256:
            yield f"{path} has changed since the cache was built"
    yield from _different_rows(cache, builder, [p for p, n in names.items() if n in known])


def _different_rows(
    cache: EncoderCache, builder: CacheBuilder, pictures: Sequence[Path]
) -> Iterator[str]:
    """Encode some photographs again, chosen by a fixed draw."""
    order = generator(0, "cache verification").permutation(len(pictures))
    tolerance = TOLERANCE[cache.manifest.identity.dtype]
    for place in order[:NUM_ROWS]:
        path = pictures[place]
        try:
            fresh = builder.encode([show(load_image(path), builder.identity)])
            kept = [_kept(cache, path, flip) for flip in (False, True)]
        except JCDMError as error:
            yield str(error)
            continue
        for name, both in fresh.items():
            new, old = both[0].float(), torch.stack([row[name] for row in kept])
            if (new - old).abs().max() > tolerance * new.abs().max():
                yield f"{path}: {name} differs from what the encoders make of it now"


def _kept(cache: EncoderCache, path: Path, flip: bool) -> dict[str, Tensor]:
    """Read all that a cache has of a photograph, by the names of its fields."""
    row = cache.load(path, flip=flip)
    found = {"mean": row.mean, "std": row.std, "appearance": row.appearance}
    if cache.manifest.identity.patch_tokens:
        found["patch_tokens"] = cache.patch_tokens(path, flip=flip)
    return {name: tensor for name, tensor in found.items() if tensor is not None}
