"""Defects 19, 24 and 25: statistics, masks and norms of the prior, and sizes other than 2 x 2."""

from collections import Counter
from pathlib import Path

import denoiser_factory
import pipeline_factory as factory
import pytest
import torch
from defect_tools import painter
from test_stages import build, loss
from torch import Tensor, nn

from jcdm.config import VisibilityConfig
from jcdm.diffusion.schedule import build_prior_scheduler
from jcdm.errors import ConfigError, DataError
from jcdm.grid import GridShape, from_grid, to_grid
from jcdm.models.motion import ViewMotion
from jcdm.pipelines.noise import KeyedNoise
from jcdm.pipelines.prior import predict_appearance


def test_defect_19_statistics_of_embeddings_stay_float32(world: Path) -> None:
    stage, _ = build(world, "denoiser", train={"mixed_precision": "bf16"})
    assert stage.prior.noisy_in.weight.dtype == torch.bfloat16
    assert stage.prior.clip_std.item() == torch.tensor(0.6).item()
    half = painter().to(torch.float16).prior
    assert half.noisy_in.weight.dtype == torch.float16
    for name, exact in (("clip_mean", -0.016), ("clip_std", 0.415)):
        assert getattr(half, name).item() == torch.tensor(exact).item()
        assert torch.tensor(exact).half().item() != torch.tensor(exact).item(), "half would do too"


def test_defect_24_every_norm_is_applied_once() -> None:
    prior, counts = factory.build_prior(num_layers=2), Counter[str]()
    norms = {name: m for name, m in prior.named_modules() if isinstance(m, nn.LayerNorm)}
    for name, norm in norms.items():
        norm.register_forward_hook(lambda *_, name=name: counts.update([name]))
    predict(prior, num_views=4)
    assert len(norms) >= 10 and counts == Counter(list(norms))


def test_defect_24_the_mask_is_applied_and_hides_empty_cells() -> None:
    prior = factory.build_prior()
    mask = torch.tensor([[True, True, True, False]])
    three, masked, unmasked = (
        predict(prior, num_views=3),
        predict(prior, num_views=4, present=mask)[:, :3],
        predict(prior, num_views=4)[:, :3],
    )
    torch.testing.assert_close(masked, three, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(unmasked, three, atol=1e-3)


@torch.no_grad()
def predict(prior: nn.Module, num_views: int, present: Tensor | None = None) -> Tensor:
    """Clean embeddings of the first views of one made-up person; the fourth is a loud one."""
    generator = torch.Generator().manual_seed(0)
    noisy, reference = torch.randn(2, 1, 4, factory.APPEARANCE, generator=generator)
    pose = torch.rand(1, 4, 36, generator=generator)
    given = {"pose": pose, "reference_appearance": reference}
    return prior(
        noisy[:, :num_views],
        300,
        visible=torch.tensor([[True, False, False, True]])[:, :num_views],
        present=present,
        **{name: value[:, :num_views] for name, value in given.items()},
    )


@pytest.mark.parametrize(("rows", "cols"), [(1, 2), (1, 3)])
@pytest.mark.parametrize("kind", ["prior", "denoiser"])
def test_defect_25_grids_need_not_have_four_cells(
    world: Path, kind: str, rows: int, cols: int
) -> None:
    grid = {"grid_rows": rows, "grid_cols": cols, "visibility": VisibilityConfig(max_references=1)}
    stage, batch = build(world, kind, data=grid)
    assert batch.images.shape[:2] == (4, rows * cols)
    assert loss(stage, batch).per_sample.isfinite().all()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("num_views", [1, 3, 5])
def test_defect_25_the_prior_takes_any_number_of_people_and_views(
    batch: int, num_views: int
) -> None:
    visible = torch.arange(num_views).eq(0).repeat(batch, 1)
    found = predict_appearance(
        factory.build_prior(),
        build_prior_scheduler(),
        pose=torch.rand(batch, num_views, 36),
        reference_appearance=torch.randn(batch, num_views, factory.APPEARANCE),
        visible=visible,
        num_steps=2,
        noise=KeyedNoise(torch.arange(batch)),
    )
    assert found.embeddings.shape == (batch, num_views, factory.APPEARANCE)
    assert found.embeddings.isfinite().all()


@pytest.mark.parametrize(("rows", "cols"), [(1, 2), (1, 3), (2, 3)])
def test_defect_25_motion_takes_other_grids(rows: int, cols: int) -> None:
    motion = denoiser_factory.MOTION
    denoiser = denoiser_factory.build(motion, grid_rows=rows, grid_cols=cols)
    denoiser_factory.randomise(denoiser.motion)
    inputs = denoiser_factory.conditions(views=rows * cols)
    noisy = denoiser_factory.noisy_grid(height=8 * rows, width=4 * cols)
    with torch.no_grad():
        found = denoiser(noisy, denoiser_factory.TIMESTEPS, **inputs)
    assert found.shape == noisy.shape and found.isfinite().all()


@pytest.mark.parametrize(("rows", "cols"), [(1, 3), (2, 2), (2, 3)])
def test_defect_25_a_motion_module_takes_cells_of_odd_sizes(rows: int, cols: int) -> None:
    grid = GridShape(rows=rows, cols=cols)
    motion = denoiser_factory.randomise(ViewMotion(8, grid, num_heads=2, norm_num_groups=4))
    views = torch.randn(1, grid.num_views, 8, 5, 3, generator=torch.Generator().manual_seed(0))
    other = views.clone()
    other[:, 0] = other[:, 0].flip(-1)
    with torch.no_grad():
        before, after = (from_grid(motion(to_grid(v, grid)), grid) for v in (views, other))
    assert before.shape == views.shape
    assert ((before - after).abs().amax(dim=(2, 3, 4)) > 1e-3).all(), "each cell hears the first"


def test_defect_25_sizes_that_cannot_be_halved_are_refused_in_words(world: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.height is 34; .* need a multiple of 4"):
        build(world, "motion", data={"height": 34})
    denoiser = denoiser_factory.build(denoiser_factory.MOTION)
    told = denoiser.condition(**denoiser_factory.conditions(height=9))
    with pytest.raises(ConfigError, match=r"a view's latent is 9 x 4; .* a multiple of 2"):
        denoiser.predict(denoiser_factory.noisy_grid(height=18), denoiser_factory.TIMESTEPS, told)
    with pytest.raises(DataError, match="found 4 views a person, the model's grid has 2"):
        parts = factory.components() | {"denoiser": factory.build_denoiser(grid_rows=1)}
        type(painter())(**parts).generate(factory.batch([1]), num_steps=1)
