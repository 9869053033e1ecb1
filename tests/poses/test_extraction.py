"""Poses of a folder and of an index: files, overlays, going on, and pictures that are no use."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_choose import SMALL_SURE, Fixed

from jcdm.data.index import read_index, write_index
from jcdm.data.pose_files import EXTRACTION, read_pose_file
from jcdm.errors import ConfigError, DataError
from jcdm.manifest import FIELDS
from jcdm.poses.choose import Choice
from jcdm.poses.detector import DetectedPerson
from jcdm.poses.extraction import Extracted
from jcdm.poses.extraction_run import ExtractionWish, run_extraction
from jcdm.records import SubjectRecord, ViewRecord


class ByWidth(Fixed):
    """Finds as many people as the picture's width says, 30 = one; counts what it has looked at."""

    def __init__(self, identity: str = "by width 1") -> None:
        self.identity, self.num_seen = identity, 0

    def detect(self, picture: Image.Image) -> tuple[DetectedPerson, ...]:
        self.num_seen += 1
        joints = np.linspace(0, 1, 54).reshape(18, 3)
        joints[0, 0] = picture.getpixel((0, 0))[0] / 255  # type: ignore[index]
        joints[17, :2] = (1.1, 0.5)  # outside the picture
        hands, face = np.full((2, 21, 3), 0.4), np.full((68, 3), 0.6)
        person = DetectedPerson(body=joints, box=(0, 0, 1, 1), hands=hands, face=face)
        return (person, SMALL_SURE, SMALL_SURE)[: picture.width // 30]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three good pictures, one below a folder; and one of nobody, one of two, one that is torn."""
    root = tmp_path / "photos"
    (root / "sub").mkdir(parents=True)
    for name, width in (("a.png", 30), ("sub/b.jpg", 30), ("c.webp", 30)):
        Image.new("RGB", (width, 40), (200, 0, 0)).save(root / name)
    (root / "notes.txt").write_text("no picture")
    (root / ".hidden.png").write_bytes(b"")
    return root


def add_bad(root: Path) -> None:
    Image.new("RGB", (10, 40)).save(root / "nobody.png")
    Image.new("RGB", (60, 40)).save(root / "two.png")
    (root / "torn.png").write_bytes((root / "a.png").read_bytes()[:50])


def extract(detector: ByWidth, choice: Choice | None = None, **wish: Any) -> Extracted:
    return run_extraction(ExtractionWish(**wish), detector, choice or Choice())


def test_every_picture_gets_a_file_and_an_overlay(photos: Path, tmp_path: Path) -> None:
    out, overlays = tmp_path / "out", tmp_path / "overlays"
    extracted = extract(ByWidth(), root=photos, out=out, overlays=overlays)
    assert sorted(extracted.poses) == ["a.png", "c.webp", "sub/b.jpg"]
    assert {p.relative_to(out).as_posix() for p in out.rglob("*.json")} == {
        *("a.json", "c.json", "sub/b.json", EXTRACTION)
    }
    assert Image.open(overlays / "sub" / "b.png").size == (30, 40)
    (pose,) = read_pose_file(out / "sub" / "b.json")
    joints = np.linspace(0, 1, 54).reshape(18, 3)
    assert pose.keypoints[7] == pytest.approx(joints[7], abs=1e-5)
    assert pose.keypoints[3, 2] == 0, "below 0.3"
    assert pose.size == (40, 30) and pose.detector == "by width 1"
    assert pose.hands is not None and pose.face is not None
    assert (pose.hands.shape, pose.face.shape) == ((2, 21, 3), (68, 3))
    manifest = json.loads((out / EXTRACTION).read_text())
    assert set(FIELDS) < set(manifest) and manifest["weights"] == {"detector": "by width 1"}
    assert manifest["detector"] == "by width 1" and manifest["num_poses"] == 3
    assert manifest["data"]["num_pictures"] == 3 and manifest["config"]["choice"]["people"]


def test_a_second_run_reads_only_what_has_changed(photos: Path, tmp_path: Path) -> None:
    detector, out = ByWidth(), tmp_path / "out"
    first = extract(detector, root=photos, out=out)
    assert (detector.num_seen, first.num_reused) == (3, 0)
    Image.new("RGB", (30, 40), (10, 0, 0)).save(photos / "a.png")
    second = extract(detector, root=photos, out=out)
    assert (detector.num_seen, second.num_reused) == (4, 2)
    assert second.poses["a.png"].keypoints[0, 0] != first.poses["a.png"].keypoints[0, 0]
    assert extract(detector, root=photos, out=out).num_reused == 3
    assert extract(ByWidth("by width 2"), root=photos, out=out).num_reused == 0
    assert extract(detector, root=photos, out=out).num_reused == 0
    assert extract(detector, Choice(min_confidence=0.5), root=photos, out=out).num_reused == 0


def test_what_was_found_in_an_older_picture_does_not_stay(photos: Path, tmp_path: Path) -> None:
    wish = {"root": photos, "out": tmp_path / "out", "overlays": tmp_path / "overlays"}
    extract(ByWidth(), **wish)
    Image.new("RGB", (10, 40)).save(photos / "a.png")
    (photos / "c.webp").write_bytes(b"torn")
    extracted = extract(ByWidth(), on_bad="skip", **wish)
    assert [name for name, _ in extracted.skipped] == ["a.png", "c.webp"]
    left = sorted(p.name for f in ("out", "overlays") for p in (tmp_path / f).rglob("*.*"))
    assert left == ["b.json", "b.png", EXTRACTION]


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_pictures_of_somebody_else_are_never_replaced(
    photos: Path, tmp_path: Path, suffix: str
) -> None:
    other = tmp_path / "a.png"
    Image.new("RGB", (5, 5)).save(tmp_path / f"picture.{suffix}")
    (tmp_path / f"picture.{suffix}").rename(other)
    before = other.read_bytes()
    for _ in range(2):
        with pytest.raises(DataError, match=r"a\.png exists and is no overlay"):
            extract(ByWidth(), root=photos, out=tmp_path / "out", overlays=tmp_path)
    assert other.read_bytes() == before


def test_an_overlay_asked_for_later_needs_no_detection(photos: Path, tmp_path: Path) -> None:
    detector, out = ByWidth(), tmp_path / "out"
    fresh = tmp_path / "fresh"
    extract(detector, root=photos, out=tmp_path / "out2", overlays=fresh)
    extract(detector, root=photos, out=out)
    num_seen = detector.num_seen
    later = photos / "overlays"  # inside the folder that is read
    for _ in range(2):
        assert extract(detector, root=photos, out=out, overlays=later).num_reused == 3
    assert detector.num_seen == num_seen
    assert (later / "a.png").read_bytes() == (fresh / "a.png").read_bytes()


def test_a_run_that_ends_early_is_gone_on_with(photos: Path, tmp_path: Path) -> None:
    add_bad(photos)
    detector, out = ByWidth(), tmp_path / "out"
    with pytest.raises(DataError, match=r"nobody\.png: no person found"):
        extract(detector, root=photos, out=out)
    assert not (out / EXTRACTION).exists()
    extracted = extract(detector, root=photos, out=out, on_bad="skip")
    assert extracted.num_reused == 2, "a and c come before nobody"
    assert [name for name, _ in extracted.skipped] == ["nobody.png", "torn.png", "two.png"]
    reasons = [reason for _, reason in extracted.skipped]
    for reason, part in zip(reasons, ("no person", "cannot be read", "2 people"), strict=True):
        assert part in reason and "\n" not in reason
    listed = json.loads((out / EXTRACTION).read_text())["skipped"]
    assert [row["picture"] for row in listed] == ["nobody.png", "torn.png", "two.png"]
    chosen = extract(detector, Choice(people="largest"), root=photos, out=out, on_bad="skip")
    assert "two.png" in chosen.poses


@pytest.mark.parametrize("content", ['{"keypoints": []}', "[]", "torn {", ""])
def test_files_of_somebody_else_are_never_replaced(
    photos: Path, tmp_path: Path, content: str
) -> None:
    detector = ByWidth()
    (photos / "c.json").write_text(content)
    with pytest.raises(DataError, match=r"c\.json exists and was not written by poses extract"):
        extract(detector, root=photos, out=photos, on_bad="skip")
    assert (photos / "c.json").read_text() == content and detector.num_seen == 0


def test_an_index_gets_a_copy_with_joints(photos: Path, tmp_path: Path) -> None:
    add_bad(photos)
    views = [
        ViewRecord(
            image=photos / name,
            keypoints=np.zeros((18, 2)),
            keypoint_valid=np.zeros(18, bool),
            pose_map=photos / "old_map.png",
            tags={"view": name},
        )
        for name in ("a.png", "sub/b.jpg", "nobody.png")
    ]
    records = [
        SubjectRecord(subject="one", views=tuple(views), split="test"),
        SubjectRecord(subject="twice", views=(views[0],)),
        SubjectRecord(subject="lost", views=(views[2],)),
    ]
    index, out_index = tmp_path / "in.json", tmp_path / "filled" / "out.json"
    write_index(index, records)
    detector, out = ByWidth(), tmp_path / "poses"
    extract(detector, index=index, out_index=out_index, out=out, on_bad="skip")
    assert detector.num_seen == 3, "each picture once"
    assert (out / "photos" / "sub" / "b.json").is_file()
    filled = read_index(out_index)
    assert [(r.subject, r.split, len(r.views)) for r in filled] == [
        ("one", "test", 2),
        ("twice", "train", 1),
    ]
    joints = np.linspace(0, 1, 54).reshape(18, 3)
    view = filled[0].views[1]
    assert view.tags == {"view": "sub/b.jpg"} and view.pose_map is None
    assert view.image.resolve() == (photos / "sub" / "b.jpg").resolve()
    assert view.keypoint_valid.tolist() == [bool(c >= 0.3) for c in joints[:-1, 2]] + [False]
    assert view.keypoints[7] == pytest.approx(joints[7, :2], abs=1e-5)
    with pytest.raises(DataError, match=r"nobody\.png"):
        extract(detector, index=index, out_index=out_index, out=out)


def test_an_index_of_nobody_is_an_error(photos: Path, tmp_path: Path) -> None:
    add_bad(photos)
    nothing = np.zeros((18, 2))
    view = ViewRecord(
        image=photos / "nobody.png", keypoints=nothing, keypoint_valid=nothing[:, 0] > 0
    )
    write_index(tmp_path / "in.json", [SubjectRecord(subject="one", views=(view,))])
    wish = {"index": tmp_path / "in.json", "out_index": tmp_path / "out.json"}
    with pytest.raises(DataError, match="no view has a pose"):
        extract(ByWidth(), out=tmp_path / "poses", on_bad="skip", **wish)
    assert not (tmp_path / "out.json").exists()


def test_pictures_that_would_share_a_file_are_named(photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (30, 40)).save(photos / "a.jpg")
    with pytest.raises(DataError, match=r"found a\.jpg and a\.png, whose poses have one name"):
        extract(ByWidth(), root=photos, out=tmp_path / "out")
    (photos / "a.jpg").rename(photos / "extraction.jpg")
    with pytest.raises(DataError, match="found a picture called extraction"):
        extract(ByWidth(), root=photos, out=tmp_path / "out")


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no picture, expected"):
        extract(ByWidth(), root=tmp_path, out=tmp_path / "out")
    with pytest.raises(DataError, match="is no folder"):
        extract(ByWidth(), root=tmp_path / "none", out=tmp_path / "out")


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({}, "found neither"),
        ({"root": Path("a"), "index": Path("b"), "out_index": Path("c")}, "found both"),
        ({"index": Path("b")}, "belong together"),
        ({"root": Path("a"), "out_index": Path("c")}, "belong together"),
        ({"index": Path("b"), "out_index": Path("./b")}, "choose another file"),
    ],
)
def test_wishes_that_contradict_themselves(wish: dict[str, Path], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        ExtractionWish(out=Path("out"), **wish)  # type: ignore[arg-type]
