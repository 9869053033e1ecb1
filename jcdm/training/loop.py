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
from jcdm.errors import JCDMError
from jcdm.logs import MetricsLog
from jcdm.records import Batch, StepOutput
from jcdm.training.checkpoint import load_checkpoint, save_checkpoint
from jcdm.training.ema import ParameterAverages
from jcdm.training.optim import build_optimizer, learning_rate, set_learning_rate
from jcdm.training.progress import ProgressReport
from jcdm.training.stages.base import Stage
from jcdm.training.state import RunState

logger = logging.getLogger(__name__)

MAX_SKIPPED_IN_ROW = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Something looked at every so many steps (0 = never) and after the last one.

    look: called on every rank; returns scalars for metrics.jsonl. at_start: look also before the
    first step, at what the run starts from.
    """

    every: int
    look: Callable[[int], Mapping[str, float]]
    at_start: bool = False

    def is_due(self, step: int, num_steps: int) -> bool:
        """Say whether to look after this step; step 0 is before the first one."""
        if step == 0:
            return self.every > 0 and self.at_start
        return self.every > 0 and (step % self.every == 0 or step == num_steps)


class Trainer:
    """Trains a stage: updates, averages, checkpoints and scalars, on one process or several.

    Wraps `stage.module` for the accelerator. The gradient of a step is the mean over all samples
    of its micro-batches and processes. Master weights are float32.
    """

    def __init__(self, stage: Stage, config: Config, accelerator: Accelerator) -> None:
        self.stage = stage
        self.config = config
        self.accelerator = accelerator
        module = stage.module
        parameters = stage.trainable_parameters()
        stage.module = accelerator.prepare_model(module)
        optimizer = build_optimizer(parameters, config.optim)
        self.state = RunState(
            part=stage.part,
            module=module,
            parameters=parameters,
            optimizer=accelerator.prepare_optimizer(optimizer),
            averages=ParameterAverages(parameters, config.train.ema_decay),
            scaler=accelerator.scaler,
        )

    def resume(self, folder: Path) -> None:
        """Continue from a verified checkpoint."""
        load_checkpoint(folder, self.state)
        logger.info("resumed from %s", folder)

    def run(
        self,
        batches: Iterator[Batch],
        *,
        run: Path,
        log: MetricsLog | None = None,
        watches: Sequence[Watch] = (),
    ) -> None:
        """Train up to `train.num_steps`. batches: micro-batches of this rank, from the next step.

        run: folder that gets the checkpoints; log: where the main rank writes scalars.
        """
        train, progress = self.config.train, self.state.progress
        report = self._new_report()
        started = time.perf_counter() - progress.seconds
        self.stage.module.train()
        if progress.step == 0 and (row := self._look(watches)):
            self._write(row, log, report)
        while progress.step < train.num_steps:
            output = self._update(batches, report)
            row = self._observe(output, watches)
            progress.seconds = time.perf_counter() - started
            if row:
                self._write(row, log, report)
            if progress.step % train.checkpoint_every == 0 or progress.step == train.num_steps:
                self._save(run)
        report.close()

    def _update(self, batches: Iterator[Batch], report: ProgressReport) -> StepOutput:
        """Take one optimizer step; returns the output of the last micro-batch."""
        train, progress = self.config.train, self.state.progress
        rate = learning_rate(progress.step, train.num_steps, self.config.optim)
        set_learning_rate(self.state.optimizer, rate)
        losses: list[Tensor] = []
        for _ in range(train.accumulation):
            batch = next(batches)
            with self.accelerator.accumulate(self.stage.module):
                output = self.stage.step(batch)
                self.accelerator.backward(output.loss)
            losses.append(output.loss.detach().float())
            progress.num_images += batch.visible.numel() * self.accelerator.num_processes
        parameters = list(self.state.parameters.values())
        norm = self.accelerator.clip_grad_norm_(parameters, self.config.optim.max_grad_norm)
        # The one host synchronisation of a step.
        loss, norm = torch.stack([torch.stack(losses).mean(), norm.float()]).tolist()
        progress.step += 1
        self._apply(loss, norm)
        report.advance(progress.step, loss)
        return output

    def _apply(self, loss: float, norm: float) -> None:
        """Move the weights, unless the gradient is not finite, which all ranks see alike."""
        progress = self.state.progress
        is_finite = norm < float("inf")  # False for NaN too
        if is_finite or self.state.scaler is not None:  # a loss scaler skips by itself, and adapts
            self.state.optimizer.step()
        self.state.optimizer.zero_grad(set_to_none=True)
        if is_finite:
            self.state.averages.update()
            progress.loss_sum += loss
            progress.grad_norm_sum += norm
            progress.num_summed += 1
            progress.num_skipped_in_row = 0
            return
        progress.num_skipped += 1
        progress.num_skipped_in_row += 1
        logger.warning("step %d skipped: its gradient is not finite", progress.step)
        if progress.num_skipped_in_row >= MAX_SKIPPED_IN_ROW:
            raise JCDMError(
                f"the gradient was not finite in {MAX_SKIPPED_IN_ROW} steps on end, the last one "
                f"{progress.step}; expected finite numbers. Lower optim.learning_rate, or set "
                "train.mixed_precision=no, and resume from the last checkpoint."
            )

    def _observe(self, output: StepOutput, watches: Sequence[Watch]) -> dict[str, float]:
        """Gather the scalars that are due after this step; none for most steps."""
        train, step = self.config.train, self.state.progress.step
        row: dict[str, float] = {}
        if step % train.log_every == 0 or step == train.num_steps:
            row |= self._training_scalars()
            row |= {name: float(value) for name, value in output.logs.items()}
        return row | self._look(watches)

    def _look(self, watches: Sequence[Watch]) -> dict[str, float]:
        """Gather what the watches due at this step see, with the module in evaluation mode."""
        step, found = self.state.progress.step, dict[str, float]()
        self.stage.module.eval()
        for watch in watches:
            if watch.is_due(step, self.config.train.num_steps):
                found |= watch.look(step)
        self.stage.module.train()
        return found

    def _training_scalars(self) -> dict[str, float]:
        """Average since the last row, over all ranks, and start anew."""
        self._share_sums()
        progress, train = self.state.progress, self.config.train
        row = {
            "learning_rate": learning_rate(progress.step - 1, train.num_steps, self.config.optim)
        }
        if progress.num_summed:
            row["loss"] = progress.loss_sum / progress.num_summed
            row["grad_norm"] = progress.grad_norm_sum / progress.num_summed
        progress.loss_sum = progress.grad_norm_sum = 0.0
        progress.num_summed = 0
        return row | {"num_skipped": progress.num_skipped}

    def _share_sums(self) -> None:
        """Replace this rank's sum of losses by the mean over the ranks."""
        if self.accelerator.num_processes > 1:
            own = torch.tensor(
                self.state.progress.loss_sum, device=self.accelerator.device, dtype=torch.float64
            )
            self.state.progress.loss_sum = self.accelerator.reduce(own, "mean").item()

    def _write(self, row: dict[str, float], log: MetricsLog | None, report: ProgressReport) -> None:
        progress = self.state.progress
        counters = {
            "step": progress.step,
            "images": progress.num_images,
            "seconds": round(progress.seconds, 3),
        }
        self.accelerator.log(row, step=progress.step)
        if self.accelerator.is_main_process:
            report.write_line(progress.step, row)
            if log is not None:
                log.write(counters | row)

    def _save(self, run: Path) -> None:
        self._share_sums()
        if self.accelerator.is_main_process:
            save_checkpoint(run, self.state, self.config)
        self.accelerator.wait_for_everyone()

    def _new_report(self) -> ProgressReport:
        train = self.config.train
        return ProgressReport(
            start_step=self.state.progress.step,
            num_steps=train.num_steps,
            num_samples=train.batch_size * train.accumulation * self.accelerator.num_processes,
            is_main=self.accelerator.is_main_process,
        )
