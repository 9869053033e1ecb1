"""What the image pipeline refuses, in one line each."""

import numpy as np
import pipeline_factory as factory
import pytest
import torch
from PIL import Image

from jcdm.diffusion import schedule
from jcdm.errors import ConfigError, DataError
from jcdm.pipelines.multiview import JCDMPipeline

FAST = {"num_steps": 2, "prior_steps": 2}


@pytest.fixture(scope="module")
def pipe() -> JCDMPipeline:
    pipeline = JCDMPipeline(**factory.components())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def call_with(pipe, change):
    names = ("references", "reference_keypoints", "target_poses")
    people = dict(zip(names, factory.person(1), strict=True))
    return pipe(**(people | FAST | {"seed": 0} | change(people)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: {"references": []}, "no reference photograph"),
        (lambda p: {"references": [[]], "reference_keypoints": [[]]}, "expected as many|no ref"),
        (lambda p: {"reference_keypoints": p["reference_keypoints"][:1]}, "2 references and 1"),
        (lambda p: {"target_poses": []}, "no target pose"),
        (
            lambda p: {
                "references": p["references"] * 2,
                "reference_keypoints": p["reference_keypoints"] * 2,
            },
            "4 references, but a grid of 2 x 2 has room for at most 3",
        ),
        (lambda p: {"target_poses": p["target_poses"] * 2}, "4 target poses.*2 cells left"),
        (lambda p: {"target_poses": [np.zeros((17, 2))]}, r"target pose 0.*\(17, 2\).*\(18, 2\)"),
        (lambda p: {"target_poses": [p["target_poses"][0] * 300]}, "divide x by"),
        (lambda p: {"target_poses": [Image.new("RGB", (8, 16))]}, "pose map alone"),
        (
            lambda p: {"target_poses": [(Image.new("RGB", (9, 16)), p["target_poses"][0])]},
            "9 x 16 pixels, expected 8 x 16",
        ),
    ],
)
def test_wrong_inputs_are_refused_in_one_line(pipe, change, words):
    with pytest.raises(DataError, match=words) as error:
        call_with(pipe, change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output_type": "jpg"}, "output_type is 'jpg'"),
        ({"prior_source": "oracle"}, "true targets"),
        ({"prior_source": "clip"}, "prior_source is 'clip'"),
        ({"guidance_scale": -1.0}, "guidance_scale must be >= 0"),
        ({"num_steps": 0}, "num_steps is 0"),
        ({"seed": [1, 2]}, "2 seeds for 1 people"),
        ({"generator": torch.Generator()}, "both generator and seed"),
        ({"generator": [torch.Generator()] * 2, "seed": None}, "2 generators for 1 people"),
    ],
)
def test_wrong_options_are_refused_in_one_line(pipe, options, words):
    with pytest.raises(ConfigError, match=words):
        call_with(pipe, lambda _: options)


def test_a_batch_without_reference_or_with_too_few_views_is_refused(pipe):
    with pytest.raises(DataError, match="'subject 1' has no reference"):
        pipe.generate(factory.batch([1], num_references=0), **FAST)
    parts = factory.components()
    parts["denoiser"] = factory.build_denoiser(grid_rows=1)
    with pytest.raises(DataError, match="found 4 views a person, the model's grid has 2"):
        JCDMPipeline(**parts).generate(factory.batch([1]), **FAST)


def test_a_pipeline_without_sizes_asks_for_them():
    parts = factory.components()
    del parts["height"]
    pipe = JCDMPipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    with pytest.raises(ConfigError, match="pass height and width"):
        pipe(*factory.person(1), **FAST)
    assert pipe(*factory.person(1), height=8, width=8, **FAST).images[0].size == (8, 8)


def test_schedulers_with_other_noise_levels_are_refused_whenever_set():
    parts = factory.components()
    with pytest.raises(ConfigError, match="layout is 'cell'"):
        JCDMPipeline(**parts, layout="cell")
    pipe = JCDMPipeline(**parts)
    pipe.scheduler = schedule.published_sampling()
    with pytest.raises(ConfigError, match="alphas_cumprod differ"):
        pipe.generate(factory.batch([1]), **FAST)
