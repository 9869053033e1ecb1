"""The image pipeline: guidance, seeds, batches, references, outputs and refusals."""

import numpy as np
import pipeline_factory as factory
import pytest
import torch
from PIL import Image

from jcdm.diffusion import schedule
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.noise import KeyedNoise
from jcdm.pipelines.outputs import to_uint8
from jcdm.pipelines.sampling import SamplingOptions

FAST = {"num_steps": 2, "prior_steps": 2}


@pytest.fixture(scope="module")
def pipe() -> JCDMPipeline:
    pipeline = JCDMPipeline(**factory.components())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def paint(pipe, seed=0, who=1, **options):
    """Tensor of one person's targets (N,3,H,W)."""
    people = factory.person(who)
    return pipe(*people, seed=seed, output_type="pt", **(FAST | options)).images


def test_returns_one_picture_a_target_pose(pipe):
    out = pipe(*factory.person(1), seed=0, **FAST)
    assert [image.size for image in out.images] == [(8, 16)] * 2
    assert out.grids is None
    assert out.embeddings.shape == (1, 4, 10)


def test_output_types_hold_the_same_picture(pipe):
    people = factory.person(1)
    pil, array, tensor = (
        pipe(*people, seed=0, output_type=kind, output_grid=True, **FAST)
        for kind in ("pil", "np", "pt")
    )
    assert array.images.shape == (2, 16, 8, 3)
    assert tensor.images.shape == (2, 3, 16, 8)
    assert array.grids.shape == (1, 32, 16, 3)
    assert pil.grids[0].size == (16, 32)
    np.testing.assert_array_equal(array.images, tensor.images.permute(0, 2, 3, 1).numpy())
    rounded = (array.images[1] * 255).round().astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(pil.images[1]), rounded)
    np.testing.assert_allclose(array.grids[0, 16:, 8:], array.images[1], atol=1e-5)


def test_the_same_seed_paints_the_same_and_another_differently(pipe):
    assert torch.equal(paint(pipe, seed=3), paint(pipe, seed=3))
    assert not torch.allclose(paint(pipe, seed=3), paint(pipe, seed=4), atol=1e-3)


def test_without_seed_torch_s_global_generator_decides(pipe):
    torch.manual_seed(0)
    first, second = paint(pipe, seed=None), paint(pipe, seed=None)
    torch.manual_seed(0)
    assert torch.equal(paint(pipe, seed=None), first)
    assert not torch.equal(first, second)


def test_a_generator_decides_and_is_used_up(pipe):
    generator = torch.Generator().manual_seed(1)
    first, second = (paint(pipe, seed=None, generator=generator) for _ in range(2))
    again = paint(pipe, seed=None, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_a_person_is_painted_alike_in_any_batch(pipe):
    alone = paint(pipe, seed=5, who=2)
    people = map(list, zip(factory.person(1), factory.person(2), factory.person(3), strict=True))
    together = pipe(*people, seed=5, output_type="pt", **FAST)
    assert len(together.images) == 3
    torch.testing.assert_close(together.images[1], alone, atol=1e-4, rtol=0)


def test_people_may_differ_in_their_numbers_of_references_and_targets(pipe):
    one, two = factory.person(1, 1, 3), factory.person(2, 3, 1)
    out = pipe(*map(list, zip(one, two, strict=True)), seed=0, **FAST)
    assert [len(images) for images in out.images] == [3, 1]


@pytest.mark.parametrize("name", ["ddpm", "euler_a", "lcm"])
def test_stochastic_samplers_also_paint_a_person_alike_in_any_batch(name):
    pipe = JCDMPipeline(**factory.components())
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = schedule.swap_scheduler(name, pipe.scheduler)
    alone = paint(pipe, seed=5, who=2, num_steps=3)
    people = map(list, zip(factory.person(1), factory.person(2), strict=True))
    together = pipe(*people, seed=5, output_type="pt", **(FAST | {"num_steps": 3}))
    torch.testing.assert_close(together.images[1], alone, atol=1e-3, rtol=0)


@pytest.mark.parametrize("which", [0, 1])
def test_changing_a_reference_changes_every_target(pipe, which):
    photos, given, poses = factory.person(1)
    before = pipe(photos, given, poses, seed=0, output_type="pt", **FAST).images
    photos[which] = factory.photo(999)
    after = pipe(photos, given, poses, seed=0, output_type="pt", **FAST).images
    changed = (before - after).abs().amax(dim=(1, 2, 3))
    assert (changed > 1e-3).all()


def test_changing_a_target_pose_changes_its_picture(pipe):
    photos, given, poses = factory.person(1)
    before = pipe(photos, given, poses, seed=0, output_type="pt", **FAST).images
    poses[0] = factory.pose(999)
    after = pipe(photos, given, poses, seed=0, output_type="pt", **FAST).images
    assert (before[0] - after[0]).abs().max() > 1e-3


def test_the_order_of_people_does_not_matter(pipe):
    forward = pipe.generate(factory.batch([1, 2, 3]), seed=1, **FAST)
    backward = pipe.generate(factory.batch([3, 2, 1]), seed=1, **FAST)
    gap = (forward.images.int() - backward.images.flip(0).int()).abs().max()
    assert gap <= 1
    assert forward.subjects == backward.subjects[::-1]


def test_generate_follows_seed_and_key_alone(pipe):
    together = pipe.generate(factory.batch([1, 2]), seed=1, **FAST)
    alone = pipe.generate(factory.batch([2]), seed=1, **FAST)
    other = pipe.generate(factory.batch([2]), seed=2, **FAST)
    assert (together.images[1].int() - alone.images[0].int()).abs().max() <= 1
    assert not torch.equal(alone.images, other.images)
    assert (together.seed, other.seed) == (1, 2)


def test_generate_keeps_references_and_absent_cells_and_decodes_only_targets(pipe, monkeypatch):
    batch = factory.batch([1, 2], num_absent=1)
    decoded = []
    inner = pipe.vae.decode
    monkeypatch.setattr(
        pipe.vae, "decode", lambda z, **options: decoded.append(len(z)) or inner(z, **options)
    )
    out = pipe.generate(batch, **FAST)
    assert sum(decoded) == 2
    expected = to_uint8(batch.images)
    assert torch.equal(out.images[:, :2], expected[:, :2])
    assert torch.equal(out.images[:, 3], expected[:, 3])
    assert not torch.equal(out.images[:, 2], expected[:, 2])
    painted = pipe.generate(batch, paint_references=True, **FAST)
    assert not torch.equal(painted.images[:, :2], expected[:, :2])


def test_the_prior_s_sources_differ_and_reach_the_painting(pipe):
    batch, noise = factory.batch([1]), KeyedNoise(torch.tensor([1]))
    outs = [
        pipe.paint(batch, noise, SamplingOptions(num_steps=1, prior_steps=2, prior_source=source))
        for source in ("apm", "oracle", "mean")
    ]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert (outs[one][0] - outs[other][0]).abs().max() > 1e-3
        assert not torch.equal(outs[one][1], outs[other][1])


def test_nothing_told_is_the_null_tokens_whatever_the_references_show(pipe):
    batch, noise = factory.batch([1, 2]), KeyedNoise(torch.tensor([1, 2]))
    options = SamplingOptions(num_steps=1, prior_steps=2, prior_source="none", guidance_scale=1.0)
    told = []
    condition = type(pipe.denoiser).condition

    def listen(self, **conditions):
        told.append(condition(self, **conditions))
        return told[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(pipe.denoiser), "condition", listen)
        pipe.paint(batch, noise, options)
    assert torch.equal(told[0].tokens, pipe.denoiser.injector.null_tokens(2, 4))


def test_mean_and_oracle_embeddings_are_what_their_names_say(pipe):
    batch, noise = factory.batch([1]), KeyedNoise(torch.tensor([1]))
    with torch.no_grad():
        views = pipe.image_encoder(batch.clip_pixels[0]).image_embeds
    oracle = pipe.appearance(batch, noise, SamplingOptions(prior_source="oracle"))
    mean = pipe.appearance(batch, noise, SamplingOptions(prior_source="mean"))
    torch.testing.assert_close(oracle[0], views)
    torch.testing.assert_close(mean[0, 3], views[:2].mean(0))


def test_targets_never_leak_into_their_own_painting(pipe):
    batch = factory.batch([1])
    changed = factory.batch([1])
    changed.images[:, 2:] = 0.3
    changed.clip_pixels[:, 2:] = 0.3
    one, two = (pipe.generate(b, **FAST) for b in (batch, changed))
    assert torch.equal(one.images[:, 2:], two.images[:, 2:])


def test_absent_cells_have_no_say(pipe):
    batch = factory.batch([1], num_absent=1)
    changed = factory.batch([1], num_absent=1)
    changed.images[:, 3] = 0.3
    changed.clip_pixels[:, 3] = 0.3
    one, two = (pipe.generate(b, **FAST) for b in (batch, changed))
    assert torch.equal(one.images[:, 2], two.images[:, 2])


def test_grid_layout_encodes_and_decodes_whole_grids():
    parts = factory.components()
    by_view, by_grid = (JCDMPipeline(**parts, layout=layout) for layout in ("view", "grid"))
    batch = factory.batch([1])
    views, grids = (p.reference_latents(batch) for p in (by_view, by_grid))
    assert views.shape == grids.shape == (1, 4, 4, 8, 4)
    assert not torch.allclose(views, grids, atol=1e-3)
    latents = torch.randn(1, 4, 16, 8)
    wanted = torch.tensor([[False, False, False, True]])
    with torch.no_grad():
        whole = by_grid.vae.decode(latents / by_grid.vae.config.scaling_factor).sample
        cell = by_grid.decode(latents, wanted)
    torch.testing.assert_close(cell[0], whole[0, :, 16:, 8:].clamp(-1, 1), atol=1e-5, rtol=0)


def test_callback_sees_each_step_may_change_latents_and_may_stop(pipe):
    seen = []

    def watch(pipeline, i, t, tensors):
        seen.append((i, int(t), tensors["latents"].shape))
        return {"latents": torch.zeros_like(tensors["latents"])}

    blank = paint(pipe, num_steps=2, callback_on_step_end=watch)
    assert seen == [(0, 999, (1, 4, 16, 8)), (1, 499, (1, 4, 16, 8))]
    torch.testing.assert_close(blank[0], blank[1], atol=1e-5, rtol=0)

    def stop(pipeline, i, t, tensors):
        seen.append(i)
        pipeline.interrupt = True

    seen.clear()
    paint(pipe, num_steps=4, callback_on_step_end=stop)
    assert seen == [0]
    assert paint(pipe).shape == (2, 3, 16, 8)


def test_motion_across_views_and_across_frames_paint():
    for axis in ("views", "frames"):
        pipe = JCDMPipeline(**factory.components(factory.MOTION | {"axis": axis}))
        pipe.set_progress_bar_config(disable=True)
        assert pipe.generate(factory.batch([1, 2]), **FAST).images.shape == (2, 4, 3, 16, 8)


def test_a_prior_with_clip_constants_is_given_black_and_white(pipe):
    parts = factory.components(prior=factory.build_prior(visibility_embedding="clip_constant"))
    other = JCDMPipeline(**parts)
    other.set_progress_bar_config(disable=True)
    assert other.generate(factory.batch([1]), **FAST).images.shape == (1, 4, 3, 16, 8)


def test_a_given_pose_map_replaces_the_drawn_one(pipe):
    photos, given, poses = factory.person(1)
    before = pipe(photos, given, poses, seed=0, output_type="pt", **FAST).images
    drawn = Image.new("RGB", (8, 16), (255, 0, 0))
    pairs = [(drawn, poses[0]), poses[1]]
    after = pipe(photos, given, pairs, seed=0, output_type="pt", **FAST).images
    assert (before[0] - after[0]).abs().max() > 1e-3


@pytest.mark.parametrize("name", list(schedule.SAMPLERS))
def test_every_allowed_sampler_paints(name):
    pipe = JCDMPipeline(**factory.components())
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = schedule.swap_scheduler(name, pipe.scheduler)
    out = paint(pipe, num_steps=4)
    assert out.isfinite().all()


def test_pictures_of_a_framed_model_come_without_bars():
    """The frame of an evaluation protocol stands between bars, which nobody wants to see."""
    framed = JCDMPipeline(**factory.components(), fit=f"{factory.HEIGHT}x{factory.WIDTH - 2}")
    plain = JCDMPipeline(**factory.components())
    found, whole = (
        pipeline(*factory.person(1), num_steps=2, prior_steps=2, seed=0, output_type="pt").images
        for pipeline in (framed, plain)
    )
    assert found.shape[-2:] == (factory.HEIGHT, factory.WIDTH - 2)
    assert whole.shape[-2:] == (factory.HEIGHT, factory.WIDTH)
