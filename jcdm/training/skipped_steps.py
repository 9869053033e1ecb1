"""skipped_steps.jsonl: the steps that were left out, and whom they saw on all ranks."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import gather_object

from jcdm.logs import MetricsLog
from jcdm.training.tally import SkippedStep

SKIPPED_FILE = "skipped_steps.jsonl"


class SkippedSteps:
    """The list in the folder of a run; a resumed run drops the steps that it will do again.

    There is no file as long as no step was left out.
    """

    def __init__(self, run: Path, accelerator: Accelerator, *, start_step: int) -> None:
        self.path = run / SKIPPED_FILE
        self._is_main = accelerator.is_main_process
        self._start_step = start_step
        self._log = self._open() if self._is_main and self.path.is_file() else None

    def write(self, skipped: Sequence[SkippedStep]) -> None:
        """Add the steps left out since the last reading; all ranks call it, with the same steps."""
        of_ranks = gather_object([[asdict(step) for step in skipped]])
        if not self._is_main:
            return
        self._log = self._log or self._open()
        for same_step in zip(*of_ranks, strict=True):
            subjects = [name for of_rank in same_step for name in of_rank["subjects"]]
            self._log.write({"step": same_step[0]["step"], "subjects": subjects})

    def _open(self) -> MetricsLog:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return MetricsLog(self.path, start_step=self._start_step)
