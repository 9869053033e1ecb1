"""When a rank fails or hangs, all end soon, and say which rank in which phase."""

import time
from pathlib import Path

import pytest
from accelerate import Accelerator
from launching import launch
from toy import new_trainer, toy_batches, toy_config

from jcdm.errors import DataError, JCDMError
from jcdm.training.checkpoint import find_checkpoint
from jcdm.training.heartbeat import Heartbeat


class Ranks:
    """What a heartbeat asks of an accelerator."""

    process_index, num_processes = 1, 2


def heartbeat() -> Heartbeat:
    beat = Heartbeat(Ranks())  # type: ignore[arg-type]
    beat.begin("step 3: reading a batch")
    return beat


def test_an_error_names_rank_and_phase() -> None:
    with pytest.raises(DataError) as caught, heartbeat().named_errors():
        raise DataError("picture 7.png is empty.")
    assert str(caught.value) == "rank 1 of 2, step 3: reading a batch: picture 7.png is empty."


def test_a_broken_connection_points_to_the_rank_that_failed() -> None:
    with pytest.raises(JCDMError) as caught, heartbeat().named_errors():
        raise RuntimeError("[third_party/gloo/transport/tcp/pair.cc:547] Connection closed by peer")
    assert str(caught.value).startswith("rank 1 of 2, step 3: reading a batch: lost the other")


def test_an_unexpected_error_stays_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError), heartbeat().named_errors():
        raise ZeroDivisionError
    assert "rank 1 of 2, step 3: reading a batch: ZeroDivisionError" in caplog.text


def test_one_process_names_no_rank() -> None:
    beat = Heartbeat(Accelerator(cpu=True))
    beat.begin("step 3: saving")
    assert beat.place == "step 3: saving"
    with pytest.raises(JCDMError, match=r"^plain$"), beat.named_errors():
        raise JCDMError("plain")


def test_the_loop_names_its_phases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(Heartbeat, "begin", lambda self, phase: seen.append(phase))
    trainer = new_trainer(toy_config(tmp_path, num_steps=2, checkpoint_every=2))
    trainer.run(toy_batches(2), run=tmp_path)
    assert seen == [
        *("step 1: reading a batch", "step 1: computing"),
        *("step 2: reading a batch", "step 2: computing", "step 3: saving"),
    ]


@pytest.mark.parametrize(
    "trouble, expected",
    [
        pytest.param(
            "fails",
            "rank 1 of 2, step 3: reading a batch: this rank failed.",
            marks=pytest.mark.slow,
        ),
        ("hangs", "rank 1 of 2, step 3: reading a batch: did not end in 0.05 minutes"),
        ("dies", "rank 0 of 2, step 3: computing: lost the other ranks"),
    ],
)
def test_all_ranks_end_when_one_is_in_trouble(tmp_path: Path, trouble: str, expected: str) -> None:
    started = time.monotonic()
    result = launch(2, "launched_trouble.py", [trouble, tmp_path])
    assert result.returncode != 0
    assert expected in result.stderr, result.stderr[-4000:]
    assert time.monotonic() - started < 120


def test_a_signal_to_one_rank_ends_all_after_the_same_step(tmp_path: Path) -> None:
    result = launch(2, "launched_trouble.py", ["is signalled", tmp_path])
    assert result.returncode == 0, result.stderr[-4000:]
    notes = [(tmp_path / f"rank_{rank}.txt").read_text(encoding="utf-8") for rank in range(2)]
    step, reason = notes[0].split()
    assert notes[0] == notes[1] and reason == "SIGTERM" and 3 <= int(step) <= 5
    newest = find_checkpoint(tmp_path, "auto")
    assert newest is not None and newest.name == f"step_{int(step):07d}"
