from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from training_world import KINDS, tiny_config

from jcdm.data.loader import collate
from jcdm.errors import CheckpointError, ConfigError
from jcdm.records import Batch, StepOutput
from jcdm.training.frames import split_grids
from jcdm.training.people import training_people
from jcdm.training.stages.build import build_stage


def build(world: Path, kind: str, **changes: Any) -> tuple[Any, Batch]:
    """A stage and four people; changes: sections of the configuration and their new values."""
    config = tiny_config(world, world / "unused", kind)
    for section, values in changes.items():
        config = replace(config, **{section: replace(getattr(config, section), **values)})
    stage = build_stage(kind, config)
    people = training_people(kind, config, stage.clip.image_size)
    return stage, collate([people.sample(index) for index in range(4)])


def loss(stage: Any, batch: Batch, *, training: bool = False) -> StepOutput:
    stage.module.train(training)
    with torch.no_grad():
        return stage.step(batch)


def change_views(batch: Batch, *, references: bool) -> Batch:
    """Mirror the pictures of the references, or of the targets."""
    chosen = (batch.visible if references else ~batch.visible)[:, :, None, None, None]
    return replace(
        batch,
        images=torch.where(chosen, batch.images.flip(-1), batch.images),
        clip_pixels=torch.where(chosen, batch.clip_pixels.flip(-1), batch.clip_pixels),
    )


def spy(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[Any]:
    """Note the first argument of every call of a method."""
    calls: list[Any] = []
    original: Callable[..., Any] = getattr(owner, name)

    def noted(*arguments: Any, **options: Any) -> Any:
        calls.append(options if name == "forward" else arguments[0])
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, noted)
    return calls


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_a_function_of_the_keys(world: Path, kind: str) -> None:
    stage, batch = build(world, kind)
    first, again = loss(stage, batch), loss(stage, batch)
    assert torch.equal(first.per_sample, again.per_sample)
    other = loss(stage, replace(batch, keys=batch.keys + 1))
    assert (other.per_sample != first.per_sample).all()
    torch.testing.assert_close(first.loss, first.per_sample.mean())


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_does_not_depend_on_its_batch(world: Path, kind: str) -> None:
    stage, batch = build(world, kind)
    people = training_people(kind, stage.config, stage.clip.image_size)
    alone = torch.cat([loss(stage, collate([people.sample(i)])).per_sample for i in range(4)])
    torch.testing.assert_close(loss(stage, batch).per_sample, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_conditions_are_dropped_in_training_only(world: Path, kind: str) -> None:
    shares = {"drop_prior": 0.0, "drop_pose": 0.0}
    stage, batch = build(world, kind, train={"drop_all": 1.0} | shares)
    kept, _ = build(world, kind, train={"drop_all": 0.0} | shares)
    assert torch.equal(loss(stage, batch).loss, loss(kept, batch).loss)
    assert not torch.equal(loss(stage, batch, training=True).loss, loss(kept, batch).loss)


@pytest.mark.parametrize("kind", KINDS)
def test_references_change_the_prediction_for_targets(world: Path, kind: str) -> None:
    stage, batch = build(world, kind)
    with torch.no_grad():  # fresh attention across views is the identity
        for number, parameter in enumerate(stage.module.parameters()):
            numbers = torch.Generator().manual_seed(number)
            parameter += 0.1 * torch.randn(parameter.shape, generator=numbers)
    changed = change_views(batch, references=True)
    before, after = (loss(stage, b).logs["target_loss"] for b in (batch, changed))
    assert before != after


@pytest.mark.parametrize("kind", KINDS)
def test_only_its_part_gets_gradients(world: Path, kind: str) -> None:
    stage, batch = build(world, kind)
    stage.module.train()
    stage.step(batch).loss.backward()
    trained = stage.trainable_parameters()
    named = dict(stage.module.named_parameters())
    assert {name for name, p in named.items() if p.grad is not None} == set(trained)
    if kind == "motion":
        assert all(name.startswith("motion.") for name in trained)
        assert 0 < len(trained) < len(named)
    else:
        assert set(trained) == set(named)


def test_fresh_weights_follow_the_seed(world: Path) -> None:
    weights = [
        build(world, "prior", run={"seed": seed})[0].module.query.detach() for seed in (1, 1, 2)
    ]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_the_prior_stage_embeds_each_view_once(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, batch = build(world, "prior")
    stage.clip.black_embedding()
    calls = spy(monkeypatch, stage.clip, "embed")
    loss(stage, batch)
    assert [len(pixels) for pixels in calls] == [4 * 4]


def test_targets_reach_the_prior_as_black(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, batch = build(world, "prior")
    calls = spy(monkeypatch, stage.module, "forward")
    loss(stage, batch)
    given = calls[0]["reference_appearance"]
    black = stage.clip.black_embedding()
    assert (given[~batch.visible] == black).all()
    assert not (given[batch.visible] == black).all(-1).any()


@pytest.mark.parametrize(
    "options", [{"timesteps": "view"}, {"visibility_embedding": "clip_constant"}]
)
def test_published_options_of_the_prior(world: Path, options: dict[str, str]) -> None:
    stage, batch = build(world, "prior", prior=options)
    plain, _ = build(world, "prior")
    found = loss(stage, batch).loss
    assert torch.isfinite(found) and found != loss(plain, batch).loss


def test_statistics_of_embeddings_default_to_the_published_ones(world: Path) -> None:
    stage, _ = build(world, "prior", prior={"clip_mean": None, "clip_std": None})
    assert (stage.module.clip_mean, stage.module.clip_std) == (
        pytest.approx(-0.016),
        pytest.approx(0.415),
    )


def test_stage_2_is_conditioned_on_what_references_tell(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the frozen prior, no pixel of a target reaches a condition, nor is it embedded."""
    stage, batch = build(world, "denoiser")
    stage.clip.black_embedding()
    embedded = spy(monkeypatch, stage.clip, "embed")
    calls = spy(monkeypatch, stage.module, "forward")
    loss(stage, batch)
    loss(stage, change_views(batch, references=False))
    loss(stage, change_views(batch, references=True))
    assert len(embedded[0]) == int(batch.visible.sum())
    for name in ("embeddings", "reference_latents"):
        same, moved = (torch.equal(calls[0][name], calls[i][name]) for i in (1, 2))
        assert same and not moved, name


def test_the_oracle_sees_the_targets(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, batch = build(world, "denoiser", prior={"source": "oracle", "weights": None})
    calls = spy(monkeypatch, stage.module, "forward")
    loss(stage, batch)
    flat = batch.clip_pixels.flatten(0, 1)
    torch.testing.assert_close(calls[0]["embeddings"].flatten(0, 1), stage.clip.embed(flat))


def test_the_vae_sees_views_or_the_whole_grid(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {}
    for layout in ("view", "grid"):
        stage, batch = build(world, "denoiser", encoders={"layout": layout})
        stage.vae.black_latents(32, 32)
        calls = spy(monkeypatch, stage.vae, "encode")
        assert torch.isfinite(loss(stage, batch).loss)
        shapes[layout] = [tuple(images.shape) for images in calls]
    assert shapes == {"view": [(8, 3, 32, 32)] * 2, "grid": [(4, 3, 64, 64)] * 2}


def test_cell_weights_choose_what_is_learned(world: Path) -> None:
    weights = {"reference_cell_weight": 0.0, "target_cell_weight": 2.0}
    stage, batch = build(world, "denoiser", train=weights)
    found = loss(stage, batch)
    torch.testing.assert_close(found.loss, found.logs["target_loss"])
    plain, _ = build(world, "denoiser")
    assert loss(plain, batch).loss != found.loss


def test_empty_cells_are_in_no_loss(world: Path) -> None:
    stage, batch = build(world, "denoiser")
    present = torch.tensor([[True, True, True, False]] * 4)
    visible = torch.tensor([[True, False, False, False]] * 4)
    batch = replace(batch, present=present, visible=visible)
    changed = batch.images.clone()
    changed[:, 3] = 0.7
    known = [stage._encode(b) for b in (batch, replace(batch, images=changed))]
    noisy = stage._noise(known[0], batch.keys)
    prediction = torch.zeros_like(noisy.target)
    other = prediction.clone()
    other[:, :, 16:, 16:] = 5.0  # the fourth cell of the latent grid
    losses = [stage._loss(p, noisy, known[0], 1.0, 1.0) for p in (prediction, other)]
    assert torch.equal(*losses)


def test_motion_needs_a_trained_denoiser_and_stage_2_a_prior(world: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"set unet.weights to the folder final/"):
        build(world, "motion", unet={"weights": None})
    with pytest.raises(ConfigError, match=r"set prior.weights to the folder final/"):
        build(world, "denoiser", prior={"weights": None})
    with pytest.raises(CheckpointError, match=r"unet.weights: no denoiser in"):
        build(world, "motion", unet={"weights": tmp_path})
    with pytest.raises(ConfigError, match="unknown stage 'priors'"):
        build_stage("priors", tiny_config(world, tmp_path))


def test_weights_that_do_not_belong_together_are_refused(world: Path) -> None:
    with pytest.raises(ConfigError, match="the denoiser has grid_rows 2, expected 1"):
        build(world, "motion", data={"grid_rows": 1, "grid_cols": 4})
    with pytest.raises(ConfigError, match=r"data.height is 30"):
        build(world, "denoiser", data={"height": 30})


def test_a_stage_can_start_from_trained_weights(world: Path) -> None:
    first, _ = build(world, "prior", run={"seed": 5})
    first.module.save_pretrained(world / "other_prior")
    second, _ = build(world, "prior", prior={"weights": world / "other_prior"})
    for name, tensor in first.module.state_dict().items():
        assert torch.equal(tensor, second.module.state_dict()[name])


def test_the_opening_line_names_parts_and_sizes(world: Path) -> None:
    texts = {kind: build(world, kind)[0].describe() for kind in KINDS}
    assert texts["prior"].startswith("trains: prior 42.4 k; frozen: image encoder")
    assert texts["denoiser"].startswith("trains: U-Net, pose guider, JCI")
    assert texts["motion"].startswith("trains: motion modules")
    assert all("frozen: VAE" in texts[kind] for kind in ("denoiser", "motion"))


def test_motion_across_frames_trains_on_windows_of_one_person(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    motion = {"axis": "frames", "num_frames": 2}
    stage, batch = build(world, "motion", motion=motion)
    assert batch.visible.shape == (4, 2 * 4)
    calls = spy(monkeypatch, stage.module, "forward")
    output = loss(stage, batch)
    assert output.per_sample.shape == (4,)
    given = calls[0]
    assert given["num_frames"] == 2 and given["visible"].shape == (8, 4)
    latents = given["reference_latents"].unflatten(0, (4, 2))
    assert torch.equal(latents[:, 0], latents[:, 1]), "references are held"
    poses = given["pose_maps"].unflatten(0, (4, 2))
    assert not torch.equal(poses[:, 0], poses[:, 1]), "targets move"
    assert torch.equal(given["drop_prior"][::2], given["drop_prior"][1::2])
    scalars, rows = stage.preview(batch)
    assert scalars == {} and rows.shape[0] == 8


def test_frames_share_their_person_s_timestep_but_not_its_noise(world: Path) -> None:
    stage, batch = build(world, "motion", motion={"axis": "frames", "num_frames": 2})
    known = stage._encode(split_grids(batch, 2))
    noisy = stage._noise(known, batch.keys.repeat_interleave(2))
    assert torch.equal(noisy.timesteps[::2], noisy.timesteps[1::2])
    assert len(noisy.timesteps.unique()) > 1
    assert len(set(known.keys.tolist())) == 8


def test_cubic_timesteps_are_mostly_high_in_training_and_as_ever_in_validation(world: Path) -> None:
    stage, batch = build(world, "denoiser", train={"timesteps": "cubic"})
    plain, _ = build(world, "denoiser")
    chosen, plainly = (s._noise(s._encode(batch), batch.keys).timesteps for s in (stage, plain))
    assert not torch.equal(chosen, plainly) and chosen.float().mean() > plainly.float().mean()
    for one in (stage, plain):
        one.module.eval()
    chosen, plainly = (s._noise(s._encode(batch), batch.keys).timesteps for s in (stage, plain))
    assert torch.equal(chosen, plainly)
