from pathlib import Path

import pytest

from jcdm.config import SampleConfig
from jcdm.evaluation.summary import weights_sentence


def test_weights_are_named_as_seen_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sample = SampleConfig(
        pipeline=tmp_path / "assets" / "tiny", prior=Path("/far/prior"), denoiser=Path("runs/d")
    )
    assert weights_sentence(sample, "prior", "denoiser") == (
        "pipeline assets/tiny, prior from /far/prior, denoiser from runs/d."
    )
    assert weights_sentence(sample) == "pipeline assets/tiny."
