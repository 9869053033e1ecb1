"""Guidance in the image pipeline: it has an effect, is affine, and costs nothing at scale 1."""

import pipeline_factory as factory
import pytest
import torch

from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.noise import KeyedNoise
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
