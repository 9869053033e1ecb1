"""A few drawn people, drawn once for all tests of the evidence."""

import pytest

from jcdm.evidence.people import DrawnPeople, draw_people


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> DrawnPeople:
    """Two people in 64 x 48 pixels."""
    return draw_people(3, 2, (64, 48), folder=tmp_path_factory.mktemp("evidence"))
