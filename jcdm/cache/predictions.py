"""What the frozen prior predicts for every subject in every arrangement, kept and read back.

A folder holds shards `predictions_00000.safetensors` with `embeddings` (rows,V,D) and
predictions.json, which says whose they are. Row `arrangement * num_people + index` belongs to
subject `index` in that arrangement.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from jcdm.cache.differences import name_differences
from jcdm.cache.layout import check_hashes
from jcdm.cache.places import LocalCopies, Place
from jcdm.errors import ConfigError, DataError
from jcdm.plain import from_plain
from jcdm.reading import parse_json, short_reason

FORMAT, VERSION = "jcdm-predictions", 1
MANIFEST = "predictions.json"
BUILD = "python -m jcdm cache --config FILE --predictions STAGE"

Identity = Mapping[str, str | int | float | bool | None]
"""All that predictions depend on, by the names a person knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionsManifest:
    """predictions.json. shards: SHA-256 of each file, in the order of their rows."""

    identity: Identity
    dtype: str
    num_people: int
    num_rows: int
    rows_per_shard: int
    shards: Sequence[str]


def shard_name(number: int) -> str:
    """Name the file of a shard."""
    return f"predictions_{number:05d}.safetensors"


def row_places(manifest: PredictionsManifest, shard: int) -> list[tuple[int, int]]:
    """Return (arrangement, index) of each row of a shard."""
    first = shard * manifest.rows_per_shard
    rows = range(first, min(first + manifest.rows_per_shard, manifest.num_rows))
    return [divmod(row, manifest.num_people) for row in rows]


def write_manifest(manifest: PredictionsManifest) -> str:
    """Write a manifest as JSON."""
    content = {"format": FORMAT, "version": VERSION, **asdict(manifest)}
    return json.dumps(content, indent=1) + "\n"


def read_manifest(text: str, where: str) -> PredictionsManifest:
    """Read predictions.json, found at `where`. Errors: DataError."""
    try:
        content = parse_json(text)
        known = (content.pop("format"), content.pop("version")) == (FORMAT, VERSION)
        manifest = from_plain(PredictionsManifest, content)
        check_hashes(manifest.shards)
        if min(manifest.num_people, manifest.num_rows, manifest.rows_per_shard) < 1:
            raise ValueError("what it says of itself makes no sense")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{where} holds no predictions: {short_reason(error)}. Build: {BUILD}."
        ) from None
    if not known:
        raise DataError(f"{where} has not format {FORMAT!r} version {VERSION}. Build: {BUILD}.")
    return manifest


class Predictions:
    """Kept predictions, opened. May be handed to loader workers, which open files themselves.

    place: a folder, or a URL whose shards are copied to `copies`. Errors: DataError.
    """

    def __init__(self, place: Path, copies: LocalCopies) -> None:
        self.place = Place(place, copies, build=BUILD)
        self.manifest = read_manifest(
            self.place.read_text(MANIFEST), f"{self.place.name}/{MANIFEST}"
        )
        self._open: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def require(self, expected: Identity) -> None:
        """Refuse predictions of anything else. Errors: ConfigError naming what differs."""
        if shown := name_differences(self.manifest.identity, expected):
            raise ConfigError(
                f"prior.predictions={self.place.name} was made for something else: {shown}. "
                f"Build: {BUILD}."
            )

    def load(self, index: int, arrangement: int) -> Tensor:
        """Read the embeddings (V,D) float32 of a subject in an arrangement. Errors: DataError."""
        row = arrangement * self.manifest.num_people + index
        shard, row = divmod(row, self.manifest.rows_per_shard)
        try:
            if shard not in self._open:
                identity = self.manifest.shards[shard]
                file = self.place.local_file(shard_name(shard), identity)
                self._open[shard] = safe_open(file, framework="pt")
            return self._open[shard].get_slice("embeddings")[row].float()
        except (OSError, SafetensorError, IndexError) as error:
            raise DataError(
                f"{self.place.name}/{shard_name(shard)} is damaged or missing: "
                f"{' '.join(str(error).split())}. Build: {BUILD}."
            ) from None


def shard_key(manifest: PredictionsManifest, shard: int) -> str:
    """Say what a shard's numbers depend on, in one word."""
    content = json.dumps(
        [dict(manifest.identity), manifest.dtype, row_places(manifest, shard)], sort_keys=True
    )
    return hashlib.sha256(content.encode()).hexdigest()
