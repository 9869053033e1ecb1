"""The only training loop: it knows the Stage protocol, and no model part."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from jcdm.config import Config
from jcdm.errors import ConfigError, JCDMError
from jcdm.logs import MetricsLog, disk_errors
from jcdm.records import Batch, StepOutput
from jcdm.training.checkpoint import load_checkpoint, save_checkpoint
from jcdm.training.ema import ParameterAverages
from jcdm.training.engine_choice import choose_engine
from jcdm.training.heartbeat import Heartbeat
from jcdm.training.optim import learning_rate, set_learning_rate
from jcdm.training.progress import ProgressReport
from jcdm.training.skipped_steps import SkippedSteps
from jcdm.training.stages.base import Stage
from jcdm.training.state import RunState
from jcdm.training.stopping import EarlyEnd
from jcdm.training.tally import StepTally

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Something looked at every so many steps (0 = never) and after the last one.

    look: called on every rank; returns scalars for metrics.jsonl. at_start: look also before the
    first step, at what the run starts from. also_every: further steps, where `every` is not 0.
    """

    every: int
    look: Callable[[int], Mapping[str, float]]
    at_start: bool = False
    also_every: int = 0

    def is_due(self, step: int, num_steps: int) -> bool:
        """Say whether to look after this step; step 0 is before the first one."""
        if step == 0:
            return self.every > 0 and self.at_start
        periods = [period for period in (self.every, self.also_every) if period > 0]
        is_due = step == num_steps or any(step % period == 0 for period in periods)
        return self.every > 0 and is_due


class Trainer:
    """Trains a stage: updates, averages, checkpoints and scalars, on one process or several.

    Wraps `stage.module` for the accelerator. The gradient of a step is the mean over all samples
    of its micro-batches and processes. Master weights are float32 (ConfigError where not).
    """

    def __init__(self, stage: Stage, config: Config, accelerator: Accelerator) -> None:
        self.stage = stage
        self.config = config
        self.accelerator = accelerator
        self.engine = choose_engine(accelerator, config)
        self.heartbeat = Heartbeat(accelerator, config.train.hang_minutes)
        _require_float32(stage)
        module = stage.module
        wrapped = self.engine.wrap(stage)
        train = config.train
        self.state = RunState(
            engine=self.engine,
            part=stage.part,
            module=module,
            parameters=wrapped.parameters,
            optimizer=wrapped.optimizer,
            averages=ParameterAverages(wrapped.parameters, train.ema_decay),
            scaler=accelerator.scaler,
            samples_a_step=train.batch_size * train.accumulation * accelerator.num_processes,
        )

    def resume(self, folder: Path) -> None:
        """Continue from a verified checkpoint; all ranks call it."""
        load_checkpoint(folder, self.state)
        if self._is_stuck():  # whoever goes on has changed something: count anew
            self.state.progress.longest_skipped = self.state.progress.num_skipped_in_row = 0
        logger.info("resumed from %s", folder)

    def run(
        self,
        batches: Iterator[Batch],
        *,
        run: Path,
        log: MetricsLog | None = None,
        watches: Sequence[Watch] = (),
    ) -> str | None:
        """Train up to `train.num_steps`; returns why it ended before, with all saved, else None.

        batches: micro-batches of this rank, from the next step. run: folder that gets the
        checkpoints; log: where the main rank writes scalars. Errors: JCDMError when nearly nothing
        is learned any more.
        """
        progress = self.state.progress
        report = self._new_report()
        tally = StepTally(progress, self.accelerator)
        self._skipped = SkippedSteps(run, self.accelerator, start_step=progress.step)
        started = time.perf_counter() - progress.seconds
        reason: str | None = None
        self.stage.module.train()
        with EarlyEnd(self.config.train.max_minutes) as early:
            if progress.step == 0 and (row := self._look(watches)):
                self._write(row, log, report)
            while progress.step < self.config.train.num_steps and reason is None:
                output = self._update(batches, tally)
                row = self._observe(output, tally) | self._look(watches)
                progress.validation_loss = row.get("validation_loss")
                progress.seconds = time.perf_counter() - started
                report.advance(progress.step, row.get("loss"))
                if row:
                    self._write(row, log, report)
                reason = early.reason()
                self._save(run, tally, is_last=reason is not None)
        report.close()
        return reason if progress.step < self.config.train.num_steps else None

    def _update(self, batches: Iterator[Batch], tally: StepTally) -> StepOutput:
        """Take one optimizer step; returns the output of the last micro-batch.

        Nothing here reads a number from the device: a step whose gradient is not finite, which all
        ranks see alike, is left out by the device itself and counted in the tally.
        """
        state, progress = self.state, self.state.progress
        rate = learning_rate(progress.step, self.config.train.num_steps, self.config.optim)
        set_learning_rate(state.optimizer, rate)
        losses: list[Tensor] = []
        subjects: tuple[str, ...] = ()
        for _ in range(self.config.train.accumulation):
            self._begin("reading a batch")
            batch = next(batches)
            self._begin("computing")
            with self.accelerator.accumulate(self.stage.module):
                output = self.stage.step(batch)
                self.accelerator.backward(_gradient_of(output.loss))
            losses.append(output.loss.detach().float())
            subjects += batch.subjects
            progress.num_images += batch.visible.numel() * self.accelerator.num_processes
        parameters = list(state.parameters.values())
        norm = self.engine.clip(parameters)
        taken = tally.add(torch.stack(losses).mean(), norm, subjects)
        self.engine.move(state.optimizer, taken)
        state.averages.update(taken)
        progress.step += 1
        return output

    def _is_due(self, every: int) -> bool:
        """Say whether what comes every so many steps, and after the last one, comes now."""
        step = self.state.progress.step
        return step % every == 0 or step == self.config.train.num_steps

    def _begin(self, phase: str) -> None:
        self.heartbeat.begin(f"step {self.state.progress.step + 1}: {phase}")

    def _save(self, run: Path, tally: StepTally, *, is_last: bool) -> None:
        """Save where a checkpoint is due, the run ends here, or it learns nothing any more."""
        is_due = is_last or self._is_due(self.config.train.checkpoint_every)
        if is_due:
            self._read(tally)
        if is_due or self._is_stuck():
            self._begin("saving")
            save_checkpoint(run, self.state, self.config)
        if self._is_stuck():
            raise JCDMError(
                f"the gradient was not finite in {self.config.train.max_skipped_in_row} steps on "
                f"end, read at step {self.state.progress.step}; the state is saved, and "
                f"{self._skipped.path} lists whom they saw. Lower optim.learning_rate, or set "
                "train.mixed_precision=no; the same command then continues."
            )

    def _is_stuck(self) -> bool:
        """Say whether so many steps on end were left out that going on is of no use."""
        return self.state.progress.longest_skipped >= self.config.train.max_skipped_in_row

    def _read(self, tally: StepTally) -> None:
        """Bring the tally to the host, and write down whom the steps left out had seen."""
        step = self.state.progress.step
        skipped = tally.read()
        if not skipped:
            return
        self._skipped.write(skipped)
        logger.warning(
            "%d steps up to step %d skipped: their gradient was not finite. Listed in %s",
            len(skipped),
            step,
            self._skipped.path,
        )
        if not self.engine.leaves_out:
            raise JCDMError(
                f"the gradient was not finite in {len(skipped)} steps up to step {step}, and "
                f"{self.engine.name} cannot leave a step out. Lower optim.learning_rate, and "
                "resume from the last checkpoint."
            )

    def _observe(self, output: StepOutput, tally: StepTally) -> dict[str, float]:
        """Gather the scalars of training when a row is due after this step, else none."""
        if not self._is_due(self.config.train.log_every):
            return {}
        self._read(tally)
        row = self._training_scalars()
        tally.start_row()
        return row | {name: float(value) for name, value in output.logs.items()}

    def _look(self, watches: Sequence[Watch]) -> dict[str, float]:
        """Gather what the watches due at this step see, with the module in evaluation mode."""
        step, found = self.state.progress.step, dict[str, float]()
        self.stage.module.eval()
        for watch in watches:
            if watch.is_due(step, self.config.train.num_steps):
                self._begin("looking at unseen people")
                found |= watch.look(step)
        self.stage.module.train()
        return found

    def _training_scalars(self) -> dict[str, float]:
        """Average since the last row, over all ranks."""
        progress, train = self.state.progress, self.config.train
        row = {
            "learning_rate": learning_rate(progress.step - 1, train.num_steps, self.config.optim)
        }
        if progress.num_summed:
            row["loss"] = progress.loss_sum / progress.num_summed
            row["grad_norm"] = progress.grad_norm_sum / progress.num_summed
        return row | {"num_skipped": progress.num_skipped}

    def _write(self, row: dict[str, float], log: MetricsLog | None, report: ProgressReport) -> None:
        progress = self.state.progress
        counters = {
            "step": progress.step,
            "images": progress.num_images,
            "seconds": round(progress.seconds, 3),
        }
        with disk_errors(self.config.run.out / "tensorboard"):
            self.accelerator.log(row, step=progress.step)
        if self.accelerator.is_main_process:
            report.write_line(progress.step, row)
            if log is not None:
                log.write(counters | row)

    def _new_report(self) -> ProgressReport:
        return ProgressReport(
            start_step=self.state.progress.step,
            num_steps=self.config.train.num_steps,
            num_samples=self.state.samples_a_step,
            is_main=self.accelerator.is_main_process,
        )


def _gradient_of(loss: Tensor) -> Tensor:
    """Let the gradients of a loss that is not finite be so, too: on every rank, after exchange.

    A NaN that a mask keeps out of the gradients would else be applied as if all were well.
    """
    return loss * torch.where(loss.detach().isfinite(), 1.0, torch.nan)


def _require_float32(stage: Stage) -> None:
    """Raise a ConfigError unless all trained weights are float32; half precision is autocast's."""
    for name, parameter in stage.trainable_parameters().items():
        if parameter.dtype != torch.float32:
            raise ConfigError(
                f"the trained weight {name} is {parameter.dtype}, expected torch.float32: small "
                "updates are lost in half precision. Load it in float32, and choose "
                "train.mixed_precision."
            )
