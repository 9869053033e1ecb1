"""Sizes hold what they promise: the encoders' share of a published step, and countable parts."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from jcdm.bench.flops import count_flops, matmul_rate, published_flops, step_flops
from jcdm.bench.models import build_clip, build_stage, build_vae, cached_batch, random_batch
from jcdm.bench.sizes import ENCODER_SHARES, MID, TINY, find_size
from jcdm.errors import ConfigError
from jcdm.training.stages.denoiser import DenoiserStage

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["prior", "denoiser"])
def test_encoders_of_mid_have_their_share_of_a_published_step(kind: str) -> None:
    encoders, whole = published_flops(step_flops(MID, kind, published=True), kind)
    assert encoders / whole == pytest.approx(ENCODER_SHARES[kind], abs=0.02)


def test_mid_is_the_size_that_goals_are_set_for() -> None:
    assert MID.unet.block_out_channels == (64, 128, 256, 256)
    assert (MID.unet.layers_per_block, MID.unet.cross_attention_dim) == (2, 768)
    assert (MID.prior.num_heads, MID.prior.head_dim, MID.prior.num_layers) == (8, 64, 10)
    sizes = MID.encoder_sizes("denoiser")
    assert (2 * MID.height // sizes.factor, 2 * MID.width // sizes.factor) == (32, 32)
    assert (MID.batch_size, MID.prior_batch_size) == (2, 8)


def test_operations_are_those_of_the_formulas() -> None:
    linear = nn.Linear(8, 16, device="meta")
    assert count_flops(lambda: linear(torch.empty(4, 8, device="meta"))) == 2 * 4 * 8 * 16
    convolution = nn.Conv2d(3, 5, 3, padding=1, device="meta")
    found = count_flops(lambda: convolution(torch.empty(2, 3, 7, 7, device="meta")))
    assert found == 2 * 2 * 7 * 7 * 5 * 3 * 9
    query = torch.empty(1, 2, 10, 8, device="meta")
    attend = nn.functional.scaled_dot_product_attention
    assert count_flops(lambda: attend(query, query, query)) == 2 * (2 * 2 * 10 * 10 * 8)


def test_a_trained_step_takes_three_passes_and_a_frozen_one_less() -> None:
    whole, motion = (step_flops(TINY, kind) for kind in ("denoiser", "motion"))
    assert whole.trained == pytest.approx(3 * whole.forward, rel=0.05)
    assert motion.trained < 2.7 * motion.forward


def test_published_steps_embed_twelve_and_four_pictures() -> None:
    flops = step_flops(TINY, "prior")
    assert published_flops(flops, "prior")[0] == 12 * flops.clip
    assert published_flops(flops, "motion")[0] == 2 * flops.vae_grid + 4 * flops.clip


def test_the_matrix_rate_is_that_of_a_machine() -> None:
    assert 1e8 < matmul_rate(CPU, torch.float32, num_repeats=1) < 1e15


def test_a_cached_batch_gives_the_loss_of_its_pictures() -> None:
    for kind in ("prior", "denoiser"):
        stage = build_stage(TINY, kind, CPU)
        stage.module.eval()
        batch = random_batch(TINY, kind)
        known = cached_batch(stage, batch)
        assert known.images.numel() == known.clip_pixels.numel() == 0
        with torch.no_grad():
            plain, cached = stage.step(batch).loss, stage.step(known).loss
        torch.testing.assert_close(cached, plain, rtol=1e-4, atol=1e-5)


def test_the_published_recipe_is_asked_no_prior_and_sees_whole_grids() -> None:
    stage = build_stage(TINY, "denoiser", CPU, published=True)
    assert isinstance(stage, DenoiserStage)
    assert stage.prior is None and stage.config.encoders.layout == "grid"
    assert stage.config.jci.kind == "linear"


def test_encoders_have_the_sizes_that_are_promised() -> None:
    vae, clip = (build(TINY) for build in (_vae, _clip))
    sizes = TINY.encoder_sizes("denoiser")
    assert (vae.factor, vae.latent_channels) == (sizes.factor, sizes.latent_channels)
    assert (clip.image_size, clip.width) == (sizes.clip_size, sizes.width)


def _vae(size):
    return build_vae(size, CPU, torch.float32)


def _clip(size):
    return build_clip(size, "denoiser", CPU, torch.float32)


def test_an_unknown_size_is_named() -> None:
    with pytest.raises(ConfigError, match="'huge'; expected one of tiny, mid, full"):
        find_size("huge")


def test_a_size_with_patches_is_counted_and_cached() -> None:
    jci = replace(TINY.jci, patch_grid=2)
    size = replace(TINY, jci=jci)
    assert step_flops(size, "denoiser").forward > step_flops(TINY, "denoiser").forward
    stage = build_stage(size, "denoiser", CPU)
    stage.module.eval()
    batch = random_batch(size, "denoiser")
    known = cached_batch(stage, batch)
    assert known.reference_patches is not None
    with torch.no_grad():
        plain, cached = stage.step(batch).loss, stage.step(known).loss
    torch.testing.assert_close(cached, plain, rtol=1e-4, atol=1e-5)
    assert build_stage(size, "denoiser", CPU, published=True).config.jci.patch_grid == 0
