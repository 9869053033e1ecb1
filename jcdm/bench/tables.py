"""Tables of docs/performance.md in Markdown: computed costs of full size, and measured rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jcdm.bench.full_cost import (
    ASSUMED_PEAK,
    ASSUMED_SCALING,
    ASSUMED_SHARE,
    GB,
    NUM_PHOTOGRAPHS,
    VIEWS,
    RunCost,
    cache_bytes,
    checkpoint_bytes,
    run_cost,
    training_peak,
)
from jcdm.bench.sampling_memory import sampling_peak
from jcdm.config import Config
from jcdm.errors import DataError
from jcdm.pipelines.sampling import PRESETS
from jcdm.reading import read_object

NUM_PROCESSES = 8
GRIDS = ((1, 2), (2, 2), (2, 3), (3, 3))
_TRAINING = (("8", 8, False), ("8, checkpointing", 8, True))


def computed_tables(configs: Mapping[str, Config]) -> Iterator[str]:
    """Yield the tables of full size; configs: stage (prior, denoiser, motion) -> its run."""
    yield (
        f"Assumed: a GPU with {ASSUMED_PEAK / 1e12:.0f} TFLOP/s in bf16 of which a step reaches "
        f"{ASSUMED_SHARE:.0%}; working together loses "
        + ", ".join(f"{1 - share:.0%} on {n} GPUs" for n, share in ASSUMED_SCALING.items())
        + f". A run sees the people of its configuration (steps x batch x {NUM_PROCESSES} GPUs), "
        "at every number of GPUs."
    )
    costs = [_cost(kind, view, configs[kind]) for kind in configs for view in VIEWS]
    yield from _cost_table(c for c in costs if c.kind != "prior" or c.view == VIEWS[0])
    yield from _storage_table(configs)
    yield from _training_memory_table()
    yield from _grid_table()
    yield from _sampling_table()


def _cost(kind: str, view: tuple[int, int], config: Config) -> RunCost:
    people = config.train.num_steps * config.train.batch_size * NUM_PROCESSES
    return run_cost(kind, view, people, config.prior.training_steps)


def _cost_table(costs: Iterable[RunCost]) -> Iterator[str]:
    head = [
        "Run",
        "View",
        "People",
        "TFLOP a person, cached",
        "as published",
        "GPU-hours",
        "as published",
    ]
    head += [f"Hours on {n}" for n in ASSUMED_SCALING]
    rows = [
        [
            cost.kind,
            "any" if cost.kind == "prior" else size_text(cost.view),
            f"{cost.people:,}",
            f"{cost.flops / 1e12:.2f}",
            f"{cost.published / 1e12:.2f}",
            f"{cost.gpu_hours():.1f}",
            f"{cost.gpu_hours(published=True):.1f}",
            *(f"{cost.hours(n):.2f}" for n in ASSUMED_SCALING),
        ]
        for cost in costs
    ]
    yield table("Time of training", head, rows)


def _storage_table(configs: Mapping[str, Config]) -> Iterator[str]:
    rows = [
        [
            f"encoder cache of {NUM_PHOTOGRAPHS:,} photographs, {size_text(view)}, half precision",
            f"{cache_bytes(view) / GB:.1f}",
        ]
        for view in VIEWS
    ]
    for kind, config in configs.items():
        number = config.train.keep_checkpoints + config.train.keep_best
        name = f"{kind}: {number} checkpoints, the last and the best"
        rows.append([name, f"{number * checkpoint_bytes(kind) / GB:.1f}"])
    yield table("Storage", ["What", "GB"], rows)


def _training_memory_table() -> Iterator[str]:
    """Peak of a step by stage, view and checkpointing."""
    rows = []
    for kind in ("denoiser", "motion"):
        for name, batch_size, checkpointing in _TRAINING:
            peaks = (
                training_peak(kind, view, batch_size=batch_size, checkpointing=checkpointing)
                for view in VIEWS
            )
            rows.append([kind, name, *(f"{peak / GB:.0f}" for peak in peaks)])
    head = ["Stage", "People a GPU", *(f"{size_text(view)}, GB" for view in VIEWS)]
    yield table("Memory of a GPU in training, 2 x 2 views, from a cache, bf16", head, rows)


def _grid_table() -> Iterator[str]:
    rows = []
    for grid in GRIDS:
        peaks = (
            training_peak("denoiser", view, grid=grid, batch_size=1, checkpointing=True)
            for view in VIEWS
        )
        rows.append([f"{grid[0]} x {grid[1]}", *(f"{peak / GB:.1f}" for peak in peaks)])
    head = ["Views", *(f"{size_text(view)}, GB" for view in VIEWS)]
    yield table("Memory of a GPU by number of views, denoiser, 1 person, checkpointing", head, rows)


def _sampling_table() -> Iterator[str]:
    rows = [
        [name, *(f"{sampling_peak(view, name) / GB:.1f}" for view in VIEWS)] for name in PRESETS
    ]
    head = ["Preset", *(f"{size_text(view)}, GB" for view in VIEWS)]
    yield table("Memory of a GPU that paints three views of a person, bf16", head, rows)


def measured_tables(files: Sequence[Path]) -> Iterator[str]:
    """Yield a table a JSON file of `python -m jcdm bench`."""
    for file in files:
        document = read_object(file, DataError, "Measure again: python -m jcdm bench --json FILE.")
        settings = ", ".join(f"{k} {v}" for k, v in document["settings"].items())
        rows = [row for found in document["rows"] for row in _measured_rows(found)]
        yield table(f"bench {document['bench']} ({settings})", ["What", "Found", ""], rows)


def _measured_rows(row: Mapping[str, Any]) -> Iterator[list[str]]:
    kind = row["kind"]
    if kind == "timing":
        spread = f"quartiles {row['low']:.3g} to {row['high']:.3g}"
        yield [row["name"], f"{row['per_second']:.3g} {row['unit']}/s", spread]
    elif kind == "comparison":
        for side in ("ours", "theirs"):
            yield from _measured_rows(row[side] | {"kind": "timing"})
        cpu = row["cpu_ratio"]
        note = "" if cpu is None else f"{cpu:.3g} by processor seconds"
        yield ["ratio, median of repeats taken in turns", f"**{row['ratio']:.3g}**", note]
    elif kind == "goal":
        sign, verdict = "≥" if row["at_least"] else "≤", "met" if row["is_met"] else "not met"
        yield [row["name"], f"**{row['value']:.3g}**", f"goal {sign} {row['bound']:g}: {verdict}"]
    elif kind == "shares":
        total = sum(row["seconds"].values())
        yield [row["name"], f"{1000 * total:.0f} ms", f"{1000 * row['whole']:.0f} ms in one go"]
        for part, seconds in row["seconds"].items():
            yield [f"- {part}", f"{1000 * seconds:.3g} ms", f"{seconds / total:.1%}"]
    else:
        yield [row["name"], f"{row['value']:.4g} {row['unit']}".strip(), ""]


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table below a bold title."""
    lines = [f"**{title}**", "", _line(head), _line(["---"] * len(head)), *map(_line, rows)]
    return "\n".join(lines)


def size_text(view: tuple[int, int]) -> str:
    """Write a size in pixels."""
    return f"{view[0]} x {view[1]}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
