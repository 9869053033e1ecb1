"""How previews of people, tried one by one on several ranks, come together."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from training_world import tiny_config

from jcdm.training import watches
from jcdm.training.loop import Trainer
from jcdm.training.people import unseen_people
from jcdm.training.run import new_accelerator
from jcdm.training.stages.build import build_stage
from jcdm.training.validation import validation_scalars
from jcdm.training.watches import join_scores


def test_scores_are_averaged_over_target_views() -> None:
    scores = [(1, {"cosine": 0.9}), (3, {"cosine": 0.5})]
    assert join_scores(scores) == {"cosine": pytest.approx((0.9 + 3 * 0.5) / 4)}
    assert join_scores([(2, {}), (1, {})]) == {}


def test_joined_scores_are_those_of_one_batch(world: Path, tmp_path: Path) -> None:
    from jcdm.data.loader import collate

    config = tiny_config(world, tmp_path, "prior")
    stage = build_stage("prior", config)
    people = unseen_people("prior", config, 32)
    assert people is not None
    stage.module.eval()
    together, _ = stage.preview(collate([people.sample(i) for i in range(3)]))
    single = []
    for index in range(3):
        batch = collate([people.sample(index)])
        single.append((int((batch.present & ~batch.visible).sum()), stage.preview(batch)[0]))
    assert join_scores(single) == pytest.approx(together, rel=1e-5)


@pytest.mark.parametrize("in_lockstep", [False, True])
def test_ranks_make_equally_many_passes_where_they_must(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_lockstep: bool
) -> None:
    """3 people on 5 ranks: 2 ranks have none, and pass all the same when passes are joint."""
    config = tiny_config(world, tmp_path, "prior")
    stage: Any = build_stage("prior", config)
    trainer = Trainer(stage, config, new_accelerator(config))
    people = unseen_people("prior", config, 32)
    assert people is not None
    calls: list[int] = []

    def noted(plain: Any) -> Any:
        def call(batch: Any) -> Any:
            calls.append(len(batch.keys))
            return plain(batch)

        return call

    monkeypatch.setattr(stage, "step", noted(stage.step))
    monkeypatch.setattr(stage, "preview", noted(stage.preview))
    found = []
    for rank in range(5):
        calls.clear()
        alone = SimpleNamespace(
            process_index=rank, num_processes=5, unwrap_model=lambda module: module
        )
        monkeypatch.setattr(trainer, "accelerator", alone)
        monkeypatch.setattr(trainer, "engine", SimpleNamespace(in_lockstep=in_lockstep))
        monkeypatch.setattr(
            "jcdm.training.validation.gather_object", lambda own: [*own, {"people": 1.0}]
        )
        validation_scalars(
            stage, trainer.state.averages, people, batch_size=1, accelerator=alone,
            in_lockstep=in_lockstep,
        )  # fmt: skip
        shares = watches._try_share(trainer, people)
        assert len(shares) == (rank < 3)
        found.append(len(calls))
    assert found == ([2] * 5 if in_lockstep else [2, 2, 2, 0, 0])


def test_pictures_stand_in_the_order_of_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def picture(level: int) -> Tensor:
        return torch.full((1, 3, 2, 2), level, dtype=torch.uint8)

    saved: list[Tensor] = []
    ranks = [[(0, 1, {}, picture(0)), (2, 1, {}, picture(2))], [(1, 1, {}, picture(1))]]
    monkeypatch.setattr(watches, "gather_object", lambda own: ranks)
    monkeypatch.setattr(watches, "_try_share", lambda trainer, people: [])
    monkeypatch.setattr(watches, "save_sheet", lambda rows, path: saved.append(rows))
    accelerator = SimpleNamespace(is_main_process=True, trackers=[])
    run = SimpleNamespace(out=tmp_path)
    trainer: Any = SimpleNamespace(accelerator=accelerator, config=SimpleNamespace(run=run))
    people: Any = None
    assert watches._preview(trainer, people, 1) == {}
    assert saved[0][:, 0, 0, 0].tolist() == [0, 1, 2]
    accelerator.is_main_process = False
    assert watches._preview(trainer, people, 1) == {} and len(saved) == 1
