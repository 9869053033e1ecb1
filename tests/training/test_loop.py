from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from toy import ToyStage, new_trainer, toy_batch, toy_batches, toy_config, toy_key

from jcdm.errors import ConfigError, JCDMError
from jcdm.logs import MetricsLog, read_metrics
from jcdm.records import Batch, StepOutput
from jcdm.training.checkpoint import find_checkpoint
from jcdm.training.loop import Trainer, Watch
from jcdm.training.skipped_steps import SKIPPED_FILE


def weights(trainer: Trainer) -> Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.state.module.parameters()]).clone()


def test_training_lowers_the_loss_and_writes_a_row_a_step(tmp_path: Path) -> None:
    config = toy_config(tmp_path, num_steps=60, checkpoint_every=60)
    log = MetricsLog(tmp_path / "metrics.jsonl")
    new_trainer(config).run(toy_batches(2), run=tmp_path, log=log)
    rows = read_metrics(log.path)
    assert [row["step"] for row in rows] == list(range(1, 61))
    assert sum(r["loss"] for r in rows[-5:]) < 0.1 * sum(r["loss"] for r in rows[:5])
    assert rows[9]["images"] == 10 * 2 * 2
    assert set(rows[0]) == {
        "step", "images", "seconds", "loss", "learning_rate", "grad_norm", "num_skipped",
        "target_loss",
    }  # fmt: skip
    assert rows[0]["learning_rate"] == pytest.approx(0.025)


def test_rows_average_over_the_steps_since_the_last_row(tmp_path: Path) -> None:
    losses = []
    for every in (1, 4):
        run = tmp_path / str(every)
        run.mkdir()
        log = MetricsLog(run / "metrics.jsonl")
        new_trainer(toy_config(run, log_every=every)).run(toy_batches(2), run=run, log=log)
        losses.append([row["loss"] for row in read_metrics(log.path)])
    assert losses[1] == [pytest.approx(sum(losses[0]) / 4)]


def test_accumulation_equals_one_batch_of_all_samples(tmp_path: Path) -> None:
    once = new_trainer(toy_config(tmp_path / "once", batch_size=6))
    once.run(toy_batches(6), run=tmp_path / "once")
    parts = new_trainer(toy_config(tmp_path / "parts", batch_size=2, accumulation=3))
    parts.run(toy_batches(2), run=tmp_path / "parts")
    torch.testing.assert_close(weights(parts), weights(once), rtol=1e-6, atol=1e-7)


def test_only_trainable_parameters_move(tmp_path: Path) -> None:
    trainer = new_trainer(toy_config(tmp_path))
    before = {n: p.detach().clone() for n, p in trainer.state.module.named_parameters()}
    trainer.run(toy_batches(2), run=tmp_path)
    after = dict(trainer.state.module.named_parameters())
    assert torch.equal(before["fixed"], after["fixed"])
    assert not torch.equal(before["weight"], after["weight"])


def test_gradients_are_clipped(tmp_path: Path) -> None:
    config = toy_config(tmp_path, num_steps=1)
    config = replace(config, optim=replace(config.optim, max_grad_norm=1e-12, weight_decay=0.0))
    trainer = new_trainer(config)
    before = weights(trainer)
    trainer.run(toy_batches(2), run=tmp_path)
    moments = trainer.state.optimizer.state[trainer.state.parameters["weight"]]
    assert moments["exp_avg"].abs().max() < 1e-12
    assert torch.allclose(weights(trainer), before, atol=1e-5)


def test_a_step_that_is_not_finite_leaves_weights_and_averages_and_is_counted(
    tmp_path: Path,
) -> None:
    stage = ToyStage(poison=(toy_key(1),))
    trainer = new_trainer(toy_config(tmp_path, num_steps=1), stage)
    before = weights(trainer)
    log = MetricsLog(tmp_path / "metrics.jsonl")
    trainer.run(toy_batches(2), run=tmp_path, log=log)
    assert torch.equal(weights(trainer), before)
    assert trainer.state.averages.num_updates == 0
    row = read_metrics(log.path)[0]
    assert row["num_skipped"] == 1 and "loss" not in row


def test_training_goes_on_after_a_skipped_step(tmp_path: Path) -> None:
    stage = ToyStage(poison=(toy_key(1),))
    trainer = new_trainer(toy_config(tmp_path, num_steps=3), stage)
    before = weights(trainer)
    trainer.run(toy_batches(2), run=tmp_path)
    assert torch.isfinite(weights(trainer)).all() and not torch.equal(weights(trainer), before)
    assert trainer.state.progress.num_skipped == 1


def test_a_loss_that_is_not_finite_is_never_applied(tmp_path: Path) -> None:
    """Not even where its gradient is: a mask may keep a NaN out of the one and not the other."""

    class Masked(ToyStage):
        def step(self, batch: Batch) -> StepOutput:
            output = super().step(batch)
            spoiled = output.loss + torch.tensor(torch.nan)  # no gradient flows into the NaN
            return replace(output, loss=spoiled)

    trainer = new_trainer(toy_config(tmp_path, num_steps=1), Masked())
    before = weights(trainer)
    trainer.run(toy_batches(2), run=tmp_path)
    assert torch.equal(weights(trainer), before)
    assert trainer.state.progress.num_skipped == 1


def test_steps_left_out_are_written_down_with_whom_they_saw(tmp_path: Path) -> None:
    poison = (toy_key(2), toy_key(7), toy_key(9))  # in steps 2, 4 and 5
    trainer = new_trainer(toy_config(tmp_path, num_steps=4, log_every=3), ToyStage(poison=poison))
    trainer.run(toy_batches(2), run=tmp_path)
    found = tmp_path / SKIPPED_FILE
    expected = [{"step": 2, "subjects": ["2", "3"]}, {"step": 4, "subjects": ["6", "7"]}]
    assert read_metrics(found) == expected
    again = new_trainer(toy_config(tmp_path, num_steps=6), ToyStage(poison=poison))
    again.resume(tmp_path / "checkpoints" / "step_0000002")  # what came after is done again
    again.run(toy_batches(2, start=4), run=tmp_path)
    assert read_metrics(found) == [*expected, {"step": 5, "subjects": ["8", "9"]}]


def test_a_run_without_skipped_steps_has_no_list_of_them(tmp_path: Path) -> None:
    new_trainer(toy_config(tmp_path)).run(toy_batches(2), run=tmp_path)
    assert not (tmp_path / SKIPPED_FILE).exists()


def test_weights_in_half_precision_are_not_trained(tmp_path: Path) -> None:
    stage = ToyStage()
    stage.module.half()
    with pytest.raises(ConfigError, match=r"weight is torch\.float16, expected torch\.float32"):
        new_trainer(toy_config(tmp_path), stage)


def test_endless_non_finite_steps_end_the_run_with_its_state_saved(tmp_path: Path) -> None:
    def poisoned() -> Iterator[Batch]:
        while True:
            yield toy_batch(range(2))

    config = toy_config(tmp_path, num_steps=40, checkpoint_every=40, max_skipped_in_row=5)
    trainer = new_trainer(config, ToyStage(poison=(toy_key(1),)))
    with pytest.raises(JCDMError, match=r"not finite in 5 steps .* read at step 5; .* is saved"):
        trainer.run(poisoned(), run=tmp_path)
    saved = find_checkpoint(tmp_path, "auto")
    assert saved is not None and saved.name == "step_0000005"
    again = new_trainer(config)  # nothing is poisoned any more
    again.resume(saved)
    again.run(toy_batches(2), run=tmp_path)
    assert again.state.progress.step == 40 and again.state.progress.num_skipped == 5


def test_a_watch_looks_in_evaluation_mode_every_so_often_and_at_the_end(tmp_path: Path) -> None:
    seen = []
    trainer = new_trainer(toy_config(tmp_path, num_steps=5))

    def look(step: int) -> dict[str, float]:
        seen.append((step, trainer.stage.module.training))
        return {"validation_loss": float(step)}

    log = MetricsLog(tmp_path / "metrics.jsonl")
    never = Watch(every=0, look=lambda step: {"never": 1.0}, at_start=True)
    watches = [Watch(every=2, look=look, at_start=True), never]
    trainer.run(toy_batches(2), run=tmp_path, log=log, watches=watches)
    assert seen == [(0, False), (2, False), (4, False), (5, False)]
    assert trainer.stage.module.training
    rows = read_metrics(log.path)
    assert [row.get("validation_loss") for row in rows] == [0.0, None, 2.0, None, 4.0, 5.0]
    assert all("never" not in row for row in rows)


def test_averages_follow_the_weights_slowly(tmp_path: Path) -> None:
    trainer = new_trainer(toy_config(tmp_path, num_steps=20, checkpoint_every=20))
    start = weights(trainer)[:3]
    trainer.run(toy_batches(2), run=tmp_path)
    average, end = trainer.state.averages.tensors()["weight"], weights(trainer)[:3]
    assert 0 < (average - start).norm() < (end - start).norm()
