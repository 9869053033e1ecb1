"""Run a test task: paint it with every seed, share it over processes, score it, keep its origin."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import gather_object

from jcdm.data.index import index_identity
from jcdm.errors import ConfigError, DataError
from jcdm.evaluation.protocols.files import OnBad, Pair, list_pictures
from jcdm.evaluation.protocols.protocol import find_protocol
from jcdm.evaluation.protocols.selection import Selection
from jcdm.evaluation.scored_method import GROUND_TRUTH, ScoredMethod, StandIn
from jcdm.evaluation.scoring_plan import ScoringPlan, score_lists
from jcdm.evaluation.task_items import (
    TaskFolders,
    TaskItem,
    read_task,
    sets_painted_together,
    target_name,
    task_kind,
)
from jcdm.evaluation.task_painting import paint_task
from jcdm.evaluation.task_truths import write_truths
from jcdm.logs import PacedProgress, console_messages, quiet_libraries
from jcdm.manifest import run_manifest, write_manifest
from jcdm.pipelines.execution import place
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.photographs import recommended_options
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.plain import from_plain
from jcdm.processes import process_state
from jcdm.reading import read_object
from jcdm.weights_identity import PAINTER, identify_all

logger = logging.getLogger(__name__)
MANIFEST = "manifest.json"
RECONSTRUCTION = "VAE reconstruction"
COPY = "copied reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Skipped:
    skipped: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """What is painted by what: a preset, and settings (of `SamplingOptions`) that win over it.

    Settings that are not given are what suits the weights.
    """

    pipeline: Path
    task: Path
    index: Path
    out: Path
    seeds: tuple[int, ...] = (0,)
    preset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 4
    on_bad: OnBad = "error"

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"--batch_size is {self.batch_size}; expected 1 or more.")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"--seeds are {list(self.seeds)}; expected different numbers.")

    @property
    def folders(self) -> TaskFolders:
        """Where everything is kept."""
        return TaskFolders(self.out)


def paint_run(run: TaskRun) -> None:
    """Paint a task into `run.out`, truths and simple pictures beside it.

    Started again it paints what is missing. Under `accelerate launch` the items are shared. What
    was left out is named in the manifest. Errors: ConfigError, DataError.
    """
    state = process_state()
    items = read_task(run.task, run.index)
    with quiet_libraries():
        pipeline = JCDMPipeline.from_pretrained(run.pipeline)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(state.device)
    preset = run.preset or pipeline.default_preset
    options = pipeline.settle(recommended_options(run.pipeline, preset, **run.settings))
    place(pipeline, options, state.device)
    run.out.mkdir(parents=True, exist_ok=True)
    with console_messages(is_main=state.is_main_process), pipeline.working(options):
        bad = _paint(pipeline, items, run, options, state)
    everyones = gather_object([bad])
    if state.is_main_process:
        left_out = {number: reason for part in everyones for number, reason in part.items()}
        facts = {"task": run.task.name, "pipeline": str(run.pipeline), "num_items": len(items)}
        manifest = run_manifest(
            asdict(options),
            seed=run.seeds[0],
            data=_data(run),
            weights=identify_all({PAINTER: run.pipeline}),
            seeds=list(run.seeds),
            skipped=dict(sorted(left_out.items())),
            **facts,
        )
        write_manifest(run.out / MANIFEST, manifest)
    state.wait_for_everyone()


def _paint(
    pipeline: JCDMPipeline,
    items: Sequence[TaskItem],
    run: TaskRun,
    options: SamplingOptions,
    state: PartialState,
) -> dict[int, str]:
    """Paint this process's share; returns the numbers of items left out, with the reason."""
    share: dict[str, Any] = {
        "rank": state.process_index,
        "world_size": state.num_processes,
        "on_bad": run.on_bad,
    }
    write_truths(
        pipeline, items, run.folders, report=PacedProgress(logger, "truths written"), **share
    )
    bad: dict[int, str] = {}
    for seed in run.seeds:
        bad |= paint_task(
            pipeline,
            items,
            run.folders.generated(seed),
            options,
            seed=seed,
            batch_size=run.batch_size,
            report=PacedProgress(logger, f"items painted with seed {seed}"),
            **share,
        )
    return bad


def score_run(
    run: TaskRun, plan: ScoringPlan, out: Path, *, best_of: bool = False
) -> ScoredMethod | None:
    """Score a painted task into the new folder `out`; a result on one process only.

    Reference rows: the truth against itself, the VAE's reconstruction, the copied reference.
    """
    folders, items = run.folders, read_task(run.task, run.index)
    skipped = _read_skipped(run.out / MANIFEST)
    painted = [item for item in items if str(item.number) not in skipped]
    selections = {seed: _select(painted, folders, seed, plan) for seed in run.seeds}
    rows: dict[str, StandIn] = {
        GROUND_TRUTH: lambda pair: pair.truth,
        RECONSTRUCTION: lambda pair: folders.reconstructed / pair.truth.name,
        COPY: lambda pair: folders.copied / pair.generated.name,
    }
    return score_lists(
        plan,
        selections,
        rows,
        out,
        generated=folders.generated(run.seeds[0]),
        truth=folders.truth,
        best_of=best_of,
        sets=sets_painted_together(painted),
        skipped_items=skipped,
        task=run.task.name,
        task_kind=task_kind(run.task),
        pipeline=str(run.pipeline),
        data=_data(run),
        weights=identify_all({PAINTER: run.pipeline}),
    )


def _data(run: TaskRun) -> dict[str, Any]:
    """Identify the people of a task."""
    return {"index": str(run.index), **index_identity(run.index)}


def _read_skipped(manifest: Path) -> dict[str, str]:
    """Numbers of the items that were left out in painting, with the reason. Errors: DataError."""
    content = read_object(manifest, DataError, "Paint the task again.")
    try:
        return from_plain(_Skipped, {"skipped": content.get("skipped")}).skipped
    except ValueError as error:
        raise DataError(f"{manifest}: {error}. Paint the task again.") from None


def _select(
    items: Sequence[TaskItem], folders: TaskFolders, seed: int, plan: ScoringPlan
) -> Selection:
    """List the pictures of a task's items, sorted by name: nothing else that lies in the folder."""
    protocol = find_protocol(plan.protocol)
    suffixes, by_suffix = protocol.reference_suffixes, protocol.by_suffix
    pairs = [
        Pair(
            generated=folders.generated(seed) / name,
            truth=folders.truth / f"{target_name(name)}.png",
        )
        for name in sorted({name for item in items for name in item.names})
    ]
    real = plan.reference
    return Selection(
        pairs=pairs,
        real_files=list_pictures(real, suffixes, by_suffix=by_suffix) if real else [],
        generated_files=[pair.generated for pair in pairs],
    )
