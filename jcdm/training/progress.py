"""How a run tells people how far it is: a bar on a terminal, lines in a log."""

import logging
import sys
import time

from tqdm import tqdm

logger = logging.getLogger(__name__)


class ProgressReport:
    """Shows loss, samples a second and time left; silent on all ranks but the main one.

    num_samples: people that a step of all processes sees.
    """

    def __init__(
        self, *, start_step: int, num_steps: int, num_samples: int, is_main: bool = True
    ) -> None:
        self.num_steps = num_steps
        self.num_samples = num_samples
        self.start_step = start_step
        self.shown_loss = ""
        self.started = time.perf_counter()
        self.bar = tqdm(
            initial=start_step,
            total=num_steps,
            unit="step",
            disable=not (is_main and sys.stderr.isatty()),
            dynamic_ncols=True,
        )

    def advance(self, step: int, loss: float | None) -> None:
        """Move the bar to a step done. loss: None where none was read; the last one stays."""
        if loss is not None:
            self.shown_loss = f"loss {loss:.4f}, "
        self.bar.update(1)
        rate = self._steps_per_second(step) * self.num_samples
        self.bar.set_postfix_str(f"{self.shown_loss}{rate:.1f} samples/s", refresh=False)

    def write_line(self, step: int, row: dict[str, float]) -> None:
        """Log a line with the scalars of a row of metrics.jsonl."""
        names = ("loss", "validation_loss", "cosine")
        scalars = [f"{n.replace('_', ' ')} {row[n]:.4f}" for n in names if n in row]
        words = [f"step {step}/{self.num_steps}", *scalars]
        if step > self.start_step:
            rate = self._steps_per_second(step)
            left = tqdm.format_interval((self.num_steps - step) / max(rate, 1e-9))
            words += [f"{rate * self.num_samples:.1f} samples/s", f"{left} left"]
        logger.info("%s", "  ".join(words))

    def close(self) -> None:
        """Take the bar off the terminal's last line."""
        self.bar.close()

    def _steps_per_second(self, step: int) -> float:
        return (step - self.start_step) / max(time.perf_counter() - self.started, 1e-9)
