"""Which measurements belong to a word of `bench`."""

from collections.abc import Iterator

from jcdm.bench.cache import bench_cache
from jcdm.bench.parts import bench_parts
from jcdm.bench.results import Row
from jcdm.bench.sampling import bench_sampling
from jcdm.bench.setting import Bench
from jcdm.bench.training_step import bench_training
from jcdm.bench.unet import bench_unet


def run_suite(word: str, bench: Bench) -> Iterator[Row]:
    """Run the measurements of a stage (prior, denoiser, motion), of sampling or of the cache."""
    if word == "sample":
        yield from bench_sampling(bench)
        return
    if word == "cache":
        yield from bench_cache(bench)
        return
    yield from bench_training(word, bench)
    yield from bench_parts(word, bench)
    if word == "denoiser":
        yield from bench_unet(bench)
