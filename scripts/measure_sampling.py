"""Measure what docs/sampling.md prints: how near samplers and presets come, and what they cost.

    python scripts/measure_sampling.py [--pipeline assets/tiny] [--num_people 4] [--rounds 9]

Draws people that no weights have seen: one reference, three target views each. Motion modules are
left out. Nearness is the PSNR to a 50-step sample from the same noise; cost is measured for one
person in alternating runs, as the median over rounds of the ratio to the plain path.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from jcdm.config import (  # noqa: E402
    DrawConfig,
    RunConfig,
    SampleConfig,
    TestConfig,
    TestDataConfig,
)
from jcdm.evaluation.baselines import target_views  # noqa: E402
from jcdm.evaluation.evaluate import evaluation_batches  # noqa: E402
from jcdm.evaluation.loading import load_pipeline, without_motion  # noqa: E402
from jcdm.pipelines import JCDMPipeline  # noqa: E402
from jcdm.pipelines.outputs import to_uint8  # noqa: E402
from jcdm.records import Batch  # noqa: E402
from jcdm.training.pictures import prior_cosines  # noqa: E402

SAMPLERS = ("ddim", "dpmpp_2m", "unipc", "euler")
PRIOR_STEPS_TRIED = (1, 2, 4, 8, 20)
STEPS = (2, 3, 5, 8, 12, 20, 30)
SCALES = (1.0, 1.5, 2.0)
PRIOR_STEPS = 2
TABLES = ("samplers", "prior", "ways")
PLAIN = {"preset": "exact", "num_steps": 30, "guidance_scale": 2.0, "paint_references": True}
UNIPC = {"preset": "exact", "sampler": "unipc", "num_steps": 12}
WAYS: dict[str, dict[str, Any]] = {
    "30 steps of DDIM, targets decoded alone": {"preset": "exact"},
    "12 steps of UniPC": UNIPC,
    "12 steps, direction of guidance kept for 2 steps (`standard`)": {"preset": "standard"},
    "12 steps, direction kept for 3 steps": {**UNIPC, "guidance_kept": 0.2},
    "12 steps, guidance in the first half": {**UNIPC, "guidance_end": 0.5},
    "12 steps, guidance in the middle half": {
        **UNIPC,
        "guidance_start": 0.25,
        "guidance_end": 0.75,
    },
    "12 steps, guidance in the second half": {**UNIPC, "guidance_start": 0.5},
    "8 steps, direction kept for 2 steps (`fast`)": {"preset": "fast"},
    "`standard` without fixed keys": {"preset": "standard", "fixed_keys": False},
    "`standard` without guidance": {"preset": "standard", "guidance_scale": 1.0},
    "`standard` in bf16": {"preset": "standard", "mixed_precision": "bf16"},
    "`low-memory`": {"preset": "low-memory"},
}


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipeline", type=Path, default=REPOSITORY / "assets" / "tiny")
    parser.add_argument("--num_people", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=SAMPLERS)
    parser.add_argument("--scales", nargs="+", type=float, default=SCALES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        pipeline, batch = load(options.pipeline, options.num_people, Path(folder))
    if "samplers" in options.tables:
        print_nearness(pipeline, batch, options.samplers, options.scales)
    if "prior" in options.tables:
        print_prior(pipeline, batch)
    if "ways" in options.tables:
        print_ways(pipeline, batch, options.rounds)


def load(folder: Path, num_people: int, scratch: Path) -> tuple[JCDMPipeline, Batch]:
    """Load a pipeline and draw a batch of people."""
    draw = DrawConfig(num_identities=num_people, num_views=4, test_fraction=1.0, seed=7)
    config = TestConfig(
        run=RunConfig(out=scratch),
        data=TestDataConfig(
            index=scratch / "people" / "index.json", num_subjects=num_people, draw=draw
        ),
        sample=SampleConfig(pipeline=folder, num_references=1, batch_size=num_people),
    )
    pipeline = load_pipeline(JCDMPipeline, config.sample)
    pipeline.denoiser = without_motion(pipeline.denoiser)
    (batch,) = evaluation_batches(config, pipeline, pipeline.denoiser.grid)
    return pipeline, batch


def paint(pipeline: JCDMPipeline, batch: Batch, **settings: Any) -> Tensor:
    """Paint the target views: (N,3,H,W) uint8."""
    painted = pipeline.generate(batch, **{"prior_steps": PRIOR_STEPS, **settings})
    return painted.images[target_views(batch)]


def psnr(found: Tensor, expected: Tensor) -> float:
    """Mean over pictures (N,3,H,W) uint8 of the PSNR in dB."""
    error = ((found.float() - expected.float()) / 255).square().mean((1, 2, 3))
    return (-10 * torch.log10(error.clamp_min(1e-10))).mean().item()


def print_nearness(
    pipeline: JCDMPipeline, batch: Batch, samplers: Sequence[str], scales: Sequence[float]
) -> None:
    """Print a row a sampler, a scale and a number of steps."""
    truth = to_uint8(batch.images)[target_views(batch)]
    print("| Sampler | Scale | Steps | to its own 50 steps | to 50 steps of DDIM | to the truth |")
    print("|---|---|---|---|---|---|")
    for scale in scales:
        settings: dict[str, Any] = {"preset": "exact", "guidance_scale": scale}
        fine = paint(pipeline, batch, num_steps=50, **settings)
        for sampler in samplers:
            own = paint(pipeline, batch, sampler=sampler, num_steps=50, **settings)
            for steps in STEPS:
                found = paint(pipeline, batch, sampler=sampler, num_steps=steps, **settings)
                values = " | ".join(f"{psnr(found, other):.1f}" for other in (own, fine, truth))
                print(f"| {sampler} | {scale:g} | {steps} | {values} |", flush=True)


def print_prior(pipeline: JCDMPipeline, batch: Batch) -> None:
    """Print a row a number of the prior's steps: how near to the truth it and the picture come."""
    truth = to_uint8(batch.images)[target_views(batch)]
    print("\n| Steps of the prior | cosine to the true embeddings | picture's PSNR to the truth |")
    print("|---|---|---|")
    for steps in PRIOR_STEPS_TRIED:
        clip = pipeline.frozen_clip()
        cosine = prior_cosines(pipeline.prior, clip, batch, num_steps=steps)["cosine"]
        found = paint(pipeline, batch, preset="standard", prior_steps=steps)
        print(f"| {steps} | {cosine:.3f} | {psnr(found, truth):.2f} |", flush=True)


def print_ways(pipeline: JCDMPipeline, batch: Batch, rounds: int) -> None:
    """Print a row a way: its PSNR to 50 steps of DDIM at full guidance, and its cost."""
    fine = paint(pipeline, batch, preset="exact", num_steps=50)
    values = {field.name: getattr(batch, field.name) for field in fields(Batch)}
    firsts: dict[str, Any] = {n: v if v is None else v[:1] for n, v in values.items()}
    ratios = alternate(pipeline, Batch(**firsts), rounds)
    print(
        "\n| Way, at guidance scale 2 | PSNR to 50 steps of DDIM | speed, wall | speed, processor |"
    )
    print("|---|---|---|---|")
    plain = psnr(paint(pipeline, batch, **PLAIN), fine)
    print(f"| 30 steps of DDIM, doubled batch, all cells decoded | {plain:.1f} | 1 | 1 |")
    for name, settings in WAYS.items():
        near = psnr(paint(pipeline, batch, **settings), fine)
        speeds = " | ".join(quartiles(column) for column in zip(*ratios[name], strict=True))
        print(f"| {name} | {near:.1f} | {speeds} |", flush=True)


def alternate(
    pipeline: JCDMPipeline, batch: Batch, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Time all ways in turn: the plain path's wall and processor time over each way's, by round."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        plain = seconds(pipeline, batch, PLAIN)
        for name, settings in WAYS.items():
            way = seconds(pipeline, batch, settings)
            found[name].append((plain[0] / way[0], plain[1] / way[1]))
    return found


def quartiles(values: Sequence[float]) -> str:
    """Write the median and, in brackets, both quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def seconds(pipeline: JCDMPipeline, batch: Batch, settings: dict[str, Any]) -> tuple[float, float]:
    """Time one painting: wall and processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    paint(pipeline, batch, **settings)
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main()
