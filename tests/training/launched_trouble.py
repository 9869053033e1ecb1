"""Started by accelerate in each process: a toy run in which rank 1 has trouble in step 3.

It fails, hangs, dies, or gets a signal that no other rank gets.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from accelerate import Accelerator
from toy import ToyStage, toy_batches, toy_config

from jcdm.cli.main import run
from jcdm.errors import JCDMError
from jcdm.records import Batch
from jcdm.training.loop import Trainer


def troubled(trouble: str) -> Iterator[Batch]:
    for number, batch in enumerate(toy_batches(2), start=1):
        if number == 3:
            if trouble == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            if trouble == "hangs":
                time.sleep(600)
            if trouble == "fails":
                raise JCDMError("this rank failed.")
            os.kill(os.getpid(), signal.SIGTERM)
        yield batch


def train(trouble: str, out: Path) -> None:
    config = toy_config(out, num_steps=9, hang_minutes=0.05)
    accelerator = Accelerator()
    trainer = Trainer(ToyStage(), config, accelerator)
    batches = toy_batches(2) if accelerator.is_main_process else troubled(trouble)
    with trainer.heartbeat.watched(), trainer.heartbeat.named_errors():
        reason = trainer.run(batches, run=out)
    note = f"{trainer.state.progress.step} {reason}"
    (out / f"rank_{accelerator.process_index}.txt").write_text(note, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run(lambda: train(sys.argv[1], Path(sys.argv[2]))))
