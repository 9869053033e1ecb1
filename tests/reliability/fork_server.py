"""Run commands in forked children, which may be killed: everything is imported only once.

    python fork_server.py < requests > answers

A request is a line of JSON: `words` of the command, `kill` (see `wait_for_moment`; null = let it
end), `act`: what is done at that moment (see `act`), `log` (a file that takes what it prints). The
answer: `code` (-9 where it was killed), `seconds`, and `said`: what it printed on a full disk,
through a pipe.
"""

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from contextlib import suppress
from typing import Any

POLL_SECONDS = 0.0005


def import_everything() -> None:
    """Import what the commands import when they run, with small pieces for the caches."""
    import tensorboard.summary.writer.event_file_writer  # noqa: F401
    import torch

    import jcdm.cache.build
    import jcdm.cache.predict
    import jcdm.cli.cache
    import jcdm.cli.evaluate
    import jcdm.cli.evaluate_pipeline
    import jcdm.cli.score_printing
    import jcdm.cli.train
    import jcdm.evaluation.score_report
    import jcdm.evaluation.task_runs
    import jcdm.training.encoder_cache
    import jcdm.training.kept_predictions
    import jcdm.training.run

    torch.set_num_threads(1)
    jcdm.cache.build.ROWS_PER_SHARD = 8
    jcdm.cache.predict.ROWS_PER_SHARD = 8


def run_child(words: list[str], out: int) -> None:
    """Be the command: print into `out`, and end as `python -m jcdm` would."""
    from jcdm.cli.main import main

    code = 70  # a traceback
    try:
        os.dup2(out, 1)
        os.dup2(out, 2)
        code = main(words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def wait_for_moment(
    process: int, *, after: float, amid: list[str], delay: float, lines: tuple[str, int] | None
) -> bool:
    """Wait for the moment to act on a process; False where it ended before.

    It comes `after` seconds, then, if folders are named, when something new and hidden stands in
    one of them, as what is not finished does, then, if a file and a number are, when it has so
    many lines, and `delay` seconds later.
    """
    watched, before = os.pidfd_open(process), _hidden(amid)
    try:
        ended = _wait(watched, after)
        while not ended and amid and _hidden(amid) <= before:
            ended = _wait(watched, POLL_SECONDS)
        while not ended and lines is not None and not _has_lines(*lines):
            ended = _wait(watched, POLL_SECONDS)
        return not ended and not _wait(watched, delay)
    finally:
        os.close(watched)


def _wait(watched: int, seconds: float) -> bool:
    return bool(select.select([watched], [], [], seconds)[0])


def _hidden(folders: list[str]) -> set[str]:
    found: set[str] = set()
    for folder in folders:
        with suppress(FileNotFoundError):
            found |= {f"{folder}/{n}" for n in os.listdir(folder) if n.startswith(".")}
    return found


def _has_lines(file: str, count: int) -> bool:
    with suppress(FileNotFoundError), open(file, encoding="utf-8") as lines:
        return sum(1 for _ in lines) >= count
    return False


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one command, and act on it when its time has come."""
    started = time.perf_counter()
    listened, pipe = os.pipe()
    fills = request["act"] == "fill_disk"
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    child = os.fork()
    if child == 0:
        run_child(request["words"], pipe if fills else log)
    os.close(pipe)
    os.close(log)
    if request["kill"] is not None and wait_for_moment(child, **request["kill"]):
        act(request["act"], child)
    with open(listened, encoding="utf-8") as heard:
        said = heard.read() if fills else ""
    _, status = os.waitpid(child, 0)
    seconds = time.perf_counter() - started
    return {"code": os.waitstatus_to_exitcode(status), "seconds": seconds, "said": said}


def act(what: str, child: int) -> None:
    """Kill a process, terminate it, or (fill_disk) refuse every byte it adds to any file."""
    if what == "fill_disk":
        hard = resource.prlimit(child, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(child, resource.RLIMIT_FSIZE, (0, hard))
    else:
        os.kill(child, signal.SIGKILL if what == "kill" else signal.SIGTERM)


if __name__ == "__main__":
    import_everything()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
