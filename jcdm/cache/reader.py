"""Read an encoder cache: rows by photograph, mapped into memory, in any order."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from jcdm.cache.differences import name_differences
from jcdm.cache.layout import (
    BLACK,
    MANIFEST,
    CachedPhotograph,
    CacheIdentity,
    read_manifest,
    shard_name,
)
from jcdm.cache.places import LocalCopies, Place
from jcdm.cache.shards import file_hash
from jcdm.config import OnBad
from jcdm.data.index import photograph_name
from jcdm.errors import ConfigError, DataError
from jcdm.reading import short_reason
from jcdm.records import EncodedView, SubjectRecord

DEFAULT_COPIES = Path.home() / ".cache" / "jcdm" / "shards"
_BUILD = "Build it with: python -m jcdm cache --config FILE."


class EncoderCache:
    """An encoder cache, opened. `index`: whose folder the photographs' paths begin at.

    place: a folder, or a URL such as s3://bucket/folder; shards of a URL are copied to `copies` and
    the least recently used ones removed. May be handed to loader workers: files are opened by whom
    reads them. Errors: DataError for a folder that is no cache.
    """

    def __init__(self, place: Path, index: Path, copies: LocalCopies | None = None) -> None:
        copies = copies or LocalCopies(folder=DEFAULT_COPIES, max_bytes=50_000_000_000)
        self.place = Place(place, copies)
        manifest = self.place.read_text(MANIFEST)
        self.manifest = read_manifest(manifest, f"{self.place.name}/{MANIFEST}")
        self._text_hash = hashlib.sha256(manifest.encode()).hexdigest()
        self._folder = index.absolute().parent
        self._open: dict[str, Any] = {}
        self.black = self._read(BLACK, 0, 0, (0, 0))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def require(
        self,
        expected: CacheIdentity,
        records: Sequence[SubjectRecord],
        *,
        on_bad: OnBad = "error",
    ) -> None:
        """Refuse a cache of other encoders or sizes, or one that does not hold the photographs.

        expected: its vae None = latents are not asked for, nor is the size of a view; its
        patch_tokens False = they are not asked for. A photograph
        on disk whose size or time differs from what was recorded is read again, and refused if its
        content differs; one that is not on disk is taken from the cache. on_bad: `skip` = those
        that could not be read when the cache was built may be missing. Errors: ConfigError,
        DataError.
        """
        self._require_identity(expected)
        pictures = {view.image for record in records for view in record.views}
        self._require_photographs(sorted(pictures), on_bad)

    def contents_hash(self, pictures: Sequence[Path]) -> str:
        """Hash the contents of photographs, in their order. All of them must be in the cache."""
        known = self.manifest.photographs
        contents = [known[self._name(picture)].sha256 for picture in pictures]
        return hashlib.sha256("\n".join(contents).encode()).hexdigest()

    def load(self, picture: Path, *, flip: bool) -> EncodedView:
        """Read what is known of a photograph, mirrored if `flip`. Errors: DataError."""
        facts, shard, row = self._find(picture)
        return self._read(shard, row, int(flip), (facts.height, facts.width))

    def patch_tokens(self, picture: Path, *, flip: bool) -> torch.Tensor:
        """Read the image encoder's tokens (T,W) of a photograph, mirrored if `flip`.

        The class token is the first. Errors: DataError, ConfigError where they were not kept.
        """
        self._require_patch_tokens()
        _, shard, row = self._find(picture)
        return self._read_fields(shard, row, int(flip), ("patch_tokens",))["patch_tokens"]

    def _find(self, picture: Path) -> tuple[CachedPhotograph, str, int]:
        """Say where a photograph is: its facts, its shard and the row in that."""
        facts = self.manifest.photographs.get(self._name(picture))
        if facts is None:
            raise DataError(f"encoder cache {self.place.name} does not hold {picture}. {_BUILD}")
        shard, row = divmod(facts.row, self.manifest.rows_per_shard)
        return facts, shard_name(shard), row

    def _read(self, name: str, row: int, flip: int, size: tuple[int, int]) -> EncodedView:
        found = self._read_fields(name, row, flip, ("mean", "std", "appearance"))
        if "appearance" not in found:
            raise self._damaged(name, "it holds no appearance")
        return EncodedView(
            mean=found.get("mean"),
            std=found.get("std"),
            appearance=found["appearance"],
            size=size,
        )

    def _read_fields(
        self, name: str, row: int, flip: int, fields: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        """Read those of the fields that a shard has."""
        file = self._file(name)
        try:
            return {
                field: file.get_slice(field)[row, flip].float()
                for field in fields
                if field in file.keys()  # noqa: SIM118 - the file's, not a mapping's
            }
        except (SafetensorError, IndexError) as error:
            raise self._damaged(name, short_reason(error)) from None

    def _damaged(self, name: str, reason: str) -> DataError:
        return DataError(
            f"{self.place.name}/{name} is damaged: {reason}. Check it with: python -m jcdm cache "
            "--config FILE --verify."
        )

    def _file(self, name: str) -> Any:
        if name not in self._open:
            identity = self.manifest.shards.get(name, self._text_hash)
            path = self.place.local_file(name, identity)
            try:
                self._open[name] = safe_open(path, framework="pt")
            except (OSError, SafetensorError) as error:
                raise DataError(
                    f"{path} cannot be read as a shard of an encoder cache: "
                    f"{' '.join(str(error).split())}. {_BUILD}"
                ) from None
        return self._open[name]

    def _name(self, picture: Path) -> str:
        return photograph_name(picture, self._folder)

    def _require_identity(self, expected: CacheIdentity) -> None:
        names = ["image_encoder", "clip_size", "clip_fit"]
        if expected.vae is not None:
            names += ["vae", "height", "width", "fit"]
        found, asked = (
            {name: getattr(identity, name) for name in names}
            for identity in (self.manifest.identity, expected)
        )
        if shown := name_differences(found, asked):
            raise ConfigError(
                f"encoders.cache={self.place.name} was made for something else: {shown}. {_BUILD}"
            )
        if expected.patch_tokens:
            self._require_patch_tokens()

    def _require_patch_tokens(self) -> None:
        if not self.manifest.identity.patch_tokens:
            raise ConfigError(
                f"encoders.cache={self.place.name} keeps no patch tokens, which jci.patch_grid "
                "reads. Build it with: python -m jcdm cache --config FILE --patch_tokens."
            )

    def _require_photographs(self, pictures: Sequence[Path], on_bad: OnBad) -> None:
        names = {picture: self._name(picture) for picture in pictures}
        known, left_out = self.manifest.photographs, self.manifest.left_out
        may_lack = left_out if on_bad == "skip" else {}
        missing = [p for p, name in names.items() if name not in known and name not in may_lack]
        if missing:
            why = left_out.get(names[missing[0]])
            reason = "" if why is None else f" (left out when it was built: {why.reason})"
            raise DataError(
                f"encoder cache {self.place.name} lacks {len(missing)} of {len(names)} "
                f"photographs, first: {missing[0]}{reason}. {_BUILD}"
            )
        for picture, name in names.items():
            if name in known:
                is_stale = not _is_unchanged(picture, known[name])
            else:
                is_stale = left_out[name].is_repaired(picture)
            if is_stale:
                raise DataError(
                    f"encoder cache {self.place.name} is stale: {picture} has changed since. "
                    f"{_BUILD}"
                )


def _is_unchanged(picture: Path, facts: Any) -> bool:
    try:
        found = picture.stat()
    except FileNotFoundError:
        return True
    if (found.st_size, found.st_mtime_ns) == (facts.num_bytes, facts.modified):
        return True
    return file_hash(picture) == facts.sha256
