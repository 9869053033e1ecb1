"""What a cache folder holds: shards of numbers, and cache.json that says whose they are.

A shard `shard_00000.safetensors` has one row a photograph and two entries a row, as it is and
mirrored: `mean`, `std` (rows,2,C,h,w) unscaled VAE moments, `appearance` (rows,2,D) and, if asked
for, `patch_tokens` (rows,2,T,W). Rows follow from the photographs' contents, equal ones share one.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from jcdm.data.skipping import SkippedPicture
from jcdm.errors import DataError
from jcdm.plain import from_plain
from jcdm.reading import parse_json, short_reason

FORMAT, VERSION = "jcdm-encoder-cache", 1
MANIFEST, BLACK = "cache.json", "black.safetensors"
FIELDS = ("mean", "std", "appearance", "patch_tokens")
Dtype = Literal["float32", "float16", "bfloat16"]
_REPAIR = "Build it again: python -m jcdm cache --config FILE."


@dataclass(frozen=True, kw_only=True)
class CacheIdentity:
    """What the numbers of a cache depend on besides the photographs.

    vae, image_encoder: hashes of the weights in the dtype they computed in; vae None = no latents.
    height, width, fit: of a view; clip_size, clip_fit: of CLIP's square. dtype: of what is kept.
    """

    vae: str | None
    image_encoder: str
    height: int
    width: int
    fit: str
    clip_size: int
    clip_fit: str
    patch_tokens: bool = False
    dtype: str = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedPhotograph:
    """A photograph of a cache: content, file facts when it was read, size in pixels, and row."""

    sha256: str
    num_bytes: int
    modified: int
    height: int
    width: int
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheManifest:
    """cache.json. photographs, left_out: by their path from the index's folder.

    left_out: those that could not be read. shards: file -> SHA-256.
    """

    identity: CacheIdentity
    rows_per_shard: int
    num_rows: int
    shards: Mapping[str, str]
    photographs: Mapping[str, CachedPhotograph]
    left_out: Mapping[str, SkippedPicture] = field(default_factory=dict)


_HASH = re.compile(r"[0-9a-f]{64}")


def check_hashes(hashes: Iterable[str]) -> None:
    """Raise a ValueError unless all are SHA-256: local copies of shards are named after them."""
    for found in hashes:
        if not _HASH.fullmatch(found):
            raise ValueError(f"it names a shard by {found!a:.60}, expected a SHA-256")


def shard_name(number: int) -> str:
    """Name the file of a shard."""
    return f"shard_{number:05d}.safetensors"


def write_manifest(manifest: CacheManifest) -> str:
    """Write a manifest as JSON."""
    content = {"format": FORMAT, "version": VERSION, **asdict(manifest)}
    return json.dumps(content, indent=1) + "\n"


def read_manifest(text: str, where: str) -> CacheManifest:
    """Read cache.json, found at `where`. Errors: DataError."""
    try:
        content = parse_json(text)
        known = (content.pop("format"), content.pop("version")) == (FORMAT, VERSION)
        manifest = from_plain(CacheManifest, content)
        check_hashes(manifest.shards.values())
        if min(manifest.rows_per_shard, *(p.row + 1 for p in manifest.photographs.values()), 1) < 1:
            raise ValueError("its rows are counted from 0, in shards of at least one")
    except (ValueError, KeyError, TypeError, AttributeError, DataError) as error:
        raise DataError(f"{where} is no encoder cache: {short_reason(error)}. {_REPAIR}") from None
    if not known:
        raise DataError(f"{where} has not format {FORMAT!r} version {VERSION}. {_REPAIR}")
    return manifest
