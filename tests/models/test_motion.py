import copy

import pytest
import torch
from denoiser_factory import FRAMES, MOTION, TIMESTEPS, UNET, build, noisy_grid, randomise
from torch import nn

from jcdm.config import MotionConfig
from jcdm.errors import ConfigError
from jcdm.grid import GridShape, from_grid, to_grid
from jcdm.models.motion import MotionModules, ViewMotion
from jcdm.models.unet import build_unet, unet_config_dict

SMALL = {"num_heads": 2, "norm_num_groups": 4, "max_positions": 6}


def view_motion(grid=None, **options):
    torch.manual_seed(0)
    motion = ViewMotion(8, grid or GridShape(), **(SMALL | options))
    nn.init.normal_(motion.proj_out.weight)
    return motion.eval()


def features(batch=1, height=8, width=12):
    return torch.randn(batch, 8, height, width, generator=torch.Generator().manual_seed(3))


def slow_view_motion(motion, x, grid):
    """Compute the module one pixel at a time."""
    views = from_grid(x, grid)
    out = torch.zeros_like(views)
    for b, v in [(b, v) for b in range(views.shape[0]) for v in range(views.shape[1])]:
        out[b, v] = motion.norm(views[b, v : v + 1])[0]
    for b, i, j in torch.cartesian_prod(*map(torch.arange, (x.shape[0], *views.shape[-2:]))):
        tokens = motion.block(motion.proj_in(out[b, :, :, i, j])[None])
        out[b, :, :, i, j] = motion.proj_out(tokens)[0]
    return x + to_grid(out, grid)


@pytest.mark.parametrize(("rows", "cols"), [(2, 2), (1, 3), (2, 3)])
def test_it_equals_the_slow_way(rows, cols):
    grid = GridShape(rows=rows, cols=cols)
    motion, x = view_motion(grid), features(batch=2)
    with torch.no_grad():
        torch.testing.assert_close(motion(x), slow_view_motion(motion, x, grid))


@pytest.mark.parametrize("axis", ["views", "frames"])
def test_a_fresh_module_is_the_identity(axis):
    x = features(batch=2)
    assert torch.equal(ViewMotion(8, GridShape(), axis=axis, **SMALL)(x), x)


def test_a_pixel_reaches_its_own_place_in_every_view_only():
    motion, x = view_motion(), features().requires_grad_()
    motion.norm = nn.Identity()
    from_grid(motion(x), GridShape())[0, 3, :, 1, 2].sum().backward()
    reached = from_grid(x.grad, GridShape())[0].abs().sum(1) > 0
    expected = torch.zeros_like(reached)
    expected[:, 1, 2] = True
    assert torch.equal(reached, expected)


def test_frames_mix_each_pixel_of_the_whole_grid():
    motion, x = view_motion(axis="frames"), features(batch=6).requires_grad_()
    motion.norm, motion.num_frames = nn.Identity(), 3
    motion(x)[4, :, 5, 7].sum().backward()
    reached = x.grad.abs().sum(1) > 0
    expected = torch.zeros_like(reached)
    expected[3:, 5, 7] = True
    assert torch.equal(reached, expected)


def test_the_norm_is_a_view_at_a_time():
    motion, x = view_motion(), features()
    louder = from_grid(x, GridShape()).clone()
    louder[:, 2] = 5 * louder[:, 2] + 1
    louder = to_grid(louder, GridShape())
    torch.testing.assert_close(motion(louder) - louder, motion(x) - x, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("attention_levels", [(True, False), (False, True)])
def test_every_pair_of_every_block_is_hooked(attention_levels):
    config = unet_config_dict(UNET, 4) | {"layers_per_block": 2}
    kinds = ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attention_levels]
    config |= {
        "down_block_types": kinds,
        "up_block_types": [k.replace("Down", "Up") for k in kinds[::-1]],
    }
    unet = build_unet(config)
    motion = MotionModules(unet, GridShape(), MotionConfig(**MOTION))
    motion.attach(unet)
    hooked = {name for name, layer in unet.named_modules() if layer._forward_hooks}
    expected = {"mid_block.attentions.0"}
    for side, flags in (("down", attention_levels), ("up", attention_levels[::-1])):
        for index, flag in enumerate(flags):
            kind = "attentions" if flag else "resnets"
            places = range(2 if side == "down" else 3)
            expected |= {f"{side}_blocks.{index}.{kind}.{place}" for place in places}
    assert hooked == expected
    assert len([m for m in motion.modules() if isinstance(m, ViewMotion)]) == len(expected)


def run(denoiser, sample):
    tokens = torch.randn(2, 3, 12, generator=torch.Generator().manual_seed(5))
    rest = torch.zeros(2, 4 + 1 + 8, *sample.shape[-2:])
    return denoiser.unet(torch.cat([sample, rest], dim=1), TIMESTEPS, tokens).sample


def gradients(denoiser):
    denoiser.zero_grad()
    run(denoiser, noisy_grid()).square().mean().backward()
    return {n: p.grad.clone() for n, p in denoiser.named_parameters() if p.grad is not None}


def test_activation_checkpointing_gives_the_same_gradients():
    denoiser = build(MOTION).train()
    randomise(denoiser.motion)
    plain = gradients(denoiser)
    denoiser.enable_gradient_checkpointing()
    assert all(m.gradient_checkpointing for m in denoiser.modules() if isinstance(m, ViewMotion))
    counted = []
    denoiser.motion.mid_block.register_forward_pre_hook(lambda *_: counted.append(1))
    checkpointed = gradients(denoiser)
    assert len(counted) == 2, "the motion module was not computed again in the backward pass"
    assert plain.keys() == checkpointed.keys()
    assert any(key.startswith("motion.") for key in plain)
    for key, gradient in plain.items():
        torch.testing.assert_close(checkpointed[key], gradient)


def test_checkpointed_frames_find_their_number_again():
    denoiser = build(FRAMES).train()
    randomise(denoiser.motion)
    denoiser.motion.set_num_frames(2)
    plain = gradients(denoiser)
    denoiser.enable_gradient_checkpointing()
    for key, gradient in gradients(denoiser).items():
        torch.testing.assert_close(gradient, plain[key])


def test_a_copy_of_a_denoiser_uses_its_own_motion_modules():
    original = build(MOTION)
    randomise(original.motion)
    twin = copy.deepcopy(original)
    before = run(original, noisy_grid())
    nn.init.zeros_(original.motion.mid_block.proj_out.weight)
    assert torch.equal(run(twin, noisy_grid()), before)
    assert not torch.allclose(run(original, noisy_grid()), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axis": "time"}, "motion.axis is 'time', expected one of views, frames"),
        ({"max_positions": 3}, r"grid of 4 cells, expected 2 to motion\.max_positions \(3\)"),
        ({"norm_num_groups": 3}, r"level has 8 channels.*motion\.norm_num_groups \(3\)"),
        ({"num_legs": 3}, r"MotionConfig's fields.*'num_legs'"),
        ({"num_heads": 3}, r"level has 8 channels.*motion\.num_heads \(3\)"),
    ],
)
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        build(MOTION | change)


def test_one_view_has_nothing_to_attend_across():
    with pytest.raises(ConfigError, match="grid of 1 cells, expected 2"):
        build(MOTION, grid_rows=1, grid_cols=1)


@pytest.mark.parametrize("num_frames", [0, 7])
def test_frames_must_fit_the_position_table(num_frames):
    with pytest.raises(ConfigError, match=rf"found {num_frames} frames.*max_positions \(6\)"):
        build(FRAMES).motion.set_num_frames(num_frames)
