"""Which pictures are shown: a fixed rule, the worst in order, and no other file is opened."""

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scored_world import World, make_world, write_scored

from jcdm.errors import DataError
from jcdm.evaluation.report import read_report
from jcdm.evaluation.score_report import write_score_report
from jcdm.evaluation.score_report.items import join_items
from jcdm.evaluation.score_report.pictures import choose_spread
from jcdm.evaluation.score_report.scored import read_scored

NUM_PAIRS = 8570


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def cards(out: Path) -> list[dict]:
    return [card for section in read_report(out)["sections"] for card in section["cards"]]


def large_rows() -> list[dict]:
    """As many rows as the DeepFashion protocol has, in an order of their own; some values tie."""
    draw = np.random.default_rng(1)
    garments = ("WOMENDresses", "MENShorts", "WOMENPants")
    rows = []
    for number in draw.permutation(NUM_PAIRS):
        subject = f"fashion{garments[number % 3]}id{number:08d}01"
        rows.append(
            {
                "generated": f"{subject}_1front_to_{subject}_2back.png",
                "truth": f"{subject}_2back.png",
                "psnr": f"{draw.uniform(10, 25):.4f}",
                "ssim_256": f"{draw.uniform(0.4, 0.9):.2f}",
                "lpips": f"{draw.uniform(0.05, 0.5):.3f}" if number % 50 else "",
            }
        )
    return rows


def shown_rows(rows: Sequence[dict]) -> list[dict]:
    """Twelve evenly spread over the sorted list, and the fifty with the highest LPIPS."""
    ordered = sorted(rows, key=lambda row: row["generated"])
    spread = [ordered[round(i * (len(rows) - 1) / 11)] for i in range(12)]
    scored = [row for row in ordered if row["lpips"]]
    return spread + sorted(scored, key=lambda row: -float(row["lpips"]))[:50]


def test_of_a_whole_protocol_only_shown_pictures_are_opened(tmp_path: Path) -> None:
    rows = large_rows()
    shown = shown_rows(rows)
    draw = np.random.default_rng(2)
    for kind in ("generated", "truth"):
        (tmp_path / kind).mkdir()
        for row in shown:
            noise = draw.integers(0, 256, (32, 22, 3), np.uint8)
            photo = Image.fromarray(noise).resize((176, 256), Image.Resampling.BICUBIC)
            photo.save(tmp_path / kind / row[kind])
    write_scored(tmp_path / "scored", rows, tmp_path, size=[256, 176])
    start = time.perf_counter()
    page = write_score_report(tmp_path / "out", tmp_path / "scored")
    assert time.perf_counter() - start < 30
    assert page.stat().st_size < 15e6
    found = cards(page.parent)
    assert [card["lines"][-2] for card in found] == [row["generated"] for row in shown[12:]]
    values = [float(re.findall(r"[\d.]+", card["title"])[-1]) for card in found]
    assert values == [float(row["lpips"]) for row in shown[12:]]
    assert values == sorted(values, reverse=True) and len(values) == 50


def test_the_worst_by_ssim_come_lowest_first(world: World) -> None:
    out = world.root / "out"
    write_score_report(out, world.scored, task=world.task, index=world.index)
    lowest = sorted(world.rows, key=lambda row: row["ssim_256"])
    assert [card["lines"][-1] for card in cards(out)] == [row["truth"] for row in lowest]
    first = Image.open(out / cards(out)[0]["file"])
    expected = lowest[0]["generated"].count("+") + 3  # references, generated, truth
    assert first.size == (22 * expected + 6 * (expected - 1), 32)
    assert [np.asarray(first)[16, x].tolist() for x in (11, first.width - 11)] == [
        [90] * 3,
        [200] * 3,
    ]


def test_the_sheet_shows_references_pose_generated_and_truth(world: World) -> None:
    out = world.root / "out"
    write_score_report(out, world.scored, task=world.task, index=world.index)
    files = sorted(out.glob("sheets/*.jpg"))
    assert len(files) == 2
    sheet = np.asarray(Image.open(files[0])).astype(int)
    row = sheet[30 : 30 + 32]
    # 120 of label, columns of 22 and gaps of 6, 12 more before the pose
    assert abs(row[16, 120 + 11] - 90).max() < 3
    pose = row[:, 120 + 2 * 28 + 18 :][:, :22]
    assert pose.min() < 10 and pose.max() > 60
    assert abs(row[16, -17] - 200).max() < 3


def test_pictures_of_high_resolution_are_made_small(tmp_path: Path) -> None:
    for kind in ("generated", "truth"):
        (tmp_path / kind).mkdir()
        Image.new("RGB", (352, 512), "green").save(tmp_path / kind / "a.png")
    rows = [{"generated": "a.png", "truth": "a.png", "psnr": 20}]
    write_scored(tmp_path / "scored", rows, tmp_path, size=[512, 352])
    out = tmp_path / "out"
    write_score_report(out, tmp_path / "scored")
    assert Image.open(out / "worst" / "01.jpg").size == (2 * 110 + 6, 160)
    assert Image.open(out / "sheets" / "sheet_1.jpg").size == (120 + 2 * (176 + 6), 30 + 256 + 6)


def test_missing_pictures_are_one_clear_error(world: World) -> None:
    lost = world.root / "truth" / world.rows[0]["truth"]
    lost.unlink()
    with pytest.raises(DataError, match=r"1 of 48 .* not found, first: .*1front\.png\. Name") as e:
        write_score_report(world.root / "out", world.scored)
    assert "--truth DIR" in str(e.value) and "\n" not in str(e.value)
    assert not (world.root / "out").exists()


def test_a_picture_that_is_none_is_named(world: World) -> None:
    (world.root / "generated" / world.rows[0]["generated"]).write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be read"):
        write_score_report(world.root / "out", world.scored)


def test_the_choice_does_not_depend_on_order_or_scores(world: World, tmp_path: Path) -> None:
    chosen = choose_spread(join_items(read_scored(world.scored), None, None))
    names = [item.pair.generated for item in chosen]
    assert names == sorted(names) and len(set(names)) == 12
    other = [row | {"ssim_256": 0.1, "psnr": 5} for row in reversed(world.rows)]
    write_scored(tmp_path / "other", other, world.root)
    again = choose_spread(join_items(read_scored(tmp_path / "other"), None, None))
    assert [item.pair.generated for item in again] == names


def test_the_manifest_of_the_painting_is_kept(world: World) -> None:
    run = world.root / "run"
    (run / "seed_0").mkdir(parents=True)
    (world.root / "generated").rename(run / "seed_0" / "generated")
    (run / "manifest.json").write_text(json.dumps({"pipeline": "weights/mine", "seed": 0}))
    out = world.root / "out"
    named = {"generated": run / "seed_0" / "generated", "truth": world.root / "truth"}
    write_score_report(out, world.scored, **named)
    manifest = read_report(out)["manifest"]
    assert manifest["painting"] == {"pipeline": "weights/mine", "seed": 0}
    assert manifest["scoring"]["code"] == {"commit": "abc123", "dirty": False}
    assert set(manifest["sha256"]) == {"scores.json", "per_pair.csv"}
    (run / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        write_score_report(out, world.scored, **named)
