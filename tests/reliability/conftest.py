"""The checks behind docs/reliability.md: few rounds in the suite, the published number as slow.

    python -m pytest tests/reliability -m "slow or not slow" -rP

Each check says its figure by the fixture `figure` (tests/conftest.py); it is printed, and stands in
a JUnit file as well (`--junitxml FILE`).
"""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "training"))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of drawn people, random encoders, a prior and a denoiser: see `training_world`."""
    from training_world import make_trained_world

    return make_trained_world(tmp_path_factory.mktemp("world"))
