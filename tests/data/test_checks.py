"""Every problem of an index is listed, one line each, and counts are right."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from jcdm.data.checks import check_index
from jcdm.data.index import write_index
from jcdm.data.stats import index_stats
from jcdm.records import SubjectRecord

MakeSubject = Callable[..., SubjectRecord]


def problems(tmp_path: Path, *records: SubjectRecord) -> list[str]:
    write_index(tmp_path / "index.json", records)
    return check_index(tmp_path / "index.json")


def test_a_good_index_has_none(tmp_path: Path, make_subject: MakeSubject) -> None:
    assert problems(tmp_path, make_subject("anna"), make_subject("bo", split="test")) == []


def test_each_kind_of_problem_is_found(tmp_path: Path, make_subject: MakeSubject) -> None:
    anna, bo, cem = (make_subject(name) for name in ("anna", "bo", "cem"))
    anna.views[1].image.unlink()
    anna.views[2].image.write_bytes(b"no picture")
    outside = bo.views[0].keypoints.copy()
    outside[3] = (1.5, 0.5)
    valid = bo.views[0].keypoint_valid | True
    wrong = replace(bo.views[0], keypoints=outside, keypoint_valid=valid)
    found = problems(
        tmp_path,
        anna,
        replace(bo, views=(wrong, *bo.views[1:])),
        replace(cem, views=cem.views[:1]),
        replace(cem, split="test"),
        replace(cem, split="test"),
    )
    expected = (
        "subject 'anna', view 1: picture",
        "subject 'anna', view 2: picture",
        "right_elbow valid but outside [0, 1]",
        "subject 'cem': one view, expected two or more",
        "subject 'cem': 2 times in split 'test'",
        "views show it ('cem')",
        "subject 'cem': in splits 'train', 'test'",
    )
    for words in expected:
        assert any(words in line for line in found), words
    assert all("\n" not in line for line in found)


def test_a_broken_entry_does_not_hide_the_others(tmp_path: Path, make_subject: MakeSubject) -> None:
    index = tmp_path / "index.json"
    write_index(index, [make_subject("anna"), make_subject("bo")])
    document = json.loads(index.read_text())
    document["subjects"][0]["views"][0]["keypoints"] = [[0.5, 0.5]] * 17
    document["subjects"][1]["split"] = 3
    index.write_text(json.dumps(document))
    found = check_index(index)
    assert len(found) == 2
    assert "'anna', view 0" in found[0] and '"split" is 3' in found[1]


def test_no_index_is_one_problem(tmp_path: Path) -> None:
    (problem,) = check_index(tmp_path / "index.json")
    assert "not found" in problem


def test_counts(tmp_path: Path, make_subject: MakeSubject) -> None:
    records = [make_subject("anna", num_views=5), make_subject("bo", num_views=2, split="test")]
    write_index(tmp_path / "index.json", records)
    stats = index_stats(tmp_path / "index.json")
    assert stats["splits"] == {
        "train": {"num_subjects": 1, "num_views": 5},
        "test": {"num_subjects": 1, "num_views": 2},
    }
    assert stats["views_a_subject"] == {"min": 2, "median": 3.5, "max": 5}
    seen = [view.keypoint_valid.mean() for record in records for view in record.views]
    assert stats["share_of_joints_seen"] == pytest.approx(sum(seen) / 7, abs=1e-4)
    assert (stats["num_subjects"], stats["num_views"], stats["num_pose_maps"]) == (2, 7, 0)
