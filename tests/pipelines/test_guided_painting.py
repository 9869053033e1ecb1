"""Guidance in the image pipeline: it has an effect, is affine, and costs nothing at scale 1."""

import pipeline_factory as factory
import pytest
import torch
from diffusers import DDIMScheduler

from jcdm.grid import to_grid
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.noise import KeyedNoise
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.pipelines.sequence import JCDMSequencePipeline

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


def test_guidance_has_an_effect_and_is_affine_in_the_scale(pipe):
    batch, noise = factory.batch([1, 2]), KeyedNoise(torch.tensor([1, 2]))
    options = [
        SamplingOptions(num_steps=1, prior_steps=2, guidance_scale=s) for s in (0, 1, 2, 3.5)
    ]
    zero, one, two, more = (pipe.paint(batch, noise, o)[1] for o in options)
    assert not torch.allclose(one, two, atol=1e-3)
    torch.testing.assert_close(two, zero + 2 * (one - zero), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(more, zero + 3.5 * (one - zero), atol=1e-4, rtol=1e-4)


def test_guiding_the_pose_too_has_an_effect(pipe):
    kept, guided = (paint(pipe, guide_pose=flag) for flag in (False, True))
    assert not torch.allclose(kept, guided, atol=1e-3)
    assert torch.equal(
        paint(pipe, guidance_scale=1, guide_pose=True), paint(pipe, guidance_scale=1)
    )


def test_prior_guidance_has_an_effect(pipe):
    plain, guided = (
        pipe(*factory.person(1), seed=0, prior_guidance=g, **FAST).embeddings for g in (1.0, 3.0)
    )
    assert not torch.allclose(plain, guided, atol=1e-4)


@pytest.mark.parametrize(("scale", "num_rows"), [(1.0, 2), (2.0, 4)])
def test_only_guidance_doubles_the_batch(pipe, scale, num_rows):
    seen = []
    hook = pipe.denoiser.unet.register_forward_pre_hook(
        lambda _, inputs: seen.append(len(inputs[0]))
    )
    pipe.generate(factory.batch([1, 2]), guidance_scale=scale, num_steps=3, prior_steps=2)
    hook.remove()
    assert seen == [num_rows] * 3


def rows_a_step(pipe, people=(1, 2), **options):
    """Number of grids that the U-Net sees at each step, and the painted pictures."""
    seen = []
    hook = pipe.denoiser.unet.register_forward_pre_hook(
        lambda _, inputs: seen.append(len(inputs[0]))
    )
    settings = {"preset": "exact", "num_steps": 4, "prior_steps": 2} | options
    images = pipe.generate(factory.batch(list(people)), **settings).images
    hook.remove()
    return seen, images


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [4, 4, 4, 4]),
        ({"guidance_scale": 1.0, "guidance_kept": 0.3}, [2, 2, 2, 2]),
        ({"guidance_end": 0.5}, [4, 4, 2, 2]),
        ({"guidance_start": 0.5}, [2, 2, 4, 4]),
        ({"guidance_start": 0.25, "guidance_end": 0.75}, [2, 4, 4, 2]),
        ({"guidance_start": 0.2, "guidance_end": 0.3}, [2, 4, 2, 2]),
        ({"guidance_start": 0.3, "guidance_end": 0.4}, [2, 2, 2, 2]),
        ({"guidance_kept": 0.2}, [4, 4, 4, 4]),
        ({"guidance_kept": 0.25}, [4, 4, 4, 4]),
        ({"guidance_kept": 0.3}, [4, 2, 4, 2]),
        ({"guidance_kept": 0.6}, [4, 2, 2, 4]),
        ({"guidance_kept": 0.3, "guidance_start": 0.25}, [2, 4, 2, 4]),
        ({"preset": "standard", "num_steps": 12}, [4, 2] * 6),
        ({"preset": "standard", "num_steps": 20}, [4, 2] * 10),
        ({"preset": "fast", "num_steps": 8}, [4, 2] * 4),
        ({"preset": "fast", "num_steps": 5}, [4] * 5),
        ({"sampler": "euler", "guidance_end": 0.5}, [4, 4, 2, 2]),
        ({"sampler": "unipc", "guidance_end": 0.5}, [4, 4, 2, 2]),
    ],
)
def test_the_batch_is_doubled_where_guidance_acts_alone(pipe, options, expected):
    for fixed_keys in (False, True):
        assert rows_a_step(pipe, fixed_keys=fixed_keys, **options)[0] == expected


def plain_loop(pipe, batch, options, guides):
    """Sample with guidance at the steps that `guides` names, written out once more."""
    denoiser, keys = pipe.denoiser, torch.tensor([1, 2])
    noise = KeyedNoise(keys)
    scheduler = DDIMScheduler(**{**pipe.scheduler.config})
    scheduler.set_timesteps(options.num_steps)
    given = {
        "embeddings": pipe.appearance(batch, noise, options),
        "visible": batch.visible,
        "present": batch.present,
        "pose_maps": batch.pose_maps,
        "reference_latents": pipe.reference_latents(batch),
    }
    drop = torch.ones(2, dtype=torch.bool)
    told = denoiser.condition(**given)
    untold = denoiser.condition(
        **given, drop_prior=drop, drop_pose=drop if options.guide_pose else None
    )
    views = noise.normal("latents", given["reference_latents"].shape[1:])
    latents = to_grid(views, denoiser.grid)
    for step, t in enumerate(scheduler.timesteps):
        prediction = denoiser.predict(latents, t.expand(2), told)
        if step in guides:
            null = denoiser.predict(latents, t.expand(2), untold)
            prediction = null + options.guidance_scale * (prediction - null)
        latents = scheduler.step(prediction, t, latents).prev_sample
    return latents


@pytest.mark.parametrize("guide_pose", [False, True])
@pytest.mark.parametrize(
    ("interval", "guides"), [((0.0, 1.0), range(4)), ((0.25, 0.75), (1, 2)), ((0.5, 1.0), (2, 3))]
)
def test_painting_equals_a_loop_written_out(pipe, guide_pose, interval, guides):
    batch, start_end = factory.batch([1, 2]), interval
    options = SamplingOptions(
        num_steps=4,
        prior_steps=2,
        guide_pose=guide_pose,
        guidance_start=start_end[0],
        guidance_end=start_end[1],
    )
    with torch.no_grad():
        expected = plain_loop(pipe, batch, options, set(guides))
        _, found = pipe.paint(batch, KeyedNoise(torch.tensor([1, 2])), options)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


def test_a_kept_direction_is_that_of_the_step_before(pipe):
    """With a direction that never changes, renewing it rarely paints the same."""
    batch, noise = factory.batch([1]), KeyedNoise(torch.tensor([1]))
    denoiser = pipe.denoiser
    inner = denoiser.predict
    calls = []

    def constant(noisy, timesteps, conditioning, **options):
        calls.append(len(noisy))
        whole = inner(noisy, timesteps, conditioning, **options)
        halves = whole.chunk(2) if len(noisy) == 2 else (whole,)
        return torch.cat([halves[0], halves[0] - 0.25]) if len(noisy) == 2 else whole

    denoiser.predict = constant
    try:
        often, rarely = (
            pipe.paint(batch, noise, SamplingOptions(num_steps=4, prior_steps=2, guidance_kept=k))
            for k in (0.0, 0.6)
        )
    finally:
        del denoiser.predict
    assert calls == [2] * 4 + [2, 1, 1, 2]
    torch.testing.assert_close(rarely[1], often[1], atol=1e-4, rtol=0)


@pytest.mark.parametrize("motion", [None, "views", "frames"])
@pytest.mark.parametrize("kind", [JCDMPipeline, JCDMSequencePipeline])
def test_fixed_keys_change_no_bit(kind, motion):
    parts = factory.components(None if motion is None else factory.MOTION | {"axis": motion})
    painter = kind(**parts)
    painter.set_progress_bar_config(disable=True)
    people = factory.person(1, 2, 2 if kind is JCDMPipeline else 5)
    settings = {"seed": 0, "output_type": "pt", "guidance_end": 0.5, "num_steps": 3}
    plain, kept = (
        painter(*people, **settings, prior_steps=2, preset="exact", fixed_keys=flag)
        for flag in (False, True)
    )
    assert torch.equal(*(next(iter(out.values())) for out in (plain, kept)))


def test_what_stays_the_same_is_computed_once_a_sample(pipe):
    denoiser, counts = pipe.denoiser, {}
    watched = {
        "pose features": denoiser.pose_guider,
        "tokens": denoiser.injector,
        "encoded": pipe.vae.encoder,
        "seen by CLIP": pipe.image_encoder.vision_model,
        "prior": pipe.prior,
    }
    names = [
        n for n, _ in denoiser.unet.named_modules() if n.endswith(("attn2.to_k", "attn2.to_v"))
    ]
    watched |= {name: denoiser.unet.get_submodule(name) for name in names}
    assert len(names) > 2
    pipe.generate(factory.batch([3]), num_steps=1, prior_steps=1)  # black pictures are kept
    hooks = [
        module.register_forward_pre_hook(
            lambda *_, name=name: counts.__setitem__(name, counts.get(name, 0) + 1)
        )
        for name, module in watched.items()
    ]
    settings = {"preset": "standard", "num_steps": 5, "prior_steps": 2}
    pipe.generate(factory.batch([1, 2]), **settings)
    for hook in hooks:
        hook.remove()
    assert counts == dict.fromkeys(watched, 1) | {"prior": 2}
