"""The weights that ship with the project are small, and as good as their card says."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from PIL import Image
from torch import Tensor

from jcdm.config import DrawConfig, RunConfig, SampleConfig, TestConfig, TestDataConfig
from jcdm.data.synthetic import DrawnView, render_view
from jcdm.data.transforms import clip_pixels, image_tensor
from jcdm.doctor.weights import SUMS, find_shipped, read_sums
from jcdm.evaluation.loading import load_pipeline, without_motion
from jcdm.evaluation.stage_tests import TESTS
from jcdm.evidence.people import draw_people
from jcdm.evidence.reader import load_reader
from jcdm.evidence.scoring import Judge, paint_by
from jcdm.evidence.tasks import find_task
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.pipelines import JCDMPipeline
from jcdm.pipelines.photographs import recommended_options
from jcdm.weights_identity import weight_files

TINY = Path(__file__).resolve().parents[1] / "assets" / "tiny"
LARGEST = {
    "vae": 3.0,
    "image_encoder": 3.0,
    "prior": 4.0,
    "denoiser": 14.0,
    "reader": 1.0,
}  # megabytes
UNSEEN_SEED = 977
SIZE = (64, 48)  # what they are trained on
NUM_PEOPLE = 60


@pytest.fixture(scope="module")
def people() -> list[list[DrawnView]]:
    """Two views each of people that no weights were trained on."""
    return [
        [render_view(seed=UNSEEN_SEED, identity=i, view=v, size=SIZE) for v in range(2)]
        for i in range(NUM_PEOPLE)
    ]


def chroma(images: Tensor) -> Tensor:
    """Cb and Cr of BT.601: (N,3,H,W) -> (N,2,H,W), in the range of the images."""
    red, green, blue = images.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([0.564 * (blue - luma), 0.713 * (red - luma)], dim=1)


def psnr(error: Tensor, inside: Tensor) -> float:
    """Mean over pictures of the PSNR in dB where `inside` is 1; pictures are in [-1,1]."""
    squared = (error.square() * inside).sum((1, 2, 3)) / (error.shape[1] * inside.sum((1, 2, 3)))
    return (10 * torch.log10(4 / squared)).mean().item()


def test_weights_are_those_listed() -> None:
    finding = find_shipped(TINY)
    assert finding.state == "ok", finding.line
    weights = {file.relative_to(TINY).as_posix() for file in weight_files(TINY)}
    assert weights <= set(read_sums(TINY / SUMS)), f"list new weights in {SUMS}, by sha256sum"


@pytest.mark.parametrize("part", LARGEST)
def test_weights_are_small(part: str) -> None:
    size = sum(file.stat().st_size for file in (TINY / part).glob("*.safetensors"))
    assert 0 < size <= LARGEST[part] * 1e6


def test_the_vae_reconstructs_people_with_their_colours(people: list[list[DrawnView]]) -> None:
    vae = FrozenVAE.from_folder(TINY / "vae")
    views = [pair[0] for pair in people]
    truth = torch.stack([image_tensor(Image.fromarray(view.image)) for view in views])
    inside = torch.from_numpy(np.stack([view.regions > 0 for view in views]))[:, None].float()
    made = vae.decode(vae.mean_latents(vae.encode(truth)))
    assert psnr(made - truth, torch.ones_like(inside)) >= 27
    hue_made, hue_truth = chroma(made), chroma(truth)
    assert psnr(hue_made - hue_truth, inside) >= 25
    kept = (hue_made.square() * inside).sum() / (hue_truth.square() * inside).sum()
    assert kept.sqrt() >= 0.9


def test_the_reader_finds_silhouettes_and_joints_of_unseen_people() -> None:
    reader = load_reader(TINY / "reader")
    views = [render_view(seed=UNSEEN_SEED, identity=i, view=i, size=SIZE) for i in range(24)]
    pictures = torch.stack([image_tensor(Image.fromarray(view.image)) for view in views])
    outlines, joints = reader.read(pictures)
    truth = torch.from_numpy(np.stack([view.regions > 0 for view in views]))
    overlap = (outlines & truth).sum((1, 2)) / (outlines | truth).sum((1, 2))
    assert overlap.mean() >= 0.95
    seen = np.stack([view.keypoint_valid for view in views])
    gaps = np.linalg.norm(joints.numpy() - np.stack([v.keypoints for v in views]), axis=-1)[seen]
    assert (gaps < 0.1).mean() >= 0.75 and np.median(gaps) < 0.015


def test_the_latents_have_unit_scale(people: list[list[DrawnView]]) -> None:
    vae = FrozenVAE.from_folder(TINY / "vae")
    images = torch.stack([image_tensor(Image.fromarray(pair[0].image)) for pair in people])
    latents = vae.mean_latents(vae.encode(images))
    assert 0.9 < latents.std() < 1.1 and latents.mean().abs() < 0.1


def test_the_image_encoder_finds_the_same_person_in_another_view(
    people: list[list[DrawnView]],
) -> None:
    clip = FrozenCLIPVision.from_folder(TINY / "image_encoder")
    first, second = (
        F.normalize(
            clip.embed(
                torch.stack(
                    [
                        clip_pixels(Image.fromarray(pair[view].image), clip.image_size, "pad")
                        for pair in people
                    ]
                )
            ),
            dim=-1,
        )
        for view in range(2)
    )
    found = (first @ second.T).argmax(dim=1)
    share = (found == torch.arange(NUM_PEOPLE)).float().mean()
    assert share > 0.6, "chance is 1 in 60"


def test_the_weights_score_what_their_card_says(tmp_path: Path) -> None:
    _, front, _ = (TINY / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    check = yaml.safe_load(front)["check"]
    people = draw_people(check["seed"], check["people"], SIZE, folder=tmp_path)
    pipeline = load_pipeline(JCDMPipeline, SampleConfig(pipeline=TINY))
    pipeline.denoiser = without_motion(pipeline.denoiser)
    judge = Judge(people=people, reader=load_reader(TINY / "reader"), pipeline=pipeline)
    painter = paint_by(pipeline, **asdict(recommended_options(TINY)))
    tally, _ = judge.score(find_task(check["task"]), painter)
    found = {name: value.mean for name, value in tally.estimates().items()}
    for name, expected in check["scores"].items():
        assert found[name] == pytest.approx(expected, rel=0.03), name


def tiny_test(index: Path, out: Path, num_subjects: int) -> TestConfig:
    """Test the shipped pipeline as configs/tiny does."""
    draw = DrawConfig(
        num_identities=8, num_views=8, num_sequences=2, num_frames=9, test_fraction=1.0, seed=11
    )
    return TestConfig(
        run=RunConfig(out=out),
        data=TestDataConfig(index=index, num_subjects=num_subjects, draw=draw),
        sample=SampleConfig(pipeline=TINY, num_steps=2, prior_steps=2, guidance_scale=1.0),
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn") / "people"


def test_the_prior_beats_the_mean_of_the_references(drawn: Path, tmp_path: Path) -> None:
    report = TESTS["prior"](tiny_test(drawn / "index.json", tmp_path, 8))
    cosine = {method: scores.values["cosine"][0] for method, scores in report.scores.items()}
    assert cosine["appearance prior"] > cosine["mean of the references"]


def test_painted_views_are_nearer_to_the_truth_than_a_copied_reference(
    drawn: Path, tmp_path: Path
) -> None:
    report = TESTS["images"](tiny_test(drawn / "index.json", tmp_path, 8))
    copy = report.scores["copy of the nearest reference"].values
    for name, sign in (("PSNR", 1), ("SSIM", 1), ("L1", -1)):
        assert sign * report.scores["painted"].values[name][0] > sign * copy[name][0], name


def test_the_motion_module_makes_sequences_steadier(drawn: Path, tmp_path: Path) -> None:
    report = TESTS["sequence"](tiny_test(drawn / "sequences.json", tmp_path, 1))
    with_motion = report.scores["with the motion module"].values
    without = report.scores["without it"].values
    assert with_motion["change error"][0] < without["change error"][0]
    assert with_motion["flicker"][0] < without["flicker"][0]
    assert (tmp_path / "report.html").is_file() and list(tmp_path.rglob("*.mp4"))
