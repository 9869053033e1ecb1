"""Tiles, compiled blocks, offloading and small parts, each held to the plain path."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pipeline_factory as factory
import pytest
import torch
from PIL import Image
from torch import Tensor

from jcdm.data.synthetic import render_view
from jcdm.data.transforms import image_tensor
from jcdm.errors import ConfigError
from jcdm.models.encoders import FrozenVAE
from jcdm.pipelines import execution
from jcdm.pipelines.execution import place, vae_tiles
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.noise import GeneratorNoise
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.pipelines.sequence import JCDMSequencePipeline

FAST = {"num_steps": 3, "prior_steps": 2, "seed": 0, "output_type": "pt"}
TINY = Path(__file__).resolve().parents[2] / "assets" / "tiny"
SIDE = 8  # pixels: four cells of the factory's VAE, half the height of its views


def build(kind: Any = JCDMPipeline, **options: Any) -> Any:
    pipe = kind(**factory.components(), **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def pipe() -> JCDMPipeline:
    return build()


def decoded_shapes(pipe: Any) -> list[tuple[int, ...]]:
    """Shapes of what the VAE's decoder is given from now on."""
    seen: list[tuple[int, ...]] = []
    pipe.vae.decoder.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    return seen


@pytest.mark.parametrize("kind", [JCDMPipeline, JCDMSequencePipeline])
def test_tiles_bound_what_the_vae_sees_and_are_taken_away_again(kind: Any) -> None:
    pipe = build(kind)
    seen = decoded_shapes(pipe)
    whole = pipe(*factory.person(1), **FAST)
    assert {shape[-2:] for shape in seen} == {(8, 4)}
    seen.clear()
    tiled = pipe(*factory.person(1), vae_tile=SIDE, **FAST)
    assert {shape[0] for shape in seen} == {1}
    assert max(shape[-2] for shape in seen) == 4
    first, second = (next(iter(out.values())) for out in (whole, tiled))
    assert first.shape == second.shape and not torch.equal(first, second)
    assert not pipe.vae.use_tiling and not pipe.vae.use_slicing
    assert next(iter(pipe(*factory.person(1), **FAST).values())).equal(first)


def test_a_picture_that_fits_in_a_tile_is_not_cut(pipe: JCDMPipeline) -> None:
    """Slicing alone remains, which changes no number but by rounding."""
    whole, sliced = (pipe(*factory.person(1), vae_tile=t, **FAST).images for t in (None, 16))
    torch.testing.assert_close(sliced, whole, atol=1e-5, rtol=0)


def test_a_user_s_own_tiling_stays(pipe: JCDMPipeline) -> None:
    vae = factory.build_vae()
    vae.enable_tiling()
    with vae_tiles(vae, None):
        assert vae.use_tiling
    with vae_tiles(vae, SIDE):
        assert vae.tile_latent_min_size == SIDE // 2
    assert vae.use_tiling and not vae.use_slicing and vae.tile_latent_min_size == 8


def test_a_tile_without_a_whole_overlap_is_refused(pipe: JCDMPipeline) -> None:
    with pytest.raises(ConfigError, match="vae_tile is 12; expected a multiple of 8 pixels"):
        pipe(*factory.person(1), vae_tile=12, **FAST)


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_people_in_parts_are_painted_as_all_at_once(
    pipe: JCDMPipeline, scale: float, size: int
) -> None:
    """Also with one generator for all, whose numbers come in the batch's order."""
    batch = factory.batch([1, 2, 3])
    rows: list[int] = []
    hook = pipe.denoiser.unet.register_forward_pre_hook(lambda _, x: rows.append(len(x[0])))
    found = []
    for people_at_once in (None, size):
        rows.clear()
        options = SamplingOptions(
            num_steps=2, prior_steps=2, guidance_scale=scale, people_at_once=people_at_once
        )
        noise = GeneratorNoise(torch.Generator().manual_seed(1), 3)
        found.append(pipe.paint(batch, noise, options)[1])
    hook.remove()
    halves = 1 if scale == 1 else 2
    assert max(rows) == halves * min(size, 3)
    torch.testing.assert_close(*found, atol=1e-4, rtol=0)


def test_people_at_once_bounds_the_windows_of_a_sequence() -> None:
    pipe = build(JCDMSequencePipeline)
    rows: list[int] = []
    pipe.denoiser.unet.register_forward_pre_hook(lambda _, x: rows.append(len(x[0])))
    pipe(*factory.person(1, 2, 5), guidance_scale=1.0, people_at_once=1, **FAST)
    assert set(rows) == {1}
    pipe(*factory.person(1, 2, 5), guidance_scale=1.0, **FAST)
    assert max(rows) == 4


def paint(pipe: Any, **options: Any) -> Tensor:
    plain = {"guidance_scale": 1.0, "prior_steps": 2, "seed": 0, "output_type": "pt"}
    return pipe(
        *factory.person(1), **({"preset": "exact", "num_steps": 2} | plain | options)
    ).images


def test_compiled_blocks_paint_the_same_and_can_be_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graphs: list[Any] = []
    runs: list[int] = []

    def backend(graph: Any, _inputs: Any) -> Any:
        graphs.append(graph)
        return lambda *inputs: runs.append(1) or graph.forward(*inputs)

    monkeypatch.setattr(execution, "BACKEND", backend)
    pipe = build()
    plain = paint(pipe)
    torch.testing.assert_close(paint(pipe, compile=True), plain, atol=1e-5, rtol=0)
    num_graphs, num_runs = len(graphs), len(runs)
    assert num_graphs >= 5 and num_runs >= 2 * num_graphs, "residual and transformer blocks"
    again = paint(pipe, compile=True, fixed_keys=True)
    torch.testing.assert_close(again, plain, atol=1e-5, rtol=0)
    assert len(graphs) == num_graphs, "compiled anew for another sample's tokens"
    assert len(runs) == 2 * num_runs
    assert torch.equal(paint(pipe), plain)
    assert len(runs) == 2 * num_runs, "compiled blocks ran where they were not wanted"


@pytest.mark.slow
def test_inductor_paints_nearly_the_same() -> None:
    parts = factory.components(factory.MOTION)
    pipe = JCDMPipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    for options in ({}, {"guidance_scale": 2.0, "guidance_end": 0.5}):
        found, plain = (paint(pipe, compile=c, **options) for c in (True, False))
        torch.testing.assert_close(found, plain, atol=1e-3, rtol=0)


def test_a_machine_without_compiler_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution.shutil, "which", lambda _: None)
    with pytest.raises(ConfigError, match=r"no C\+\+ compiler was found; expected one of g\+\+"):
        paint(build(), compile=True)


def test_a_compiler_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_graph: Any, _inputs: Any) -> None:
        raise RuntimeError("no such\ninstruction")

    monkeypatch.setattr(execution, "BACKEND", broken)
    with pytest.raises(ConfigError, match=r"torch\.compile failed") as error:
        paint(build(), compile=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [JCDMPipeline, JCDMSequencePipeline])
def test_reduced_precision_is_the_u_net_s_alone_and_paints_nearly_the_same(kind: Any) -> None:
    pipe = build(kind)
    dtypes: dict[str, set[torch.dtype]] = {}
    watched = {"U-Net": pipe.denoiser.unet.mid_block.resnets[0], "VAE": pipe.vae.decoder}
    for name, module in watched.items():
        module.register_forward_hook(
            lambda _, __, out, name=name: dtypes.setdefault(name, set()).add(out.dtype)
        )
    plain = next(iter(pipe(*factory.person(1), **FAST).values()))
    assert dtypes == {"U-Net": {torch.float32}, "VAE": {torch.float32}}
    dtypes.clear()
    reduced = next(iter(pipe(*factory.person(1), mixed_precision="bf16", **FAST).values()))
    assert dtypes == {"U-Net": {torch.bfloat16}, "VAE": {torch.float32}}
    assert pipe.denoiser.dtype == torch.float32, "the weights stay"
    assert 30 < psnr(2 * reduced, 2 * plain) < 90


def test_half_precision_without_a_gpu_is_refused(pipe: JCDMPipeline) -> None:
    with pytest.raises(ConfigError, match="mixed_precision is fp16, which needs a GPU"):
        pipe(*factory.person(1), mixed_precision="fp16", **FAST)


def test_offloading_waits_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    pipe = SimpleNamespace(enable_model_cpu_offload=lambda device: calls.append(device))
    wanted = SamplingOptions.preset("low-memory")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    place(pipe, wanted)
    assert not calls
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    place(pipe, SamplingOptions.preset("standard"))
    assert not calls
    place(pipe, wanted)
    assert calls == ["cuda"]


def test_a_large_view_in_tiles_stays_near_the_whole_one() -> None:
    """The stated tolerance, with the shipped VAE: views of 256 x 192 in tiles of 128 pixels."""
    vae = FrozenVAE.from_folder(TINY / "vae")
    view = render_view(seed=977, identity=1, view=0, size=(256, 192))
    truth = image_tensor(Image.fromarray(view.image))[None]
    latents = vae.mean_latents(vae.encode(truth))
    whole = vae.decode(latents)
    with vae_tiles(vae.model, 128):
        tiled, in_tiles = vae.decode(latents), vae.mean_latents(vae.encode(truth))
    assert psnr(tiled, whole) > 35
    assert psnr(tiled, truth) > psnr(whole, truth) - 1.5
    assert 0 < (in_tiles - latents).square().mean().sqrt() < 0.1 * latents.std()


def psnr(found: Tensor, expected: Tensor) -> float:
    """PSNR in dB of pictures in [-1,1]."""
    return (10 * torch.log10(4 / (found - expected).square().mean())).item()
