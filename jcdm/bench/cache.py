"""Building the encoder cache: photographs a second, and how much of the time the encoders work."""

from collections.abc import Iterator
from statistics import median

from jcdm.bench.loading import build_cache, drawn_index
from jcdm.bench.memory import device_peak_memory
from jcdm.bench.models import build_clip, build_vae
from jcdm.bench.results import Fact, Goal, Row
from jcdm.bench.setting import Bench
from jcdm.training.stages.build import frozen_dtype

LEAST_ENCODING = 0.9
NUM_PEOPLE = 8


def bench_cache(bench: Bench) -> Iterator[Row]:
    """Build the cache of drawn people anew in every repeat, in one process, without workers."""
    config = bench.size.config("denoiser", mixed_precision=bench.mixed_precision)
    dtype, view = frozen_dtype(config), (bench.size.height, bench.size.width)
    vae = build_vae(bench.size, bench.device, dtype)
    clip = build_clip(bench.size, "denoiser", bench.device, dtype)
    rates, shares = [], []
    for _ in range(1 + bench.num_repeats):
        with drawn_index(view, NUM_PEOPLE) as index:
            cache, builder = build_cache(index, view, vae, clip)
        rates.append(len(cache.manifest.photographs) / builder.times.total)
        shares.append(builder.times.encoding / builder.times.total)
    yield Fact(name="cache: build, both mirrored", value=median(rates[1:]), unit="photographs/s")
    yield Goal(
        name="cache: share of the time inside the encoders",
        value=median(shares[1:]),
        bound=LEAST_ENCODING,
    )
    yield Fact(name="peak memory", value=device_peak_memory(bench.device), unit="MB")
