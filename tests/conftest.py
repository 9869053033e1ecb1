"""Fixtures every room shares."""

import atexit
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]
OFFLINE = str(REPOSITORY / "tests" / "offline")
sys.path.insert(0, OFFLINE)
import network_guard  # noqa: E402

if network_guard.LOG not in os.environ:  # the first process; others write to the same file
    os.environ[network_guard.LOG] = tempfile.mkstemp(prefix="jcdm-network-")[1]
    atexit.register(Path(os.environ[network_guard.LOG]).unlink, missing_ok=True)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [OFFLINE, os.environ.get("PYTHONPATH")]))
for _switch in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "DIFFUSERS_OFFLINE"):
    os.environ.pop(_switch, None)  # it is the code that stays at home, not a library told to
network_guard.install()


@pytest.fixture(autouse=True, scope="session")
def _no_attempt_in_the_whole_session() -> Iterator[None]:
    """Fail at the end, too: a thread or a process may try after its test."""
    yield
    assert network_guard.attempts() == []


@pytest.fixture(autouse=True)
def _offline(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that, or a process of which, tried to reach another computer."""
    yield
    mine = f"{request.node.nodeid}\t"
    assert not [line for line in network_guard.attempts() if line.startswith(mine)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how often the session, all its processes together, tried to reach another computer."""
    terminalreporter.write_line(f"network: {len(network_guard.attempts())} connection attempts")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Keep sums in one order, so that equal runs are bit-equal."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def parity_dir() -> Path:
    """Folder of numbers recorded from the published implementation.

    JCDM_PARITY_DIR, where it is set, must be one: only a computer that has no such folder skips.
    """
    named = os.environ.get("JCDM_PARITY_DIR")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "parity"
    if not named and not folder.is_dir():
        pytest.skip("no recorded numbers beside the checkout; name a folder by JCDM_PARITY_DIR")
    if not (folder / "MANIFEST.json").is_file():
        pytest.fail(f"{folder} holds no MANIFEST.json; expected a folder of recorded numbers")
    return folder


@pytest.fixture(scope="session")
def metric_dir() -> Path:
    """Folder of metric numbers recorded from the published scoring scripts.

    JCDM_METRIC_DIR, where it is set, must be one: only a computer that has no such folder skips.
    """
    named = os.environ.get("JCDM_METRIC_DIR")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "metric_fixtures"
    if not named and not folder.is_dir():
        pytest.skip("no recorded metrics beside the checkout; name a folder by JCDM_METRIC_DIR")
    if not (folder / "expected.json").is_file():
        pytest.fail(f"{folder} holds no expected.json; expected a folder of recorded metrics")
    return folder


@pytest.fixture
def figure(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[[str], None]:
    """Give a function that publishes what a check found."""

    def publish(found: str) -> None:
        record_property("figure", found)
        print(f"figure of {request.node.name}: {found}")

    return publish
