"""Defects 10, 11, 12 (sampling's half), 26 and 29: what sampling was told, and what it cost."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pipeline_factory as factory
import pytest
import tiny_world
import torch
from defect_tools import FAST, listen, paint, painter, prior_pipeline
from diffusers import AutoencoderKL
from test_stages import build
from transformers import CLIPVisionModelWithProjection

from jcdm.config import Config, ScheduleConfig
from jcdm.diffusion.schedule import build_denoiser_scheduler, published_sampling
from jcdm.errors import ConfigError
from jcdm.evaluation.stage_tests import TESTS
from jcdm.pipelines import JCDMPipeline, JCDMSequencePipeline
from jcdm.records import Batch

PAINTERS = (JCDMPipeline, JCDMSequencePipeline)


def test_defect_10_guidance_of_the_prior_has_an_effect() -> None:
    pipeline = prior_pipeline()
    calls = listen(pipeline.prior)
    plain, guided = (
        pipeline(*factory.person(1), num_steps=3, seed=0, guidance=scale).embeddings
        for scale in (1.0, 2.0)
    )
    assert not torch.allclose(plain, guided, atol=1e-3), "are both halves conditioned alike?"
    assert [len(args[0]) for args, _ in calls] == [1] * 3 + [2] * 3, "no guidance, half the cost"
    painting = painter()
    plain, guided = (
        painting(*factory.person(1), seed=0, prior_guidance=scale, **FAST).embeddings
        for scale in (1.0, 2.0)
    )
    assert not torch.allclose(plain, guided, atol=1e-3)


def test_defect_11_a_pipeline_samples_with_the_levels_its_run_trained_on(
    world: Path, packed: tuple[Config, Path]
) -> None:
    config, folder = packed
    stage, _ = build(world, "denoiser", schedule={"beta_end": config.schedule.beta_end})
    pipeline = JCDMPipeline.from_pretrained(folder)
    trained, sampled = stage.scheduler.alphas_cumprod, pipeline.scheduler.alphas_cumprod
    assert torch.equal(trained, sampled)
    default = build_denoiser_scheduler(ScheduleConfig())
    assert not torch.allclose(trained, default.alphas_cumprod, atol=1e-3), "the default would do"
    assert default.alphas_cumprod[500].item() == pytest.approx(0.241, abs=1e-3)


@pytest.mark.parametrize("kind", PAINTERS)
def test_defect_11_a_schedule_that_was_not_trained_is_refused(kind: type) -> None:
    pipeline = painter(kind)
    pipeline.scheduler = published_sampling()
    assert pipeline.scheduler.alphas_cumprod[500].item() == pytest.approx(0.142, abs=1e-3)
    with pytest.raises(ConfigError, match="other noise levels than the model was trained with"):
        paint(pipeline)


@pytest.mark.parametrize("guide_pose", [False, True])
@pytest.mark.parametrize("kind", PAINTERS)
def test_defect_12_sampling_guides_against_the_null_of_training(
    kind: type, guide_pose: bool
) -> None:
    pipeline = painter(kind)
    denoiser = pipeline.denoiser
    calls = listen(denoiser.unet)
    paint(pipeline, guide_pose=guide_pose, guidance_scale=2.0)
    null = denoiser.injector.null_tokens(1, denoiser.grid.num_views)
    assert null.abs().min() > 0, "learned, not zero"
    for (sample, _), options in calls:
        given, dropped = options["encoder_hidden_states"].chunk(2)
        assert torch.equal(dropped, null) and not torch.equal(given, null)
        channels = denoiser.unet.conv_in.out_channels
        with_pose, without = (half[:, -channels:] for half in sample.chunk(2))
        assert with_pose.abs().max() > 0
        assert torch.equal(without, torch.zeros_like(without) if guide_pose else with_pose)


def test_defect_26_several_people_a_call_and_none_depends_on_the_others() -> None:
    pipeline = prior_pipeline()
    people = [factory.person(1, 1, 2), factory.person(2, 2, 2), factory.person(3, 3, 1)]
    together = pipeline(*map(list, zip(*people, strict=True)), num_steps=3, seed=[4, 5, 6])
    assert together.visible.sum(1).tolist() == [1, 2, 3]
    for number in (2, 0, 1):  # the generator of one person is no other's
        alone = pipeline(*people[number], num_steps=3, seed=4 + number)
        count = alone.embeddings.shape[1]
        torch.testing.assert_close(
            together.embeddings[number, :count], alone.embeddings[0], atol=1e-5, rtol=1e-4
        )


def test_defect_26_a_result_does_not_depend_on_what_was_painted_before() -> None:
    pipeline = painter()
    first = paint(pipeline, factory.person(1))
    paint(pipeline, factory.person(2), num_steps=3)
    assert torch.equal(paint(pipeline, factory.person(1)), first)
    batch = factory.batch([1, 2])
    forward = pipeline.generate(batch, seed=1, **FAST).images
    backward = pipeline.generate(_reversed(batch), seed=1, **FAST).images.flip(0)
    assert (forward.int() - backward.int()).abs().max() <= 1


def _reversed(batch: Batch) -> Batch:
    names = ("images", "clip_pixels", "pose_maps", "keypoints", "keys")
    turned = {name: getattr(batch, name).flip(0) for name in names}
    return replace(batch, **turned, subjects=batch.subjects[::-1])


def test_defect_26_which_views_are_hidden_is_free() -> None:
    pipeline = painter()
    patterns = [p for p in product([False, True], repeat=4) if 0 < sum(p) < 4]
    batch = factory.batch([7] * len(patterns))
    batch = replace(batch, visible=torch.tensor(patterns))
    painted = pipeline.generate(batch, **FAST).images
    given = ((batch.images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    kept = (painted == given).flatten(2).all(-1)
    assert torch.equal(kept, batch.visible), "references are kept, all other cells painted"


def test_defect_29_the_prior_encodes_references_and_one_black_image_in_its_life() -> None:
    pipeline = prior_pipeline()
    calls = listen(pipeline.image_encoder)
    counts = []
    for number in (1, 2, 3):
        calls.clear()
        pipeline(*factory.person(number, 2, 2), num_steps=2, seed=0, guidance=2.0)
        counts.append(sum(len(options["pixel_values"]) for _, options in calls))
    assert counts == [2 + 1, 2, 2]


@pytest.mark.parametrize("stage", ["prior", "images", "sequence"])
def test_defect_29_a_test_loads_each_encoder_once(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_world.save_pipeline(tmp_path / "pipeline")
    index = tiny_world.save_people(tmp_path / "people", num_people=2, num_views=5)
    loaded: list[str] = []
    for kind in (CLIPVisionModelWithProjection, AutoencoderKL):
        inner = kind.from_pretrained

        def counted(*args: object, inner=inner, name=kind.__name__, **options: object) -> object:
            loaded.append(name)
            return inner(*args, **options)

        monkeypatch.setattr(kind, "from_pretrained", counted)
    TESTS[stage](tiny_world.make_config(tmp_path / "out", index, folder, prior_steps=1))
    encoders = 1 if stage == "prior" else 2
    assert len(loaded) == len(set(loaded)) == encoders, loaded
