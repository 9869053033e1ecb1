import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_world as world
import torch
from PIL import Image

from jcdm.data.index import read_index, write_index
from jcdm.errors import CheckpointError, ConfigError, DataError
from jcdm.evaluation import loading, score_images, score_prior, score_sequence
from jcdm.evaluation.evaluate import evaluation_batches, to_pixels
from jcdm.evaluation.metrics import ScoreTally, find_score
from jcdm.evaluation.sheets import enlarged
from jcdm.evaluation.stage_tests import TESTS
from jcdm.grid import GridShape
from jcdm.manifest import FIELDS
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.sampling import configured_options


@pytest.fixture(scope="module")
def pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.save_pipeline(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.save_people(tmp_path_factory.mktemp("data") / "stills", num_people=4, num_views=4)


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.save_people(tmp_path_factory.mktemp("data") / "moving", num_people=2, num_views=7)


def test_each_stage_writes_a_whole_report(
    tmp_path: Path, pipeline_folder: Path, people: Path, sequences: Path
) -> None:
    counts = {"prior": ("cosine", 6), "images": ("SSIM", 6), "sequence": ("SSIM", 10)}
    for stage, (score, count) in counts.items():
        index = sequences if stage == "sequence" else people
        out = tmp_path / stage
        report = TESTS[stage](world.make_config(out, index, pipeline_folder))
        assert len(report.scores) == 3
        for method, scores in report.scores.items():
            assert scores.values[score][1] == count, (stage, method)
            assert all(np.isfinite(value) for value, _ in scores.values.values())
        document = json.loads((out / "report.json").read_text(encoding="utf-8"))
        assert document["manifest"]["config"]["run"]["seed"] == 3
        assert document["manifest"]["data"]["num_subjects"] == (2 if stage == "sequence" else 4)
        assert set(FIELDS) < set(document["manifest"])
        identity = document["manifest"]["weights"]["sample.pipeline"]
        assert len(identity["sha256"]) == 64 and identity["num_files"] > 1
        assert (out / "report.md").is_file()
        assert f"report: {out / 'report.html'}" in (out / "log.txt").read_text(encoding="utf-8")
        assert "data:image/png" in (out / "report.html").read_text(encoding="utf-8")
        for method in document["sections"][0]["tables"][0]["rows"]:
            assert all(find_score(name).formula for name in method["scores"])


def test_a_test_repeats_exactly(tmp_path: Path, pipeline_folder: Path, people: Path) -> None:
    def scores(name: str, **sample: int) -> dict:
        config = world.make_config(tmp_path / name, people, pipeline_folder, **sample)
        return {m: dict(s.values) for m, s in TESTS["images"](config).scores.items()}

    assert scores("a") == scores("b")
    alone = scores("c", batch_size=1)
    for method, values in scores("d").items():
        for name, (value, count) in values.items():
            assert alone[method][name] == (pytest.approx(value, rel=1e-3, abs=1e-4), count)


def test_bars_of_a_frame_are_in_no_picture_and_no_score(
    tmp_path: Path, pipeline_folder: Path, people: Path, sequences: Path
) -> None:
    """A model trained on frames of 28 x 12 in views of 32 x 16."""
    framed = JCDMPipeline.from_pretrained(pipeline_folder)
    framed.register_to_config(fit="28x12")
    framed.save_pretrained(tmp_path / "framed")
    for stage, index in (("images", people), ("sequence", sequences)):
        out = tmp_path / stage
        report = TESTS[stage](world.make_config(out, index, tmp_path / "framed"))
        assert all(np.isfinite(v) for s in report.scores.values() for v, _ in s.values.values())
        painted = list((out / "generated").glob("*.png"))
        assert painted
        for picture in painted:
            assert Image.open(picture).size == (12, 28), picture
    pipeline = loading.load_pipeline(
        JCDMPipeline, world.make_config(tmp_path / "x", people, tmp_path / "framed").sample
    )
    config = world.make_config(tmp_path / "x", people, tmp_path / "framed")
    batch = next(evaluation_batches(config, pipeline, pipeline.denoiser.grid))
    pictures = score_images.paint_methods(pipeline, batch, config)[score_images.CEILING]
    assert pictures.shape[2:4] == (28, 12)


def test_only_painted_target_views_change_the_scores_of_images(
    tmp_path: Path, pipeline_folder: Path, people: Path
) -> None:
    config = world.make_config(tmp_path, people, pipeline_folder)
    pipeline = loading.load_pipeline(JCDMPipeline, config.sample)
    batch = next(evaluation_batches(config, pipeline, pipeline.denoiser.grid))
    painted = score_images.paint_methods(pipeline, batch, config)[score_images.METHOD]

    def scores(pictures: np.ndarray) -> dict[str, tuple[float, int]]:
        tally = ScoreTally()
        score_images.score_views(tally, pipeline, batch, pictures)
        return dict(tally.scores().values)

    visible = batch.visible.numpy()
    other_references, other_target = painted.copy(), painted.copy()
    other_references[visible] = 255 - other_references[visible]
    person, view = np.argwhere(~visible)[0]
    other_target[person, view] = 255 - other_target[person, view]
    assert scores(other_references) == scores(painted)
    changed = {n for n, value in scores(other_target).items() if value != scores(painted)[n]}
    assert changed == {
        "PSNR", "SSIM", "L1", "perceptual (tiny)", "appearance cosine", "view agreement gap",
    }  # fmt: skip


def test_the_truth_itself_scores_best(tmp_path: Path, pipeline_folder: Path, people: Path) -> None:
    config = world.make_config(tmp_path, people, pipeline_folder)
    pipeline = loading.load_pipeline(JCDMPipeline, config.sample)
    batch = next(evaluation_batches(config, pipeline, pipeline.denoiser.grid))
    tally = ScoreTally()
    score_images.score_views(tally, pipeline, batch, to_pixels(batch.images))
    values = {name: value for name, (value, _) in tally.scores().values.items()}
    assert tally.num_infinite == {"PSNR": 4}
    assert values == pytest.approx(
        {
            "SSIM": 1.0,
            "L1": 0.0,
            "perceptual (tiny)": 0.0,
            "appearance cosine": 1.0,
            "view agreement gap": 0.0,
        },
        abs=1e-6,
    )


def test_a_perfect_prior_has_cosine_one(tmp_path: Path) -> None:
    truth = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[False, True, True, False], [True, False, False, False]])
    half_wrong = torch.where(targets[..., None], 3 * truth, -truth)
    embeddings = score_prior.Embeddings()
    embeddings.add(targets, truth, {"scaled": half_wrong, "opposite": -truth})
    scores = score_prior.tally_cosines(embeddings)
    assert scores["scaled"].values["cosine"] == (pytest.approx(1.0), 3)
    assert scores["opposite"].values["cosine"] == (pytest.approx(-1.0), 3)
    assert scores["scaled"].values["centred cosine"][0] < 1


def test_unseen_people_have_the_references_asked_for(
    tmp_path: Path, pipeline_folder: Path, people: Path
) -> None:
    config = world.make_config(tmp_path, people, pipeline_folder, num_references=3)
    pipeline = loading.load_prior_pipeline(config.sample)
    batches = list(evaluation_batches(config, pipeline, GridShape()))
    assert [len(b.subjects) for b in batches] == [2, 1]
    assert all((b.visible.sum(1) == 3).all() for b in batches)
    again = next(evaluation_batches(config, pipeline, GridShape()))
    assert torch.equal(again.images, batches[0].images)
    assert torch.equal(again.keys, batches[0].keys)


def test_motion_is_taken_out_and_put_back(
    tmp_path: Path, pipeline_folder: Path, sequences: Path
) -> None:
    config = world.make_config(tmp_path, sequences, pipeline_folder)
    pipeline = loading.load_pipeline(score_sequence.JCDMSequencePipeline, config.sample)
    moving = pipeline.denoiser
    plain = loading.without_motion(moving)
    assert plain.motion is None
    assert plain.unet.conv_in.weight is moving.unet.conv_in.weight or torch.equal(
        plain.unet.conv_in.weight, moving.unet.conv_in.weight
    )
    (record, _) = score_sequence.unseen_people(config, pipeline)
    sequence = score_sequence.read_sequence(record, (world.HEIGHT, world.WIDTH), "crop", 2)
    painted = score_sequence.paint_methods(pipeline, sequence, config, 1)
    assert pipeline.denoiser is moving
    with_motion, without = painted[score_sequence.WITH], painted[score_sequence.WITHOUT]
    assert with_motion.shape == without.shape == sequence.frames.shape
    assert not np.array_equal(with_motion, without)
    pipeline.denoiser = plain
    options = configured_options(config.sample, pipeline.default_preset)
    again = score_sequence.paint_frames(pipeline, sequence, options, 1, at_once=2)
    assert np.array_equal(again, without)


def test_a_denoiser_without_motion_is_no_sequence_test(tmp_path: Path, sequences: Path) -> None:
    folder = world.save_pipeline(tmp_path / "plain", motion=None)
    with pytest.raises(ConfigError, match="has no motion modules.*run_train_stage2_stage2"):  # noqa: RUF043
        TESTS["sequence"](world.make_config(tmp_path / "out", sequences, folder))


def test_a_part_comes_from_its_folder_or_from_a_run(tmp_path: Path, pipeline_folder: Path) -> None:
    other = world.build_prior(seed=9)
    other.save_pretrained(tmp_path / "folder")
    other.save_pretrained(tmp_path / "run" / "final")
    for folder in (tmp_path / "folder", tmp_path / "run"):
        config = world.make_config(tmp_path, tmp_path, pipeline_folder, prior=folder)
        loaded = loading.load_prior_pipeline(config.sample).prior.state_dict()
        assert all(torch.equal(loaded[k], v) for k, v in other.state_dict().items())
    config = world.make_config(tmp_path, tmp_path, pipeline_folder, prior=tmp_path / "empty")
    with pytest.raises(CheckpointError, match=r"sample.prior: no prior in .*empty"):
        loading.load_prior_pipeline(config.sample)


def test_the_sampler_is_the_one_asked_for(pipeline_folder: Path, tmp_path: Path) -> None:
    config = world.make_config(tmp_path, tmp_path, pipeline_folder, scheduler="euler")
    pipeline = loading.load_pipeline(JCDMPipeline, config.sample)
    assert type(pipeline.scheduler).__name__ == "EulerDiscreteScheduler"


def test_painted_views_are_saved_and_shown(
    tmp_path: Path, pipeline_folder: Path, people: Path
) -> None:
    config = world.make_config(tmp_path, people, pipeline_folder)
    TESTS["images"](replace(config, data=replace(config.data, num_subjects=1)))
    files = sorted((tmp_path / "generated").iterdir())
    assert len(files) == 2
    sheet = np.asarray(Image.open(tmp_path / "people.png"))
    painted = enlarged(np.asarray(Image.open(files[0])))
    windows = np.lib.stride_tricks.sliding_window_view(sheet, painted.shape)[:, :, 0]
    rows, columns = np.nonzero((windows[..., 0, 0, :] == painted[0, 0]).all(-1))
    assert any(np.array_equal(windows[r, c], painted) for r, c in zip(rows, columns, strict=True))


@pytest.mark.parametrize("kind", ["prior", "images"])
def test_references_that_leave_no_target_are_refused(
    tmp_path: Path, pipeline_folder: Path, people: Path, kind: str
) -> None:
    config = world.make_config(tmp_path / "out", people, pipeline_folder, num_references=4)
    with pytest.raises(DataError, match="found 4 references, but a grid of 2 x 2"):
        TESTS[kind](config)
    records = [replace(record, views=record.views[:2]) for record in read_index(people)]
    write_index(tmp_path / "few.json", records)
    config = world.make_config(tmp_path / "out", tmp_path / "few.json", pipeline_folder)
    with pytest.raises(DataError, match=r"has 2 views, expected more than sample.num_references=2"):
        TESTS[kind](config)
