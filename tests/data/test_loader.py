"""Batches are the same row of samples for any number of processes, workers and restarts."""

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jcdm.data.dataset import MultiViewDataset
from jcdm.data.loader import BatchPlan, build_loader, collate
from jcdm.errors import ConfigError, DataError
from jcdm.grid import GridShape
from jcdm.records import Batch, SubjectRecord


@pytest.fixture
def people(make_subject: Callable[..., SubjectRecord]) -> MultiViewDataset:
    records = [make_subject(f"person{n}", seed=n, size=(16, 16)) for n in range(5)]
    return MultiViewDataset(
        records,
        height=16,
        width=16,
        grid=GridShape(rows=1, cols=2),
        clip_size=8,
        seed=0,
        train=True,
    )


def keys(batches: Iterator[Batch], count: int) -> list[int]:
    return [key for batch in islice(batches, count) for key in batch.keys.tolist()]


@given(
    num_samples=st.integers(1, 9),
    batch_size=st.integers(1, 3),
    world_size=st.integers(1, 4),
    accumulation=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_every_sample_comes_once_an_epoch(num_samples, batch_size, world_size, accumulation, seed):
    plans = [
        BatchPlan(
            num_samples=num_samples,
            batch_size=batch_size,
            seed=seed,
            rank=rank,
            world_size=world_size,
            accumulation=accumulation,
        )
        for rank in range(world_size)
    ]
    row = [
        place
        for step in range(2 * num_samples)
        for plan in plans
        for micro in range(accumulation)
        for place in plan.places(step, micro)
    ]
    whole = len(row) - len(row) % num_samples
    epochs = [row[i : i + num_samples] for i in range(0, whole, num_samples)]
    for number, epoch in enumerate(epochs):
        assert sorted(epoch) == [(number, index) for index in range(num_samples)]


def test_epochs_have_other_orders_and_so_have_seeds():
    orders = {
        tuple(i for _, i in BatchPlan(num_samples=12, batch_size=12, seed=seed).places(step, 0))
        for seed in range(2)
        for step in range(2)
    }
    assert len(orders) == 4


def test_two_processes_read_what_one_reads_with_twice_the_batch(people: MultiViewDataset) -> None:
    one = keys(build_loader(people, batch_size=4, seed=0), 3)
    ranks = [build_loader(people, batch_size=2, seed=0, rank=r, world_size=2) for r in range(2)]
    assert [key for _ in range(3) for rank in ranks for key in keys(rank, 1)] == one
    halves = build_loader(people, batch_size=2, seed=0, accumulation=2)
    assert keys(halves, 6) == one


def test_workers_change_nothing(people: MultiViewDataset) -> None:
    plain = list(islice(build_loader(people, batch_size=3, seed=0), 4))
    worked = list(islice(build_loader(people, batch_size=3, seed=0, num_workers=2), 4))
    for first, second in zip(plain, worked, strict=True):
        assert first.subjects == second.subjects
        for field in fields(Batch):
            value, other = (getattr(batch, field.name) for batch in (first, second))
            if isinstance(value, torch.Tensor):
                assert value.dtype == other.dtype and torch.equal(value, other), field.name
            else:
                assert value == other, field.name


def test_a_start_in_the_middle_goes_on_with_the_same_batches(people: MultiViewDataset) -> None:
    straight = keys(build_loader(people, batch_size=2, seed=0, accumulation=2), 10)
    later = keys(build_loader(people, batch_size=2, seed=0, accumulation=2, start_step=3), 4)
    assert later == straight[12:]


def test_the_loader_leaves_torch_s_own_randomness_alone(people: MultiViewDataset) -> None:
    state = torch.get_rng_state()
    next(build_loader(people, batch_size=2, seed=0))
    assert torch.equal(torch.get_rng_state(), state)


def test_collate_stacks_and_refuses_what_does_not_stack(people: MultiViewDataset) -> None:
    samples = [people.sample(index) for index in range(3)]
    batch = collate(samples)
    assert batch.subjects == ("person0", "person1", "person2")
    assert torch.equal(batch.images[1], samples[1].images)
    assert batch.keys.tolist() == [sample.key for sample in samples]
    with pytest.raises(DataError, match="a batch of no samples"):
        collate([])
    people.cell = (24, 16)
    with pytest.raises(DataError, match=r"images of shapes .*, expected one shape"):
        collate([samples[0], people.sample(1)])


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"rank": 2, "world_size": 2}])
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    options = {"num_samples": 4, "batch_size": 2, "seed": 0} | wrong
    with pytest.raises(ConfigError, match="expected at least one of each and a rank below"):
        BatchPlan(**options)


def test_workers_start_where_opencv_has_threads(
    make_subject: Callable[..., SubjectRecord],
) -> None:
    """In a process of its own with a time limit: what went wrong was a wait without end."""
    person = make_subject()
    code = (
        "import cv2, numpy, pickle, sys\n"
        "cv2.setNumThreads(4)\n"
        "cv2.GaussianBlur(numpy.zeros((3000, 3000, 3), numpy.uint8), (9, 9), 2)\n"
        "from jcdm.data.dataset import MultiViewDataset\n"
        "from jcdm.data.loader import build_loader\n"
        "from jcdm.grid import GridShape\n"
        "record = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "people = MultiViewDataset([record], height=40, width=32, clip_size=16, seed=0,\n"
        "    grid=GridShape(rows=2, cols=2), train=True)\n"
        "print(next(build_loader(people, batch_size=2, seed=0, num_workers=2)).images.shape)\n"
    )
    words = [sys.executable, "-c", code, pickle.dumps(person).hex()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert "[2, 4, 3, 40, 32]" in done.stdout, done.stderr[-500:]
