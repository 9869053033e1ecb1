"""Defects 27, 28 and 30: work that was done and read by nobody, and waiting for a GPU."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from defect_tools import FAST, listen, paint, painter
from denoiser_factory import randomise
from test_stages import build, loss
from torch import Tensor
from toy import ToyStage, new_trainer, toy_batches, toy_config
from training_world import KINDS

from jcdm.data import index as index_module
from jcdm.data.index import read_index
from jcdm.records import Batch, StepOutput
from jcdm.training.tally import StepTally


@pytest.mark.parametrize("embedding", ["learned", "clip_constant"])
def test_defect_27_the_prior_s_step_embeds_each_view_once(world: Path, embedding: str) -> None:
    stage, batch = build(world, "prior", prior={"visibility_embedding": embedding})
    pictures = embedded(stage, batch, num_steps=3)
    constants = {"learned": 1, "clip_constant": 2}[embedding]  # black; and white
    assert pictures == [4 * 4 + constants, 4 * 4, 4 * 4]


@pytest.mark.parametrize("kind", ["denoiser", "motion"])
def test_defect_27_stage_2_embeds_references_and_encodes_views_once(world: Path, kind: str) -> None:
    stage, batch = build(world, kind)
    encoded = listen(stage.vae.model.encoder)
    references = int(batch.visible.sum())
    assert embedded(stage, batch, num_steps=2) == [references + 1, references]
    rows = [len(args[0]) for args, _ in encoded]
    assert sum(rows) == 2 * 4 * 4 + 1, "every view once a step, and one black picture"


def embedded(stage: Any, batch: Batch, num_steps: int) -> list[int]:
    """Number of pictures that the CLIP tower sees in each of some training steps."""
    calls, counts = listen(stage.clip.model), []
    for _ in range(num_steps):
        calls.clear()
        loss(stage, batch, training=True)
        counts.append(sum(len(options["pixel_values"]) for _, options in calls))
    return counts


CHANGES = {
    "images": lambda b: b.images.flip(-1),
    "clip_pixels": lambda b: b.clip_pixels.flip(-1),
    "pose_maps": lambda b: 1 - b.pose_maps,
    "keypoints": lambda b: 1 - b.keypoints,
    "keypoint_valid": lambda b: ~b.keypoint_valid,
    "visible": lambda b: b.visible.roll(1, dims=1),
    "present": lambda b: b.visible | (torch.arange(4) == (~b.visible).int().argmax(1)[:, None]),
    "keys": lambda b: b.keys + 1,
}


@pytest.mark.parametrize("kind", KINDS)
def test_defect_28_all_that_is_collated_is_read(world: Path, kind: str) -> None:
    stage, batch = build(world, kind)
    randomise(stage.module)
    tensors = {f.name: getattr(batch, f.name) for f in fields(Batch)}
    built = {name for name, t in tensors.items() if isinstance(t, Tensor) and t.numel() > 0}
    assert built <= set(CHANGES), "a new field: say here how to change it"
    before = loss(stage, batch).per_sample
    unread = []
    for name in sorted(built):
        changed = replace(batch, **{name: CHANGES[name](batch)})
        if torch.equal(loss(stage, changed).per_sample, before):
            unread.append(name)
    assert not unread, f"the {kind} stage's loader builds {unread}, and its step never reads them"


def test_defect_30_scalars_are_read_and_shared_every_few_steps_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, shared = [], []

    class Noted:
        """A scalar of a step that notes when a number is made of it."""

        def __init__(self, step: int) -> None:
            self.step = step

        def __float__(self) -> float:
            read.append(self.step)
            return 0.0

    class Stage(ToyStage):
        num_steps = 0

        def step(self, batch: Batch) -> StepOutput:
            self.num_steps += 1
            return replace(super().step(batch), logs={"target_loss": Noted(self.num_steps)})

    def reduce(accelerator: Accelerator, tensor: Tensor, how: str) -> Tensor:
        shared.append(trainer.state.progress.step)
        return tensor

    trainer = new_trainer(
        toy_config(tmp_path, num_steps=9, log_every=4, checkpoint_every=9), Stage()
    )
    monkeypatch.setattr(Accelerator, "num_processes", property(lambda _: 2))
    monkeypatch.setattr(Accelerator, "reduce", reduce)
    monkeypatch.setattr(Accelerator, "gather", None)
    trainer.run(toy_batches(2), run=tmp_path)
    assert read == [4, 8, 9]
    assert sorted(set(shared)) == [4, 8, 9]


def test_defect_30_the_host_waits_for_nothing_in_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = new_trainer(toy_config(tmp_path, num_steps=6, log_every=6, checkpoint_every=6))
    waits: list[str] = []
    for name in ("item", "tolist", "__float__", "__bool__", "numpy"):
        _count_floats(monkeypatch, name, waits)
    progress = trainer.state.progress
    tally = StepTally(progress, trainer.accelerator)
    for step, batch in zip(range(1, 6), toy_batches(2), strict=False):
        waits.clear()
        trainer._update(iter([batch]), tally)
        assert progress.step == step and not waits, waits


def _count_floats(monkeypatch: pytest.MonkeyPatch, name: str, waits: list[str]) -> None:
    """Note every reading of floating-point tensors by `name`; keys are integers on the CPU."""
    inner = getattr(Tensor, name)

    def counted(tensor: Tensor, *args: Any) -> Any:
        if tensor.is_floating_point():
            waits.append(name)
        return inner(tensor, *args)

    monkeypatch.setattr(Tensor, name, counted)


def test_defect_30_the_unet_is_given_nothing_that_it_ignores() -> None:
    pipeline = painter()
    calls = listen(pipeline.denoiser.unet)
    paint(pipeline)
    assert len(calls) == FAST["num_steps"]
    for args, options in calls:
        assert len(args) == 2 and set(options) == {"encoder_hidden_states", "return_dict"}


def test_defect_30_an_index_is_parsed_once_however_often_it_is_asked(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "index.json"
    copy.write_bytes((world / "people" / "index.json").read_bytes())
    parsed, inner = [], index_module.parse_view

    def parse_view(entry: object, *where: Any) -> Any:
        parsed.append(entry)
        return inner(entry, *where)

    monkeypatch.setattr(index_module, "parse_view", parse_view)
    for split in ("train", "test", None):
        records = read_index(copy, split)
    assert len(parsed) == sum(len(record.views) for record in records)
