"""A folder of tiny people, encoders and weights for every stage, made once."""

from pathlib import Path

import pytest
from training_world import make_trained_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_trained_world(tmp_path_factory.mktemp("world"))
