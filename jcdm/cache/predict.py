"""Build or verify kept predictions: shard by shard, by any number of processes, resumable."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from jcdm.cache.build import CacheWork
from jcdm.cache.predictions import (
    MANIFEST,
    Identity,
    Predictions,
    PredictionsManifest,
    row_places,
    shard_key,
    shard_name,
    write_manifest,
)
from jcdm.cache.shards import (
    DTYPES,
    file_hash,
    read_facts,
    remove_partials,
    write_shard,
    write_text,
)
from jcdm.cache.verify import TOLERANCE
from jcdm.data.dataset import MultiViewDataset
from jcdm.data.loader import collate
from jcdm.data.workers import read_batches
from jcdm.errors import JCDMError
from jcdm.records import Batch
from jcdm.seeding import generator

ROWS_PER_SHARD = 1024
NUM_AT_ONCE = 8  # people the prior sees at once
NUM_CHECKED = 8  # people predicted again in a check


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionsBuilder:
    """Asks the prior about every subject in every arrangement. predict: Batch -> (B,V,D)."""

    folder: Path
    identity: Identity
    dataset: MultiViewDataset
    predict: Callable[[Batch], Tensor]
    dtype: str = "float32"

    def build(self, work: CacheWork) -> PredictionsManifest | None:
        """Build what is missing; every process calls this, the first one returns the manifest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if work.rank == 0:
            remove_partials(self.folder)
        work.wait()
        plan = self._plan()
        mine = list(range(-(-plan.num_rows // plan.rows_per_shard)))[work.rank :: work.num_ranks]
        count, done = sum(len(row_places(plan, shard)) for shard in mine), 0
        for shard in mine:
            self._shard(plan, shard, work)
            done += len(row_places(plan, shard))
            work.report(done, count)
        hashes = dict(work.gather([(s, file_hash(self.folder / shard_name(s))) for s in mine]))
        work.wait()
        if work.rank:
            return None
        plan = replace(plan, shards=[hashes[shard] for shard in sorted(hashes)])
        write_text(self.folder / MANIFEST, write_manifest(plan))
        return plan

    def find_problems(self, kept: Predictions) -> Iterator[str]:
        """Name what is wrong with kept predictions in one line each; some are made anew."""
        for number, sha256 in enumerate(kept.manifest.shards):
            file = self.folder / shard_name(number)
            if not file.is_file():
                yield f"{file.name} is missing"
            elif file_hash(file) != sha256:
                yield f"{file.name} has not the SHA-256 recorded"
        order = generator(0, "predictions verification").permutation(kept.manifest.num_rows)
        for row in sorted(order[:NUM_CHECKED].tolist()):
            yield from self._different(kept, *divmod(row, kept.manifest.num_people))

    def _different(self, kept: Predictions, arrangement: int, index: int) -> Iterator[str]:
        try:
            old = kept.load(index, arrangement)
        except JCDMError as error:
            yield str(error)
            return
        new = self.predict(collate([self.dataset[arrangement, index]]))[0]
        if (new - old).abs().max() > TOLERANCE[kept.manifest.dtype] * new.abs().max():
            yield f"subject {index}, arrangement {arrangement}: the prior now says something else"

    def _plan(self) -> PredictionsManifest:
        people = len(self.dataset)
        return PredictionsManifest(
            identity=self.identity,
            dtype=self.dtype,
            num_people=people,
            num_rows=people * self.dataset.num_arrangements,
            rows_per_shard=ROWS_PER_SHARD,
            shards=(),
        )

    def _shard(self, plan: PredictionsManifest, number: int, work: CacheWork) -> None:
        """Write a shard unless it is there."""
        file, key = self.folder / shard_name(number), shard_key(plan, number)
        if read_facts(file).get("key") == key:
            return
        pieces = _pieces(row_places(plan, number))
        batches = read_batches(self.dataset, pieces, collate, num_workers=work.num_workers)
        rows = torch.cat([self.predict(batch) for batch in batches]).to(DTYPES[self.dtype])
        write_shard(file, {"embeddings": rows}, {"key": key})


def _pieces(places: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    return [places[start : start + NUM_AT_ONCE] for start in range(0, len(places), NUM_AT_ONCE)]
