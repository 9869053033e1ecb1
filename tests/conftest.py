"""Fixtures every room shares."""

import os
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]


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
