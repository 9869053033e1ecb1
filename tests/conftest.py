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
    """Folder of golden tensors recorded from the published implementation."""
    folder = Path(os.environ.get("JCDM_PARITY_DIR", REPOSITORY.parent / "shared" / "parity"))
    if not (folder / "MANIFEST.json").is_file():
        pytest.skip(f"no parity fixtures in {folder}; set JCDM_PARITY_DIR")
    return folder
