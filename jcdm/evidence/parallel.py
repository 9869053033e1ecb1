"""Carry out several rows at once: trainings and rows as jobs that wait for what they need."""

import logging
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import active_children
from types import FrameType

from jcdm.errors import JCDMError
from jcdm.evidence.plan import EvidencePlan
from jcdm.evidence.run_row import run_row
from jcdm.evidence.trainings import ensure_trained
from jcdm.evidence.workbench import Bench, benchmark_people
from jcdm.logs import console_messages
from jcdm.pools import process_pool
from jcdm.training.stopping import SIGNALS

logger = logging.getLogger(__name__)


Seeds = Sequence[int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A training with a seed; or that seed of a row, None where nothing is trained for it."""

    name: str
    seed: int | None = None
    is_row: bool = False


def plan_jobs(plan: EvidencePlan, rows: Mapping[str, Seeds]) -> dict[Job, tuple[Job, ...]]:
    """List all jobs that seeds of rows consist of, each with the jobs to be done before it."""
    jobs: dict[Job, tuple[Job, ...]] = {}
    for name, seeds in rows.items():
        training = plan.row(name).training
        for seed in seeds:
            needed = () if training is None else (Job(name=training, seed=seed),)
            for job in needed:
                jobs |= dict(_with_needs(plan, job))
            jobs[Job(name=name, seed=seed, is_row=True)] = needed
    return jobs


def _with_needs(plan: EvidencePlan, job: Job) -> Iterator[tuple[Job, tuple[Job, ...]]]:
    uses = plan.trainings[job.name].uses
    needed = () if uses is None else (Job(name=uses, seed=job.seed),)
    for other in needed:
        yield from _with_needs(plan, other)
    yield job, needed


def run_rows(bench: Bench, rows: Mapping[str, Seeds], num_jobs: int) -> None:
    """Compute seeds of rows in turn, or `num_jobs` jobs at a time in processes of their own.

    One after the other, the first error ends the work. At a time, what does not need a job that
    failed is still carried out, and the first error is raised at the end. SIGTERM and SIGINT end
    all jobs: trainings save, and nothing else begins.
    """
    if num_jobs == 1:
        for job in plan_jobs(bench.plan, rows):
            _carry_out(bench, job)
        return
    benchmark_people(bench)  # drawn once, then read by all
    board = JobBoard(waiting=plan_jobs(bench.plan, rows))
    with _signals_for_all(board):
        _run_jobs(bench, board, num_jobs)
    if board.error is not None:
        raise board.error


def _run_jobs(bench: Bench, board: "JobBoard", num_jobs: int) -> None:
    running: dict[Future[None], Job] = {}
    prepare = partial(_prepare, max(1, (os.cpu_count() or 1) // num_jobs))
    with process_pool(num_jobs, prepare=prepare, max_tasks_per_child=1) as pool:
        while True:
            for job in board.take(num_jobs - len(running)):
                running[pool.submit(_carry_out_alone, bench, job)] = job
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                board.close(running.pop(future), future.exception())


@contextmanager
def _signals_for_all(board: "JobBoard") -> Iterator[None]:
    """While open, the first SIGTERM or SIGINT ends what runs; the next one this process at once."""

    def end(number: int, frame: FrameType | None) -> None:
        for other, handler in before.items():
            signal.signal(other, handler)
        board.end(signal.Signals(number).name)
        for child in active_children():
            child.terminate()

    before = {number: signal.signal(number, end) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _prepare(num_threads: int) -> None:
    """Share the processor between the jobs; trainings that name a number of threads keep to it."""
    import torch

    torch.set_num_threads(num_threads)
    _answer_signals()


def _answer_signals() -> None:
    """Let a signal be an error of the job, where no training takes it; else the pool would break.

    Further ones are the same, sent to the whole group besides.
    """

    def end(number: int, frame: FrameType | None) -> None:
        for other in SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise JCDMError(f"ended by {signal.Signals(number).name}; the same command does it anew.")

    for number in SIGNALS:
        signal.signal(number, end)


@dataclass(slots=True)
class JobBoard:
    """Jobs that wait, each with what it needs; what is done; the first error."""

    waiting: dict[Job, tuple[Job, ...]]
    done: set[Job] = field(default_factory=set)
    error: BaseException | None = None

    def take(self, count: int) -> list[Job]:
        """Take up to `count` jobs that need nothing more; rows first, since they are short."""
        ready = [job for job, needed in self.waiting.items() if self.done.issuperset(needed)]
        chosen = sorted(ready, key=lambda job: not job.is_row)[:count]
        for job in chosen:
            del self.waiting[job]
        return chosen

    def end(self, reason: str) -> None:
        """Let nothing more be taken."""
        self.waiting.clear()
        self.error = self.error or JCDMError(f"{reason}; the same command goes on with the rest.")

    def close(self, job: Job, error: BaseException | None) -> None:
        """Note that a job has ended, well or with an error, which those that need it wait out."""
        if error is None:
            self.done.add(job)
            return
        logger.warning("%s%s failed: %s", job.name, _of_seed(job), error)
        self.error = self.error or error


def _carry_out_alone(bench: Bench, job: Job) -> None:
    """Carry out a job in a process of its own."""
    with console_messages(is_main=True):
        _carry_out(bench, job)


def _carry_out(bench: Bench, job: Job) -> None:
    if job.is_row:
        file = run_row(bench, job.name, job.seed)
        logger.info("%s%s: written to %s", job.name, _of_seed(job), file)
    elif job.seed is not None:
        ensure_trained(bench.plan, job.name, job.seed, bench.out, num_loaders=bench.num_loaders)


def _of_seed(job: Job) -> str:
    return "" if job.seed is None else f", seed {job.seed}"
