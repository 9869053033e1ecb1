"""A step reads nothing back from the device, and leaves out bad gradients there."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from toy import ToyStage, new_trainer, toy_batch, toy_batches, toy_config, toy_key
from training_world import tiny_config

from jcdm.errors import JCDMError
from jcdm.logs import MetricsLog, read_metrics
from jcdm.records import Batch
from jcdm.training.checkpoint import find_checkpoint
from jcdm.training.loop import Trainer
from jcdm.training.run import new_accelerator
from jcdm.training.stages.build import build_stage

READS = ("item", "tolist", "__bool__", "__float__", "__int__", "numpy")


@contextmanager
def counted_reads(steps: list[int]) -> Iterator[Counter[int]]:
    """Count by step (the last of `steps`) how often a computed number is read on the host.

    Keys of samples are whole numbers that never left the host; all else counts.
    """
    found: Counter[int] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        for name in READS:
            patch.setattr(Tensor, name, _counting(getattr(Tensor, name), found, steps))
        yield found


def _counting(plain, found, steps):  # type: ignore[no-untyped-def]
    def read(self: Tensor, *args: object) -> object:
        if self.dtype != torch.int64:
            found[steps[-1]] += 1
        return plain(self, *args)

    return read


class NotingStage(ToyStage):
    """Notes the number of every step it makes."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.steps = [0]

    def step(self, batch: Batch):  # type: ignore[no-untyped-def]
        self.steps.append(self.steps[-1] + 1)
        return super().step(batch)


@pytest.mark.parametrize("poison", [(), (toy_key(3),)])
def test_twenty_steps_are_read_twice(tmp_path: Path, poison: tuple[int, ...]) -> None:
    config = toy_config(tmp_path, num_steps=20, log_every=10, checkpoint_every=20)
    stage = NotingStage(poison=poison)
    trainer = new_trainer(config, stage)
    with counted_reads(stage.steps) as found:
        trainer.run(toy_batches(2), run=tmp_path)
    assert sorted(found) == [10, 20]
    assert trainer.state.progress.num_skipped == len(poison)


def test_a_stage_of_the_real_kind_is_not_read_either(world: Path, tmp_path: Path) -> None:
    config = tiny_config(world, tmp_path, "prior", num_steps=4, log_every=2, checkpoint_every=4)
    stage = build_stage("prior", config)
    trainer = Trainer(stage, config, new_accelerator(config))
    steps, plain = [0], stage.step

    def step(batch: Batch):  # type: ignore[no-untyped-def]
        steps.append(steps[-1] + 1)
        return plain(batch)

    stage.step = step  # type: ignore[method-assign]
    batches = _batches_of(config)
    with counted_reads(steps) as found:
        trainer.run(batches, run=tmp_path)
    assert sorted(found) == [2, 4]


def _batches_of(config) -> Iterator[Batch]:  # type: ignore[no-untyped-def]
    from jcdm.data.loader import build_loader
    from jcdm.training.people import training_people

    people = training_people("prior", config, 32)
    loader = build_loader(people, batch_size=config.train.batch_size, seed=0)
    made = [next(loader) for _ in range(4)]  # reading photographs is none of the step's business
    return iter(made)


def test_numbers_do_not_depend_on_how_often_they_are_read(tmp_path: Path) -> None:
    """Also not those of steps after one that was left out: weights, averages and sums."""
    found = []
    for every in (1, 3, 12):
        run = tmp_path / str(every)
        run.mkdir()
        config = toy_config(run, num_steps=12, log_every=every, checkpoint_every=12)
        trainer = new_trainer(config, ToyStage(poison=(toy_key(4), toy_key(9))))
        log = MetricsLog(run / "metrics.jsonl")
        trainer.run(toy_batches(2), run=run, log=log)
        rows = read_metrics(log.path)
        assert rows[-1]["num_skipped"] == 2
        found.append((trainer, rows))
    (first, rows), others = found[0], found[1:]
    total = sum(row["loss"] for row in rows if "loss" in row)
    for trainer, other_rows in others:
        for name, tensor in first.state.averages.tensors().items():
            assert torch.equal(trainer.state.averages.tensors()[name], tensor), name
            assert torch.equal(trainer.state.parameters[name], first.state.parameters[name]), name
        assert trainer.state.averages.num_updates == first.state.averages.num_updates == 10
        if len(other_rows) == 1:
            assert other_rows[0]["loss"] == pytest.approx(total / 10, rel=1e-12)


def test_averages_left_out_once_equal_a_plain_loop(tmp_path: Path) -> None:
    """Independent: averages by hand from the weights after every step, the bad one left out."""
    config = toy_config(tmp_path, num_steps=1, checkpoint_every=100)
    trainer = new_trainer(config, ToyStage(poison=(toy_key(4),)))
    expected = trainer.state.parameters["weight"].detach().double()
    batches = toy_batches(2)
    for step in range(1, 7):
        trainer.config = toy_config(tmp_path, num_steps=step, checkpoint_every=100)
        trainer.run(batches, run=tmp_path)
        if step == 3:  # people 4 and 5
            continue
        decay = 0.0 if step == 1 else min(0.9, step / (9 + step))
        own = trainer.state.parameters["weight"].detach().double()
        expected = decay * expected + (1 - decay) * own
    found = trainer.state.averages.tensors()["weight"]
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-7)


def test_skipped_steps_are_counted_over_a_resume(tmp_path: Path) -> None:
    poison = (toy_key(0), toy_key(2), toy_key(6))  # steps 1, 2 and 4
    trainer = new_trainer(toy_config(tmp_path, log_every=4), ToyStage(poison=poison))
    trainer.run(toy_batches(2), run=tmp_path)
    progress = trainer.state.progress
    assert (progress.num_skipped, progress.longest_skipped) == (3, 2)
    assert progress.num_skipped_in_row == 1
    again = new_trainer(toy_config(tmp_path, num_steps=6, log_every=4), ToyStage(poison=poison))
    again.resume(find_checkpoint(tmp_path, "auto"))  # type: ignore[arg-type]
    assert again.state.progress == progress
    assert again.state.averages.num_updates == 1
    assert again.state.averages.num_steps == 4
    again.run(toy_batches(2, start=8), run=tmp_path)
    assert (again.state.progress.num_skipped, again.state.averages.num_updates) == (3, 3)


def test_the_rule_of_fifty_waits_for_the_next_reading(tmp_path: Path) -> None:
    def poisoned() -> Iterator[Batch]:
        while True:
            yield toy_batch(range(2))

    config = toy_config(tmp_path, num_steps=1000, log_every=40, checkpoint_every=1000)
    trainer = new_trainer(config, ToyStage(poison=(toy_key(1),)))
    with pytest.raises(JCDMError, match="read at step 80"):
        trainer.run(poisoned(), run=tmp_path)
    assert trainer.state.progress.longest_skipped >= config.train.max_skipped_in_row


@pytest.mark.parametrize("poison", [(), (toy_key(4),)])
def test_a_loss_scaler_of_two_to_the_n_changes_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, poison: tuple[int, ...]
) -> None:
    """What fp16 adds, tried on the CPU: scaled losses, gradients unscaled before clipping."""
    found = []
    for scaled in (False, True):
        config = toy_config(tmp_path / str(scaled), num_steps=6, checkpoint_every=6)
        accelerator = Accelerator(cpu=True)
        if scaled:
            accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
        trainer = Trainer(ToyStage(poison=poison), config, accelerator)
        if scaled:  # from now on accelerate unscales before it clips, and nothing computes in fp16
            accelerator.native_amp = True
            monkeypatch.setattr(accelerator.state, "_mixed_precision", "fp16")
        trainer.run(toy_batches(2), run=tmp_path / str(scaled))
        monkeypatch.undo()
        found.append(trainer.state)
    plain, scaled_state = found
    assert scaled_state.scaler is not None and plain.scaler is None
    assert scaled_state.progress.num_skipped == plain.progress.num_skipped == len(poison)
    for name, parameter in plain.parameters.items():
        assert torch.equal(scaled_state.parameters[name], parameter), name
        averages = (state.averages.tensors()[name] for state in found)
        assert torch.equal(*averages), name
    assert scaled_state.scaler.get_scale() == 2.0 ** (10 - len(poison))
