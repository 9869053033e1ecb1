"""Sampling of the appearance prior, and its pipeline."""

import pipeline_factory as factory
import pytest
import torch

from jcdm.diffusion.schedule import build_prior_scheduler
from jcdm.errors import CheckpointError, ConfigError, DataError
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.noise import KeyedNoise
from jcdm.pipelines.prior import JCDMPriorPipeline, predict_appearance

KEYS = torch.tensor([3, 4])


@pytest.fixture(scope="module")
def prior():
    return factory.build_prior()


@pytest.fixture(scope="module")
def pipe():
    parts = factory.components()
    names = ("image_encoder", "prior", "prior_scheduler", "height", "width")
    return JCDMPriorPipeline(**{name: parts[name] for name in names})


def conditions(batch=2):
    generator = torch.Generator().manual_seed(0)
    return {
        "pose": torch.rand(batch, 4, 36, generator=generator),
        "reference_appearance": torch.randn(batch, 4, 10, generator=generator),
        "visible": torch.tensor([True, True, False, False]).repeat(batch, 1),
        "present": torch.ones(batch, 4, dtype=torch.bool),
    }


def predict(prior, given, **options):
    options = {"num_steps": 4, "noise": KEYS} | options
    return predict_appearance(prior, build_prior_scheduler(), **given, **options).embeddings


def test_keys_decide_and_the_batch_does_not(prior):
    given = conditions()
    together = predict(prior, given)
    second = {name: value[1:] for name, value in given.items()}
    torch.testing.assert_close(predict(prior, second, noise=KEYS[1:])[0], together[1])
    assert torch.equal(predict(prior, given), together)
    assert not torch.equal(predict(prior, given, noise=KEYS + 1), together)


def test_guidance_one_evaluates_once_a_step_and_two_doubles_the_batch(prior):
    seen = []
    hook = prior.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    plain = predict(prior, conditions())
    guided = predict(prior, conditions(), guidance=2.0)
    hook.remove()
    assert seen == [2] * 4 + [4] * 4
    assert not torch.allclose(plain, guided, atol=1e-3)


def test_guidance_is_affine_in_the_scale(prior):
    zero, one, three = (
        predict(prior, conditions(), guidance=g, num_steps=1) for g in (0.0, 1.0, 3.0)
    )
    torch.testing.assert_close(three, zero + 3 * (one - zero), atol=1e-4, rtol=1e-4)


def test_scale_zero_ignores_poses_and_references(prior):
    given = conditions()
    changed = given | {"pose": given["pose"] * 0.5, "reference_appearance": torch.zeros(2, 4, 10)}
    torch.testing.assert_close(
        predict(prior, given, guidance=0.0), predict(prior, changed, guidance=0.0)
    )
    assert not torch.allclose(predict(prior, given), predict(prior, changed), atol=1e-3)


def test_the_published_contrast_has_none_at_twice_the_cost(prior):
    seen = []
    hook = prior.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    plain = predict(prior, conditions())
    published = predict(prior, conditions(), guidance=3.0, contrast="published")
    hook.remove()
    assert seen == [2] * 4 + [4] * 4
    torch.testing.assert_close(published, plain)
    guided = predict(prior, conditions(), guidance=3.0, contrast="null")
    assert not torch.allclose(guided, plain, atol=1e-3)
    assert torch.equal(guided, predict(prior, conditions(), guidance=3.0))
    with pytest.raises(ConfigError, match="'none'; expected 'null' or 'published'"):
        predict(prior, conditions(), contrast="none")


def test_one_step_is_the_denormalised_prediction(prior):
    given = conditions()
    start = KeyedNoise(KEYS).normal("prior_start", (4, 10))
    with torch.no_grad():
        clean = prior(start, 999, **given).clamp(-10, 10)
    torch.testing.assert_close(predict(prior, given, num_steps=1), prior.denormalise(clean))


def test_the_result_says_it_is_a_prediction(prior):
    given = conditions()
    out = predict_appearance(prior, build_prior_scheduler(), **given, num_steps=1, noise=KEYS)
    assert out.source == "apm"
    assert not out.embeddings.requires_grad


def test_pipeline_predicts_references_and_targets(pipe):
    out = pipe(*factory.person(1, 2, 3), num_steps=3, seed=0)
    assert out.embeddings.shape == (1, 5, 10)
    assert out.visible.tolist() == [[True, True, False, False, False]]
    assert out.present.all()
    other = pipe(*factory.person(2, 2, 3), num_steps=3, seed=0)
    assert not torch.allclose(out.embeddings, other.embeddings, atol=1e-3)


def test_pipeline_agrees_with_the_image_pipeline(pipe):
    whole = JCDMPipeline(**factory.components())
    whole.set_progress_bar_config(disable=True)
    people = factory.person(1, 2, 2)
    image_side = whole(*people, seed=7, num_steps=1, prior_steps=3).embeddings
    torch.testing.assert_close(pipe(*people, seed=7, num_steps=3).embeddings, image_side)


def test_generate_follows_seed_and_key(pipe):
    together = pipe.generate(factory.batch([1, 2]), seed=1, num_steps=3).embeddings
    alone = pipe.generate(factory.batch([2]), seed=1, num_steps=3).embeddings
    other = pipe.generate(factory.batch([2]), seed=2, num_steps=3).embeddings
    torch.testing.assert_close(together[1:], alone)
    assert not torch.equal(alone, other)


def test_loads_from_its_own_folder_and_from_an_image_pipeline_s(pipe, tmp_path):
    people = factory.person(1)
    expected = pipe(*people, num_steps=2, seed=0).embeddings
    pipe.save_pretrained(tmp_path / "own")
    JCDMPipeline(**factory.components()).save_pretrained(tmp_path / "whole")
    for name in ("own", "whole"):
        loaded = JCDMPriorPipeline.from_pretrained(tmp_path / name)
        assert torch.equal(loaded(*people, num_steps=2, seed=0).embeddings, expected)
    with pytest.raises(CheckpointError, match="model_index"):
        JCDMPriorPipeline.from_pretrained(tmp_path)


def test_more_views_than_the_prior_was_built_for_are_refused(pipe):
    with pytest.raises(ConfigError, match="at most 16"):
        pipe(*factory.person(1, 2, 15), num_steps=2, seed=0)
    with pytest.raises(DataError, match="no reference"):
        pipe([], [], [], seed=0)
