"""References, categories, pose distances and means of groups, against slow recomputation."""

import json
import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median

import numpy as np
import pytest
from scored_world import SIDES, World, make_world, write_scored

from jcdm.data.index import read_index, write_index
from jcdm.errors import DataError
from jcdm.evaluation.bootstrap import bootstrap_intervals
from jcdm.evaluation.score_report.breakdowns import by_category, by_pose_distance, by_references
from jcdm.evaluation.score_report.items import ReportItem, join_items
from jcdm.evaluation.score_report.scored import heading, is_lower_better, read_scored

SCORES = ("ssim_256", "psnr")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def items(world: World) -> tuple[ReportItem, ...]:
    return join_items(read_scored(world.scored), world.task, world.index)


def values(rows: list, name: str) -> list[float]:
    return [float(row[name]) for row in rows]


def table(section) -> dict[str, tuple]:
    (listing,) = section.listings
    return {row[0]: row[1:] for row in listing.rows}


def test_references_come_from_the_task_and_from_names(
    world: World, items: tuple[ReportItem, ...]
) -> None:
    expected = [row["generated"].count("+") + 1 for row in world.rows]
    assert set(expected) == {1, 2}
    assert [item.num_references for item in items] == expected
    named = join_items(read_scored(world.scored), None, world.index)
    for one, other in zip(items, named, strict=True):
        images = [[view.image for view in item.references] for item in (one, other)]
        assert images[0] == images[1] and one.target.image == other.target.image
    alone = join_items(read_scored(world.scored), None, None)
    assert {(item.num_references, item.target, item.pose_distance) for item in alone} == {
        (None, None, None)
    }


def test_a_name_that_is_no_view_makes_references_unknown(world: World, tmp_path: Path) -> None:
    rows = [dict(row) for row in world.rows]
    rows[1]["generated"] = "stranger+" + rows[1]["generated"]
    rows[2]["generated"] = rows[2]["truth"]
    write_scored(tmp_path, rows, world.root)
    found = join_items(read_scored(tmp_path), None, world.index)
    assert [item.num_references for item in found[:4]] == [1, None, None, 2]
    assert found[1].pose_distance is None and found[1].target is not None


def test_pose_distance_is_that_to_the_nearest_reference(
    items: tuple[ReportItem, ...],
) -> None:
    for item in items:
        side = {name: place for place, name in enumerate(SIDES)}
        places = [side[view.image.stem.rpartition("_")[2]] for view in item.references]
        target = side[item.target.image.stem.rpartition("_")[2]]
        nearest = min(abs(place - target) for place in places) * 0.1
        assert item.pose_distance == pytest.approx(nearest, abs=1e-9)


def test_joints_that_one_view_lacks_do_not_count(world: World, tmp_path: Path) -> None:
    records = list(read_index(world.index))
    for record in records:
        record.views[0].keypoint_valid[:] = False
    write_index(tmp_path / "index.json", records)
    for item in join_items(read_scored(world.scored), world.task, tmp_path / "index.json"):
        front = "1front" in item.pair.truth
        others = [view for view in item.references if "1front" not in view.image.name]
        assert (item.pose_distance is None) == (front or not others)


def test_numbers_by_category(world: World, items: tuple[ReportItem, ...], tmp_path: Path) -> None:
    section = by_category(items, SCORES, tmp_path)
    expected = {
        label: [row for row in world.rows if name in row["truth"]]
        for label, name in (
            ("WOMEN Dresses", "WOMENDresses"),
            ("MEN Shorts", "fashionMENShorts"),
            ("WOMEN Tees Tanks", "WOMENTees_Tanks"),
        )
    }
    found = table(section)
    assert list(found) == sorted(
        expected, key=lambda label: -median(values(expected[label], "ssim_256"))
    )
    for label, rows in expected.items():
        count, ssim, low, high, psnr, *_ = found[label]
        assert count == len(rows) == 8
        assert ssim == pytest.approx(fmean(values(rows, "ssim_256")))
        assert psnr == pytest.approx(fmean(values(rows, "psnr")))
        ends = bootstrap_intervals({"x": np.array(values(rows, "ssim_256"))})["x"]
        assert (low, high) == ends and low < ssim < high


def test_numbers_by_references_and_what_is_left_out(
    world: World, items: tuple[ReportItem, ...], tmp_path: Path
) -> None:
    section = by_references(items, SCORES, tmp_path)
    for number, (count, ssim, *_) in table(section).items():
        rows = [row for row in world.rows if row["generated"].count("+") + 1 == int(number)]
        assert count == len(rows) and ssim == pytest.approx(fmean(values(rows, "ssim_256")))
    alone = join_items(read_scored(world.scored), None, None)
    mixed = by_references([*items, *alone[:3]], SCORES, tmp_path)
    assert mixed.notes == ("3 pairs without a known number of references are left out.",)


def test_bins_of_pose_distance_are_equal_and_in_order(
    world: World, items: tuple[ReportItem, ...], tmp_path: Path
) -> None:
    found = table(by_pose_distance(items, SCORES, tmp_path))
    assert [row[0] for row in found.values()] == [12, 12]
    ordered = sorted(items, key=lambda item: (item.pose_distance, item.pair.generated))
    halves = (ordered[:12], ordered[12:])
    for row, half in zip(found.values(), halves, strict=True):
        assert row[1] == pytest.approx(fmean(item.pair.values["ssim_256"] for item in half))
    few = by_pose_distance(items[:19], SCORES, tmp_path)
    assert not few.figures and "fewer than 20 pairs" in few.intro


def test_values_that_are_not_finite_are_left_out(world: World, tmp_path: Path) -> None:
    rows = [dict(row) for row in world.rows]
    rows[0] |= {"psnr": "inf", "ssim_256": ""}
    rows[6]["psnr"] = "nan"
    write_scored(tmp_path, rows, world.root)
    scored = read_scored(tmp_path)
    joined = join_items(scored, None, None)
    found = table(by_category(joined, SCORES, tmp_path / "out"))
    kept = [row for row in rows if "WOMENDresses" in row["truth"]][1:]
    kept = [row for row in kept if math.isfinite(float(row["psnr"]))]
    assert found["WOMEN Dresses"][4] == pytest.approx(fmean(values(kept, "psnr")))
    assert scored.main_scores == SCORES


def test_main_scores_and_directions_know_the_best_of_several(world: World, tmp_path: Path) -> None:
    rows = [
        {"generated": row["generated"], "truth": row["truth"]}
        | {f"{name}_best_of_4": row["psnr"] for name in ("psnr", "l1", "lpips")}
        | {"colour_garment": "3"}
        for row in world.rows
    ]
    write_scored(tmp_path, rows, world.root)
    assert read_scored(tmp_path).main_scores == ("lpips_best_of_4", "psnr_best_of_4")
    assert (
        heading("lpips_best_of_4") == "LPIPS (best of 4) ↓" and heading("ssim_256") == "SSIM-256 ↑"
    )
    assert is_lower_better("lpips_best_of_4") and not is_lower_better("psnr_best_of_4")
    assert is_lower_better("colour_garment") and heading("fid_exact") == "fid_exact"
    for row in rows:
        for name in ("psnr", "lpips"):
            del row[f"{name}_best_of_4"]
    write_scored(tmp_path, rows, world.root)
    assert read_scored(tmp_path).main_scores == ("l1_best_of_4", "colour_garment")


def test_a_wrong_task_or_index_is_named(world: World, tmp_path: Path) -> None:
    task = json.loads(world.task.read_text())
    task["items"] = task["items"][:-2]
    (tmp_path / "task.json").write_text(json.dumps(task))
    scored = read_scored(world.scored)
    with pytest.raises(DataError, match=r"2 of 24 scored pictures are not in .*task\.json, first"):
        join_items(scored, tmp_path / "task.json", world.index)
    write_index(tmp_path / "index.json", read_index(world.index)[1:])
    with pytest.raises(DataError, match=r"4 of 24 scored pictures are not in .*index\.json"):
        join_items(scored, None, tmp_path / "index.json")


def test_a_name_of_two_views_tells_nothing(world: World, tmp_path: Path) -> None:
    first, *others = read_index(world.index)
    twin = replace(first.views[1], image=tmp_path / first.views[1].image.name)
    records = [replace(first, views=(*first.views, twin)), *others]
    write_index(tmp_path / "index.json", records)
    with pytest.raises(DataError, match=r"1 of 24 scored pictures .*2back\.png"):
        join_items(read_scored(world.scored), None, tmp_path / "index.json")


def test_a_category_tag_is_taken_where_names_tell_none(world: World, tmp_path: Path) -> None:
    record = read_index(world.index)[0]
    file = tmp_path / "anna.png"
    views = [
        type(view)(
            image=file.with_name(f"anna{place}.png"),
            keypoints=view.keypoints,
            keypoint_valid=view.keypoint_valid,
            tags={"category": "coat"} if place else {},
        )
        for place, view in enumerate(record.views)
    ]
    write_index(tmp_path / "index.json", [type(record)(subject="anna", views=tuple(views))])
    rows = [{"generated": f"anna{i}.png", "truth": f"anna{i}.png", "psnr": "20"} for i in (0, 1)]
    write_scored(tmp_path, rows, tmp_path)
    joined = join_items(read_scored(tmp_path), None, tmp_path / "index.json")
    assert [item.category for item in joined] == [None, "coat"]
    section = by_category(joined, ("psnr",), tmp_path / "out")
    assert section.notes == ("1 pairs without a known category are left out.",)
