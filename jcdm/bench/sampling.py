"""Three target views of a person: as painted here beside 30 guided DDIM steps and whole grids."""

from collections.abc import Iterator

from jcdm.bench.memory import device_peak_memory
from jcdm.bench.models import build_pipeline, build_stage, random_batch
from jcdm.bench.results import Fact, Goal, Row
from jcdm.bench.setting import Bench
from jcdm.bench.timing import Work, compare_all
from jcdm.pipelines import JCDMPipeline
from jcdm.pipelines.sampling import PRESETS
from jcdm.records import Batch
from jcdm.training.stages.denoiser import DenoiserStage

GOAL, GOAL_PRESET = 3.0, "fast"


def bench_sampling(bench: Bench) -> Iterator[Row]:
    """Compare every preset with the plain way: 30 DDIM steps, all guided, all cells decoded."""
    stage = build_stage(bench.size, "denoiser", bench.device, mixed_precision=bench.mixed_precision)
    assert isinstance(stage, DenoiserStage)
    stage.denoiser.eval()
    batch = random_batch(bench.size, "denoiser", num_people=1)
    plain = build_pipeline(stage, layout="grid")
    ours = build_pipeline(stage, layout="view")
    for pipeline in (plain, ours):
        pipeline.set_progress_bar_config(disable=True)
    comparisons = compare_all(
        ("30 DDIM steps, doubled batch, whole grid", _painting(plain, batch, bench, "exact")),
        {f"preset {name}": _painting(ours, batch, bench, name) for name in PRESETS},
        "people",
        num_repeats=bench.num_repeats,
        num_warmup=1,
        device=bench.device,
    )
    for name, found in zip(PRESETS, comparisons, strict=True):
        yield found
        if name == GOAL_PRESET:
            yield Goal(name=f"sampling: preset {name} over plain", value=found.ratio, bound=GOAL)
    yield Fact(name="peak memory", value=device_peak_memory(bench.device), unit="MB")


def _painting(pipeline: JCDMPipeline, batch: Batch, bench: Bench, preset: str) -> Work:
    """Make the work of painting a batch's target views."""

    def work() -> int:
        pipeline.generate(batch, preset=preset, mixed_precision=bench.mixed_precision)
        return len(batch.keys)

    return work
