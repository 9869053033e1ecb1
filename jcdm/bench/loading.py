"""The data's side of training: how long a step waits for its batch, and how two readers scale."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from jcdm.bench.results import Fact, Goal, Row
from jcdm.cache.build import CacheBuilder, CacheWork
from jcdm.cache.layout import CacheIdentity
from jcdm.cache.reader import EncoderCache
from jcdm.data.dataset import MultiViewDataset
from jcdm.data.index import read_index
from jcdm.data.loader import build_loader
from jcdm.data.synthetic import write_dataset
from jcdm.data.workers import single_threaded
from jcdm.grid import GridShape
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE

BATCH_SIZE, NUM_WORKERS, STEP_SECONDS = 8, 2, 0.05
MOST_WAITING = 0.05
VIEW = (256, 192)
NUM_PEOPLE = 16


@contextmanager
def drawn_index(view: tuple[int, int], num_people: int = NUM_PEOPLE) -> Iterator[Path]:
    """Draw people into a folder that is gone afterwards; gives the path of their index."""
    with TemporaryDirectory() as name:
        yield write_dataset(
            Path(name) / "people",
            num_identities=num_people,
            seed=0,
            size=view,
            num_views=4,
            test_fraction=0.0,
        )


def open_people(
    index: Path,
    view: tuple[int, int],
    *,
    clip_size: int = 224,
    cache: EncoderCache | None = None,
    patch_grid: int = 0,
    with_pictures: bool = True,
) -> MultiViewDataset:
    """Open drawn people as training reads them, from photographs or from a cache."""
    return MultiViewDataset(
        read_index(index, "train"),
        height=view[0],
        width=view[1],
        grid=GridShape(rows=2, cols=2),
        clip_size=clip_size,
        with_pictures=with_pictures,
        cache=cache,
        patch_grid=patch_grid,
        random_crop=False,
        seed=0,
        train=True,
    )


def build_cache(
    index: Path,
    view: tuple[int, int],
    vae: FrozenVAE,
    clip: FrozenCLIPVision,
    *,
    patch_tokens: bool = False,
) -> tuple[EncoderCache, CacheBuilder]:
    """Build the cache of drawn people beside their index; also what built it, with its times."""
    identity = CacheIdentity(
        vae="of this run",
        image_encoder="of this run",
        height=view[0],
        width=view[1],
        fit="crop",
        clip_size=clip.image_size,
        clip_fit="crop",
        patch_tokens=patch_tokens,
    )
    folder = index.parent / "cache"
    builder = CacheBuilder(folder=folder, identity=identity, clip=clip, vae=vae)
    pictures = {view.image for record in read_index(index) for view in record.views}
    builder.build(sorted(pictures), index, CacheWork())
    return EncoderCache(folder, index), builder


def bench_waiting(name: str, dataset: MultiViewDataset, *, num_steps: int) -> Iterator[Row]:
    """Say which share of its time a loop waits whose step takes 50 ms and 8 people.

    Also whether a worker with a core of its own is fast enough for that.
    """
    waiting, total = measure_waiting(dataset, num_steps=num_steps)
    yield Fact(
        name=f"{name}: people a second", value=BATCH_SIZE * num_steps / total, unit="people/s"
    )
    yield Goal(
        name=f"{name}: share of time a step of 50 ms waits",
        value=waiting / total,
        bound=MOST_WAITING,
        at_least=False,
    )
    yield Goal(
        name=f"{name}: people a worker reads in a processor second",
        value=reading_rate(dataset),
        bound=BATCH_SIZE / STEP_SECONDS / NUM_WORKERS,
    )


def reading_rate(dataset: MultiViewDataset, num_batches: int = 5) -> float:
    """People a second of processor time, on one thread as in a worker; others do not disturb it."""
    batches = build_loader(dataset, batch_size=BATCH_SIZE, seed=0)
    num_threads = torch.get_num_threads()
    single_threaded(0)
    next(batches)
    start = time.process_time()
    for _ in range(num_batches):
        next(batches)
    seconds = time.process_time() - start
    torch.set_num_threads(num_threads)
    return BATCH_SIZE * num_batches / max(seconds, 1e-9)


def measure_waiting(dataset: MultiViewDataset, *, num_steps: int) -> tuple[float, float]:
    """Seconds of waiting, and in all, of a loop whose step is a sleep; its start is left out."""
    batches = build_loader(dataset, batch_size=BATCH_SIZE, seed=0, num_workers=NUM_WORKERS)
    for _ in range(2 * NUM_WORKERS):
        next(batches)
    waiting, start = 0.0, time.perf_counter()
    for _ in range(num_steps):
        asked = time.perf_counter()
        next(batches)
        waiting += time.perf_counter() - asked
        time.sleep(STEP_SECONDS)
    return waiting, time.perf_counter() - start
