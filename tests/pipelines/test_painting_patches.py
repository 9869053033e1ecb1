"""Painting with patches of the references: they steer it, the targets' never do."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pipeline_factory as factory
import pytest
import torch
from torch import Tensor

from jcdm.config import JCIConfig
from jcdm.models.encoders import FrozenCLIPVision
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.noise import GeneratorNoise
from jcdm.pipelines.patches import embed_patches
from jcdm.pipelines.photographs import Photograph, TargetPose, paint_photographs
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.pipelines.sequence import JCDMSequencePipeline

FAST = {"num_steps": 2, "prior_steps": 2, "guidance_scale": 2.0}
JCI = asdict(JCIConfig(num_tokens=3, num_heads=2, num_layers=1, patch_grid=2))
HIDDEN = 16  # of the factory's encoder, which sees 2 x 2 patches


def build(kind: type = JCDMPipeline, motion: dict[str, Any] | None = None) -> Any:
    denoiser = factory.build_denoiser(motion, jci_config=JCI, patch_dim=HIDDEN)
    pipe = kind(**factory.components() | {"denoiser": denoiser})
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def pipe() -> JCDMPipeline:
    return build()


def generate(pipe: Any, batch: Any, **options: Any) -> Tensor:
    return pipe.generate(batch, **(FAST | options)).images


def note_tokens(monkeypatch: pytest.MonkeyPatch, sign: float = 1.0) -> list[Tensor]:
    """Note what the encoder is shown for tokens; `sign` changes what it says."""
    shown: list[Tensor] = []
    plain = FrozenCLIPVision.patch_tokens

    def noted(self: FrozenCLIPVision, pixels: Tensor) -> Tensor:
        shown.append(pixels)
        return sign * plain(self, pixels)

    monkeypatch.setattr(FrozenCLIPVision, "patch_tokens", noted)
    return shown


def test_patches_are_the_references_and_zeros_elsewhere(pipe: JCDMPipeline) -> None:
    batch = factory.batch([1, 2], num_references=2)
    batch = replace(batch, present=torch.tensor([[True, False, True, True]] * 2))
    found = embed_patches(pipe.frozen_clip(), batch, 1)
    assert found.shape == (2, 4, 1, HIDDEN)
    with torch.no_grad():
        seen = pipe.image_encoder(pixel_values=batch.clip_pixels[:, 0]).last_hidden_state
    torch.testing.assert_close(found[:, 0, 0], seen[:, 1:].mean(1))
    assert not found[:, 1:].any()


def test_patches_steer_the_painting(pipe: JCDMPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Embeddings, latents and noise are the same: only what the patches say differs."""
    batch = factory.batch([1, 2])
    before = generate(pipe, batch)
    shown = note_tokens(monkeypatch, sign=-1.0)
    after = generate(pipe, batch)
    assert (before[:, 2:] != after[:, 2:]).flatten(1).any(1).all()
    assert len(shown) == 1, "once a sample, not once a step"
    assert torch.equal(shown[0], batch.clip_pixels[batch.visible])


def test_no_target_and_no_empty_cell_has_a_say(pipe: JCDMPipeline) -> None:
    batch = factory.batch([1, 2], num_absent=1)
    batch = replace(batch, visible=batch.visible | ~batch.present)
    other = batch.clip_pixels.clone()
    other[:, 2:] = -other[:, 2:]
    assert torch.equal(
        generate(pipe, batch)[:, 2], generate(pipe, replace(batch, clip_pixels=other))[:, 2]
    )
    other[:, :1] = -other[:, :1]
    assert not torch.equal(
        generate(pipe, batch)[:, 2], generate(pipe, replace(batch, clip_pixels=other))[:, 2]
    )


def test_fixed_keys_paint_the_same(pipe: JCDMPipeline) -> None:
    batch = factory.batch([1, 2])
    for options in ({}, {"guidance_start": 0.4}):
        kept, computed = (
            generate(pipe, batch, fixed_keys=flag, **options) for flag in (True, False)
        )
        assert torch.equal(kept, computed)


def test_people_in_parts_are_painted_as_all_at_once(pipe: JCDMPipeline) -> None:
    found = []
    for people_at_once in (None, 1):
        options = SamplingOptions(**FAST, people_at_once=people_at_once)
        noise = GeneratorNoise(torch.Generator().manual_seed(1), 3)
        found.append(pipe.paint(factory.batch([1, 2, 3]), noise, options)[1])
    torch.testing.assert_close(*found, atol=1e-4, rtol=0)


def test_the_unconditional_half_knows_no_patch(
    pipe: JCDMPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At scale 0 nothing but the null tokens speaks, whatever the patches say."""
    batch = factory.batch([1])
    before = generate(pipe, batch, guidance_scale=0.0)
    note_tokens(monkeypatch, sign=-1.0)
    assert torch.equal(generate(pipe, batch, guidance_scale=0.0), before)


@pytest.mark.parametrize("motion", [None, factory.MOTION])
def test_a_saved_pipeline_paints_the_same(tmp_path: Path, motion: dict[str, Any] | None) -> None:
    pipe = build(motion=motion)
    pipe.save_pretrained(tmp_path)
    loaded = JCDMPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    people = factory.person(1)
    images = [one(*people, seed=0, output_type="pt", **FAST).images for one in (pipe, loaded)]
    assert torch.equal(*images) and loaded.denoiser.patch_grid == 2


def test_own_photographs_are_seen_in_patches(
    pipe: JCDMPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = note_tokens(monkeypatch)
    references = [Photograph(picture=factory.photo(i), keypoints=factory.pose(i)) for i in range(2)]
    poses = [TargetPose(name=f"pose{i}", keypoints=factory.pose(9 + i)) for i in range(3)]
    painted = paint_photographs(pipe, references, poses, SamplingOptions(**FAST))
    assert len(painted) == 3 and [len(pixels) for pixels in shown] == [2, 2]


def test_a_sequence_of_one_window_equals_the_image_pipeline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, sequence = build(), build(JCDMSequencePipeline)
    people, options = factory.person(1, 2, 2), FAST | {"seed": 3, "output_type": "pt"}
    expected = images(*people, **options).images
    torch.testing.assert_close(sequence(*people, **options).frames, expected)
    longer = factory.person(1, 2, 5)
    before = sequence(*longer, **options).frames
    shown = note_tokens(monkeypatch, sign=-1.0)
    after = sequence(*longer, **options).frames
    assert [len(pixels) for pixels in shown] == [2], "once, for all windows"
    assert (before != after).flatten(1).any(1).all()


def test_sequences_with_motion_across_frames_paint() -> None:
    pipe = build(JCDMSequencePipeline, factory.MOTION | {"axis": "frames"})
    frames = pipe(*factory.person(1, 2, 7), seed=0, output_type="pt", **FAST).frames
    assert frames.shape == (7, 3, 16, 8) and frames.isfinite().all()
