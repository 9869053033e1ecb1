"""Build an encoder cache: shard by shard, by any number of processes, going on where it was cut."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from jcdm.cache.layout import (
    BLACK,
    MANIFEST,
    CachedPhotograph,
    CacheIdentity,
    CacheManifest,
    shard_name,
    write_manifest,
)
from jcdm.cache.pictures import FileFacts, Photographs, ShownPhotograph, file_facts, show
from jcdm.cache.shards import DTYPES, read_facts, remove_partials, write_shard, write_text
from jcdm.config import OnBad
from jcdm.data.damage import find_damage
from jcdm.data.index import photograph_name
from jcdm.data.skipping import SkippedPicture
from jcdm.data.workers import read_batches
from jcdm.errors import DataError
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE

ROWS_PER_SHARD = 128
NUM_AT_ONCE = 4  # photographs an encoder sees at once, each twice


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheWork:
    """Who builds: this process's rank of how many, workers that read photographs.

    num_local: how many of them are on this computer. wait: returns when all processes have called
    it; gather: joins every process's list. report: is told rows done, of how many of this process.
    """

    rank: int = 0
    num_ranks: int = 1
    num_local: int = 1
    num_workers: int = 0
    wait: Callable[[], None] = lambda: None
    gather: Callable[[list], list] = lambda mine: mine
    report: Callable[[int, int], None] = lambda _done, _all: None


@dataclass(slots=True)
class BuildTimes:
    """Seconds of this process: in all, and inside the encoders."""

    total: float = 0.0
    encoding: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheBuilder:
    """Encodes photographs for one cache. vae: None = no latents. times: what it took."""

    folder: Path
    identity: CacheIdentity
    clip: FrozenCLIPVision
    vae: FrozenVAE | None
    times: BuildTimes = field(default_factory=BuildTimes)

    def build(
        self, pictures: Sequence[Path], index: Path, work: CacheWork, on_bad: OnBad = "error"
    ) -> CacheManifest | None:
        """Build what is missing of the cache of `pictures`, sorted paths; every process calls this.

        The first process returns the manifest. Errors: DataError for photographs that cannot be
        read, unless `on_bad` says to leave them out, and where none can be.
        """
        started = time.perf_counter()
        self.folder.mkdir(parents=True, exist_ok=True)
        if work.rank == 0:
            remove_partials(self.folder)
        work.wait()
        facts, skipped = _look(pictures, work, on_bad)
        first = {facts[path].sha256: path for path in reversed(sorted(facts))}
        contents = sorted(first)
        shards = list(_pieces(contents))
        my_shards = shards[work.rank :: work.num_ranks]
        sizes: list[tuple[str, tuple[int, int]]] = []
        done, count = 0, sum(len(piece) for _, piece in my_shards)
        for number, piece in my_shards:
            sizes += self._shard(number, [(content, first[content]) for content in piece], work)
            done += len(piece)
            work.report(done, count)
        if work.rank == 0:
            self._write_black()
        known = dict(work.gather(sizes))
        work.wait()
        self.times.total += time.perf_counter() - started
        if work.rank:
            return None
        manifest = self._manifest(facts, contents, known, len(shards), index)
        left_out = {photograph_name(p, index.absolute().parent): s for p, s in skipped.items()}
        manifest = replace(manifest, left_out=left_out)
        write_text(self.folder / MANIFEST, write_manifest(manifest))
        return manifest

    def encode(self, shown: Sequence[ShownPhotograph]) -> dict[str, Tensor]:
        """Encode photographs and their mirror images: name -> (N,2,...) in the cache's dtype."""
        started = time.perf_counter()
        found: dict[str, Tensor] = {}
        if self.vae is not None:
            images = torch.cat([photo.images for photo in shown if photo.images is not None])
            moments = self.vae.encode(images)
            found |= {"mean": moments.mean, "std": moments.std}
        squares = torch.cat([photo.clip_pixels for photo in shown])
        if self.identity.patch_tokens:
            found["appearance"], found["patch_tokens"] = self.clip.embed_with_tokens(squares)
        else:
            found["appearance"] = self.clip.embed(squares)
        dtype = DTYPES[self.identity.dtype]
        both = {
            name: rearrange(tensor, "(n two) ... -> n two ...", two=2).to("cpu", dtype)
            for name, tensor in found.items()
        }
        self.times.encoding += time.perf_counter() - started
        return both

    def _shard(
        self, number: int, piece: Sequence[tuple[str, Path]], work: CacheWork
    ) -> list[tuple[str, tuple[int, int]]]:
        """Write a shard unless it is there; returns the photographs' sizes by content."""
        file = self.folder / shard_name(number)
        key = _key(self.identity, [content for content, _ in piece])
        stored = read_facts(file)
        if stored.get("key") == key:
            sizes = [(height, width) for height, width in stored["sizes"]]
        else:
            sizes, tensors = self._encode_all([path for _, path in piece], work)
            write_shard(file, tensors, {"key": key, "sizes": sizes})
        contents = [content for content, _ in piece]
        return list(zip(contents, sizes, strict=True))

    def _encode_all(
        self, pictures: Sequence[Path], work: CacheWork
    ) -> tuple[list[tuple[int, int]], dict[str, Tensor]]:
        parts: list[dict[str, Tensor]] = []
        sizes: list[tuple[int, int]] = []
        photographs = Photographs(pictures, self.identity)
        places = [
            range(start, min(start + NUM_AT_ONCE, len(pictures)))
            for start in range(0, len(pictures), NUM_AT_ONCE)
        ]
        for shown in read_batches(photographs, places, list, num_workers=work.num_workers):
            parts.append(self.encode(shown))
            sizes += [photo.size for photo in shown]
        return sizes, {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _write_black(self) -> None:
        """Encode the black picture, which stands for absent views and hidden references."""
        key = _key(self.identity, ["black"])
        file = self.folder / BLACK
        if read_facts(file).get("key") != key:
            black = Image.new("RGB", (self.identity.width, self.identity.height))
            write_shard(file, self.encode([show(black, self.identity)]), {"key": key})

    def _manifest(
        self,
        facts: Mapping[Path, FileFacts],
        contents: Sequence[str],
        sizes: Mapping[str, tuple[int, int]],
        num_shards: int,
        index: Path,
    ) -> CacheManifest:
        rows = {content: row for row, content in enumerate(contents)}
        folder = index.absolute().parent
        return CacheManifest(
            identity=self.identity,
            rows_per_shard=ROWS_PER_SHARD,
            num_rows=len(contents),
            shards={
                name: file_facts(self.folder / name).sha256
                for name in map(shard_name, range(num_shards))
            },
            photographs={
                photograph_name(path, folder): CachedPhotograph(
                    sha256=found.sha256,
                    num_bytes=found.num_bytes,
                    modified=found.modified,
                    height=sizes[found.sha256][0],
                    width=sizes[found.sha256][1],
                    row=rows[found.sha256],
                )
                for path, found in sorted(facts.items())
            },
        )


def _look(
    pictures: Sequence[Path], work: CacheWork, on_bad: OnBad
) -> tuple[dict[Path, FileFacts], dict[Path, SkippedPicture]]:
    """Look at all photographs, this process at its share: facts, and those to be left out."""
    mine = pictures[work.rank :: work.num_ranks]
    damage = find_damage(mine, num_sharing=work.num_local) if on_bad == "skip" else {}
    seen = [
        (str(p), SkippedPicture.describe(p, damage[p]) if p in damage else file_facts(p))
        for p in mine
    ]
    facts, skipped = dict[Path, FileFacts](), dict[Path, SkippedPicture]()
    for name, found in sorted(work.gather(seen), key=lambda pair: pair[0]):
        if isinstance(found, SkippedPicture):
            skipped[Path(name)] = found
        else:
            facts[Path(name)] = found
    if skipped and not facts:
        reason = next(iter(skipped.values())).reason
        raise DataError(f"none of {len(skipped)} photographs can be read, first: {reason}")
    return facts, skipped


def _pieces(contents: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    for number, start in enumerate(range(0, len(contents), ROWS_PER_SHARD)):
        yield number, contents[start : start + ROWS_PER_SHARD]


def _key(identity: CacheIdentity, contents: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([repr(identity), *contents]).encode()).hexdigest()
