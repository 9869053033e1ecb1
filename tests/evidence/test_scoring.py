"""Painters of known quality are scored as they should be; shown prints and painters are right."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from evidence_world import HEIGHT, WIDTH, make_evidence

from jcdm.evidence.baselines import (
    COPY,
    MEAN,
    STRANGER,
    TRUTH,
    VAE,
    WRONG_POSE,
    calibration_painters,
    naive_painters,
)
from jcdm.evidence.batches import make_batches
from jcdm.evidence.people import draw_people
from jcdm.evidence.reader import PersonReader
from jcdm.evidence.scoring import DISAGREEMENT, EMBEDDING, Judge, paint_by, true_view
from jcdm.evidence.tasks import GridPlan, find_task, plan_grids
from jcdm.pipelines import JCDMPipeline
from jcdm.records import Batch

TASK = find_task("references_2")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    folder = tmp_path_factory.mktemp("judge")
    make_evidence(folder)
    pipeline = JCDMPipeline.from_pretrained(folder / "weights")
    pipeline.set_progress_bar_config(disable=True)
    torch.manual_seed(0)
    return Judge(
        people=draw_people(5, 3, (HEIGHT, WIDTH), folder=folder),
        reader=PersonReader(channels=(8, 8, 8, 8), groups=4).eval(),
        pipeline=pipeline,
    )


def batches(judge: Judge, size: int = 2) -> Iterator[tuple[Sequence[GridPlan], Batch]]:
    spec = judge.pipeline.view_format(None, None)
    return make_batches(judge.people, plan_grids(TASK, judge.people), spec, batch_size=size)


def test_painters_of_known_quality(judge: Judge) -> None:
    found = {}
    for name, paint in calibration_painters(judge.people, judge.pipeline).items():
        tally, _ = judge.score(TASK, paint)
        found[name] = tally.estimates()
    truth = found[TRUTH]
    assert "PSNR" not in truth  # infinite
    assert truth["SSIM"].mean == pytest.approx(1) and truth["colour error"].mean == 0
    assert truth[EMBEDDING].mean == pytest.approx(1) and truth[DISAGREEMENT].mean == 0
    assert truth["SSIM"].num_values == 6 and truth[DISAGREEMENT].num_values == 3
    for worse in (VAE, STRANGER, WRONG_POSE):
        assert found[worse]["SSIM"].mean < 1
    assert found[STRANGER]["colour error"].mean > found[WRONG_POSE]["colour error"].mean


def test_batches_hold_true_pictures_and_keys_of_their_own(judge: Judge) -> None:
    whole = list(batches(judge, size=3))
    (plans, batch), (_, last) = next(batches(judge)), list(batches(judge))[-1]
    assert batch.visible.tolist() == [[True, True, False, False]] * 2
    expected = judge.people.images[1, plans[1].views[2]]
    shown = ((batch.images[1, 2].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
    assert np.array_equal(shown, expected)
    assert torch.equal(torch.cat([batch.keys, last.keys]), whole[0][1].keys)
    assert len(set(whole[0][1].keys.tolist())) == 3


def test_naive_painters(judge: Judge) -> None:
    mean = np.full((HEIGHT, WIDTH, 3), 7, np.uint8)
    painters = naive_painters(mean)
    plans, batch = next(batches(judge))
    assert (painters[MEAN](batch, plans) == 7).all()
    copied = painters[COPY](batch, plans)[0, 3]
    references = judge.people.images[plans[0].person, list(plans[0].views[:2])]
    assert any(np.array_equal(copied, reference) for reference in references)


def test_a_pipeline_paints_the_same_for_any_batch_size(judge: Judge) -> None:
    paint = paint_by(judge.pipeline, num_steps=1, prior_steps=1, preset="standard")
    pictures = [
        np.concatenate([paint(batch, plans) for plans, batch in batches(judge, size)])
        for size in (1, 3)
    ]
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() <= 1
    tally, kept = judge.score(TASK, paint, keep=2)
    assert kept.shape == (2, 4, HEIGHT, WIDTH, 3) and "PSNR" in tally.estimates()


def test_a_print_counts_where_a_reference_from_that_side_shows_it(judge: Judge) -> None:
    people = judge.people
    front_only = GridPlan(
        person=0, views=(0, 8, 1, 9), visible=(True, False, False, False), scored=(False,) * 4
    )
    prints = people.prints[0].copy()
    assert true_view(people, front_only, 1).shown == (prints[0].sum() >= 8)
    assert not true_view(people, front_only, 2).shown, "the back's print is not known"
