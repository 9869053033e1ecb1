"""Sequences: any length, references held, windows fused, motion across views and frames."""

import pipeline_factory as factory
import pytest
import torch

from jcdm.diffusion import schedule
from jcdm.errors import ConfigError, DataError
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.sequence import JCDMSequencePipeline

FAST = {"num_steps": 2, "prior_steps": 2, "output_type": "pt"}


def build(**options) -> JCDMSequencePipeline:
    pipe = JCDMSequencePipeline(**factory.components(**options))
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def pipe() -> JCDMSequencePipeline:
    return build()


def paint(pipe, num_frames, num_references=2, **options):
    people = factory.person(1, num_references, num_frames)
    return pipe(*people, **(FAST | {"seed": 0} | options)).frames


@pytest.mark.parametrize("num_references", [1, 2, 3])
@pytest.mark.parametrize("num_frames", [1, 2, 3, 5, 8])
def test_any_length_gives_as_many_frames(pipe, num_frames, num_references):
    frames = paint(pipe, num_frames, num_references)
    assert frames.shape == (num_frames, 3, 16, 8)
    assert frames.isfinite().all()


def test_a_sequence_of_one_window_equals_the_image_pipeline():
    parts = factory.components()
    sequence, images = JCDMSequencePipeline(**parts), JCDMPipeline(**parts)
    people = factory.person(1, 2, 2)
    expected = images(*people, seed=3, **FAST).images
    torch.testing.assert_close(sequence(*people, seed=3, **FAST).frames, expected)


def test_one_frame_leaves_the_rest_of_the_grid_absent():
    parts = factory.components()
    sequence, images = JCDMSequencePipeline(**parts), JCDMPipeline(**parts)
    people = factory.person(1, 2, 1)
    expected = images(*people, seed=3, **FAST).images
    torch.testing.assert_close(sequence(*people, seed=3, **FAST).frames, expected)


def test_the_number_of_windows_at_once_changes_nothing(pipe):
    alone, together = (paint(pipe, 7, windows_at_once=n) for n in (1, 16))
    torch.testing.assert_close(alone, together, atol=1e-4, rtol=0)


def test_overlap_couples_windows(pipe):
    apart, coupled = (paint(pipe, 4, overlap=n) for n in (0, 1))
    assert (apart - coupled).abs().max() > 1e-3


def test_a_late_pose_reaches_early_frames_only_through_shared_latents(pipe):
    photos, given, poses = factory.person(1, 2, 6)
    before = pipe(photos, given, poses, seed=0, **FAST).frames
    poses[-1] = factory.pose(999)
    after = pipe(photos, given, poses, seed=0, **FAST).frames
    assert (before[-1] - after[-1]).abs().max() > 1e-3
    assert (before[0] - after[0]).abs().max() > 0


def test_every_reference_changes_every_frame(pipe):
    photos, given, poses = factory.person(1, 2, 4)
    before = pipe(photos, given, poses, seed=0, **FAST).frames
    photos[1] = factory.photo(999)
    after = pipe(photos, given, poses, seed=0, **FAST).frames
    assert ((before - after).abs().amax(dim=(1, 2, 3)) > 1e-3).all()


def test_seeds_decide(pipe):
    assert torch.equal(paint(pipe, 3, seed=1), paint(pipe, 3, seed=1))
    assert not torch.allclose(paint(pipe, 3, seed=1), paint(pipe, 3, seed=2), atol=1e-3)


def test_guidance_one_sees_each_window_once_a_step(pipe):
    seen = []
    hook = pipe.denoiser.unet.register_forward_pre_hook(
        lambda _, inputs: seen.append(len(inputs[0]))
    )
    paint(pipe, 4, guidance_scale=1.0)
    paint(pipe, 4, guidance_scale=2.0)
    hook.remove()
    assert seen == [3, 3, 6, 6]


@pytest.mark.parametrize("axis", ["views", "frames"])
@pytest.mark.parametrize("num_frames", [1, 3, 9])
def test_motion_modules_paint_sequences(axis, num_frames):
    pipe = build(motion=factory.MOTION | {"axis": axis})
    assert paint(pipe, num_frames).shape == (num_frames, 3, 16, 8)


def test_motion_across_frames_mixes_windows():
    pipe = build(motion=factory.MOTION | {"axis": "frames"})
    seen = []
    hook = pipe.denoiser.unet.register_forward_pre_hook(
        lambda _, inputs: seen.append((len(inputs[0]), pipe.denoiser.motion.mid_block.num_frames))
    )
    paint(pipe, 6, guidance_scale=1.0, num_steps=1)  # 5 windows, 3 a clip, clips share one
    hook.remove()
    assert seen == [(3, 3), (3, 3)]


@pytest.mark.parametrize("name", ["dpmpp_2m", "euler_a"])
def test_other_samplers_paint_sequences(name):
    pipe = build()
    pipe.scheduler = schedule.swap_scheduler(name, pipe.scheduler)
    assert paint(pipe, 5, num_steps=4).isfinite().all()


def test_grid_layout_decodes_whole_windows():
    parts = factory.components()
    by_view, by_grid = (JCDMSequencePipeline(**parts, layout=name) for name in ("view", "grid"))
    frames = [paint(p, 5) for p in (by_view, by_grid)]
    assert frames[0].shape == frames[1].shape
    assert not torch.allclose(*frames, atol=1e-3)


def test_a_clip_constant_prior_is_given_its_constants():
    pipe = build(prior=factory.build_prior(visibility_embedding="clip_constant"))
    assert paint(pipe, 5).shape[0] == 5


def test_loads_from_an_image_pipeline_s_folder(pipe, tmp_path):
    JCDMPipeline(**factory.components()).save_pretrained(tmp_path)
    loaded = JCDMSequencePipeline.from_pretrained(tmp_path)
    assert torch.equal(paint(loaded, 3), paint(pipe, 3))


def test_pil_frames_and_refusals(pipe):
    frames = paint(pipe, 3, output_type="pil")
    assert [frame.size for frame in frames] == [(8, 16)] * 3
    with pytest.raises(DataError, match="4 references"):
        paint(pipe, 3, num_references=4)
    with pytest.raises(DataError, match="no target pose"):
        paint(pipe, 0)
    with pytest.raises(ConfigError, match="overlap is 2, expected 0 to 1"):
        paint(pipe, 3, overlap=2)
    with pytest.raises(ConfigError, match="output_type"):
        paint(pipe, 3, output_type="gif")
