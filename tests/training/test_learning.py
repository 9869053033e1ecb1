"""Each stage over-fits four drawn people, and needs their references to do so."""

from dataclasses import replace
from pathlib import Path

import pytest
from learning import overfit
from training_world import tiny_config

from jcdm.config import Config


def learning_config(world: Path, out: Path, kind: str, *, num_steps: int, rate: float) -> Config:
    """Views of 16 x 16 pixels, no condition drop, a loss without weights."""
    config = tiny_config(
        world,
        out,
        kind,
        num_steps=num_steps,
        checkpoint_every=num_steps,
        drop_prior=0.0,
        drop_pose=0.0,
        drop_all=0.0,
        noise_offset=0.0,
        snr_gamma=None,
    )
    return replace(
        config,
        data=replace(
            config.data, index=world / "people" / "index.json", frames=False, height=16, width=16
        ),
        optim=replace(
            config.optim,
            learning_rate=rate,
            schedule="cosine",
            weight_decay=0.0,
            num_warmup_steps=5,
        ),
        prior=replace(config.prior, noise_offset=0.0),
    )


def overfit_motion(
    world: Path, out: Path, *, num_start_steps: int, num_steps: int
) -> dict[str, tuple[float, float]]:
    """Motion on a denoiser that knows one person by heart: the others come by the references."""
    start = out / "start"
    config = learning_config(world, start, "denoiser", num_steps=num_start_steps, rate=4e-3)
    overfit("denoiser", config, start, black=True, only_first=True)
    found = {}
    for name in ("shown", "black"):
        config = learning_config(world, out / name, "motion", num_steps=num_steps, rate=1e-2)
        config = replace(config, unet=replace(config.unet, weights=start))
        found[name] = overfit("motion", config, out / name, black=name == "black")
    return found


def test_the_prior_overfits(world: Path, tmp_path: Path) -> None:
    config = learning_config(world, tmp_path, "prior", num_steps=200, rate=5e-3)
    before, after = overfit("prior", config, tmp_path)
    _, without = overfit("prior", config, tmp_path / "black", black=True)
    assert after < 0.25 * before
    assert after < 0.75 * without


def test_the_denoiser_overfits(world: Path, tmp_path: Path) -> None:
    found = {}
    for name in ("shown", "black"):
        out = tmp_path / name
        config = learning_config(world, out, "denoiser", num_steps=240, rate=3e-3)
        found[name] = overfit("denoiser", config, out, black=name == "black")
    (before, after), (_, without) = found["shown"], found["black"]
    assert after < 0.25 * before
    assert after < 0.75 * without


def test_the_motion_module_learns_from_references(world: Path, tmp_path: Path) -> None:
    found = overfit_motion(world, tmp_path, num_start_steps=150, num_steps=110)
    (before, after), (_, without) = found["shown"], found["black"]
    assert after < 0.7 * before
    assert after < 0.95 * without


@pytest.mark.slow
def test_the_motion_module_overfits(world: Path, tmp_path: Path) -> None:
    found = overfit_motion(world, tmp_path, num_start_steps=300, num_steps=300)
    (before, after), (_, without) = found["shown"], found["black"]
    assert after < 0.25 * before
    assert after < 0.75 * without
