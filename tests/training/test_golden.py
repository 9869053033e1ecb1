"""Losses stay what they were: 100 steps of each stage against stored ones."""

import json
from pathlib import Path

import pytest
from golden import FOLDER, NUM_STEPS, conditions, golden_losses
from training_world import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_recorded(world: Path, tmp_path: Path, kind: str) -> None:
    file = FOLDER / f"{kind}.json"
    assert file.is_file(), f"{file} is not recorded; run: python scripts/record_golden.py"
    recorded = json.loads(file.read_text(encoding="utf-8"))
    losses = golden_losses(world, tmp_path, kind)
    assert len(losses) == len(recorded["losses"]) == NUM_STEPS
    if conditions() == recorded["conditions"]:
        assert losses == recorded["losses"]
    else:
        assert losses == pytest.approx(recorded["losses"], rel=1e-4)
