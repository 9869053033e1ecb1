"""The DeepFashion lists become the people, views and joints they describe."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from jcdm.data.importers.photo_names import parse_name
from jcdm.data.index import read_index
from jcdm.data.synthetic import write_dataset
from jcdm.errors import DataError

ANNA = "WOMENTees_Tanksid0000347017"
HEADER = "name:keypoints_y:keypoints_x\n"


def row(name: str, y: list[int], x: list[int], sign: str = ":") -> str:
    return f"{name}{sign}{json.dumps(y)}{sign}{json.dumps(x)}\n"


def test_the_real_lists_give_the_protocol_s_counts(import_tree, protocol_dir):
    result = import_tree("cfld", protocol_dir / "deepfashion", need_pictures=False)
    assert result.imported.counts == {"train": (12_029, 48_674), "test": (1_000, 4_038)}
    assert result.imported.skipped == ()
    assert result.generator["pairs"]["test"]["num_pairs"] == 8_670
    notes = " ".join(result.imported.notes)
    assert "frame 256x256 (largest x 246)" in notes and "another split" in notes
    assert "29 joints in the white bands" in notes
    view = next(
        view
        for view in result.records["train/fashionWOMENDressesid0000553705"].views
        if view.tags["view"] == "4_full"
    )
    np.testing.assert_allclose(view.keypoints[0], ((129.5 - 40) / 176, 24.5 / 256))
    assert view.tags == {"view": "4_full", "side": "full", "identity": "WOMEN-00005537"}


def test_the_older_lists_alone_name_their_own_pictures(import_tree, protocol_dir, root):
    for name in ("fasion-annotation-test.csv", "fasion-pairs-test.csv"):
        shutil.copy(protocol_dir / "deepfashion" / name, root)
    result = import_tree("dptn", root, need_pictures=False)
    views = [view for record in result.records.values() for view in record.views]
    assert len(views) == 4_061 and not result.imported.skipped
    missing = 1 - np.mean([view.keypoint_valid for view in views])
    assert missing == pytest.approx(0.3547, abs=0.001)
    assert any("test.lst not found" in note for note in result.imported.notes)


@pytest.mark.parametrize("data_format", ["cfld", "dptn"])
def test_drawn_people_come_back_as_they_were(import_tree, root, data_format):
    drawn = write_dataset(
        root / "p", num_identities=6, seed=3, size=(64, 44), num_views=5, test_fraction=0.34
    )
    if data_format == "dptn":
        for split in ("train", "test"):
            (root / "p" / f"{split}_highres").rename(root / "p" / split)
    result = import_tree(data_format, root / "p")
    expected = {f"{r.split}/{r.subject}": r for r in read_index(drawn)}
    assert set(result.records) == set(expected)
    for name, record in expected.items():
        found = result.records[name].views
        assert [v.image.name for v in found] == [v.image.name for v in record.views]
        for view, truth in zip(found, record.views, strict=True):
            np.testing.assert_array_equal(view.keypoint_valid, truth.keypoint_valid)
            valid = truth.keypoint_valid
            pixels = np.abs(view.keypoints - truth.keypoints)[valid] * (176, 256)
            assert pixels.max() <= 0.5 + 1e-2


@pytest.mark.parametrize("sign", [":", ": "])
@pytest.mark.parametrize("prefix", ["fasion", "fashion"])
@pytest.mark.parametrize("category", ["Tees_Tanks", "TeesTanks"])
@pytest.mark.parametrize("table", ["fasion-resize-annotation", "fashion-annotation"])
def test_every_spelling_is_the_same(import_tree, root, draw, sign, prefix, category, table):
    name = f"{prefix}WOMEN{category}id0000347017_3back.jpg"
    (root / f"{table}-test.csv").write_text(HEADER + row(name, [10] * 18, [175] * 18, sign))
    (root / "test.lst").write_text("fashionWOMENTees_Tanksid0000347017_3back.jpg\r\n")
    draw(root / "test_highres" / "fashionWOMENTees_Tanksid0000347017_3back.jpg")
    (view,) = import_tree("cfld", root, frame=(256, 176)).records[f"test/fashion{ANNA}"].views
    np.testing.assert_allclose(view.keypoints[7], (175.5 / 176, 10.5 / 256))


def test_the_frames_are_told_apart_and_square_pictures_keep_their_bands(import_tree, root, draw):
    name = f"fashion{ANNA}_1front.jpg"
    (root / "fasion-annotation-test.csv").write_text(HEADER + row(name, [128] * 18, [200] * 18))
    draw(root / "test" / name, (22, 15))
    result = import_tree("dptn", root)
    assert "frame 256x256 (largest x 200)" in result.imported.notes[0]
    np.testing.assert_allclose(
        result.records[f"test/fashion{ANNA}"].views[0].keypoints[0, 0], 160.5 / 176
    )
    draw(root / "test" / name, (16, 16))
    view = import_tree("dptn", root).records[f"test/fashion{ANNA}"].views[0]
    np.testing.assert_allclose(view.keypoints[0, 0], 200.5 / 256)


def test_missing_joints_stay_missing(import_tree, root, draw):
    name = f"fashion{ANNA}_1front.jpg"
    x = [0, -1] + [40] * 16
    (root / "fasion-resize-annotation-test.csv").write_text(HEADER + row(name, x, x))
    draw(root / "test_highres" / name)
    (view,) = import_tree("cfld", root).records[f"test/fashion{ANNA}"].views
    assert view.keypoint_valid.tolist() == [True, False] + [True] * 16


BAD_ROWS = {
    "no columns": "2 columns, expected 3",
    "not_a_name.jpg": "expected a DeepFashion one",
    f"fashion{ANNA}_2side.jpg:[1, 2]:[1, 2]": "found 2 keypoints_y, expected 18 integers",
    f"fashion{ANNA}_2side.jpg:{[1] * 18}:{[-1] * 18}": "expected both or neither to be -1",
    f"fashion{ANNA}_2side.jpg:{[1] * 18}:{[9999] * 18}": "keypoints_x 9999, expected -1 to 175",
    f"fashion{ANNA}_2side.jpg:{[1.5] * 18}:{[1] * 18}": "found 1.5 in keypoints_y",
    f"fashion{ANNA}_2side.jpg:{[-2] * 18}:{[1] * 18}": "found -2 in keypoints_y",
    f"fashion{ANNA}_1front.jpg:{[1] * 18}:{[1] * 18}": "again, expected it once",
    f"fashion{ANNA}_9none.jpg:{[1] * 18}:{[1] * 18}": "found no picture",
    f"../fashion{ANNA}_2side.jpg:{[1] * 18}:{[1] * 18}": "found '..' in the name",
    f"/x/fashion{ANNA}_2side.jpg:{[1] * 18}:{[1] * 18}": "absolute name",
}


@pytest.mark.parametrize(("bad", "words"), BAD_ROWS.items())
def test_a_bad_row_stops_the_import_or_is_listed_by_file_and_line(
    import_tree, root, draw, bad, words
):
    if bad == "no columns":
        bad = "a:b"
    elif bad == "not_a_name.jpg":
        bad = f"{bad}:{[1] * 18}:{[1] * 18}"
    names = [f"fashion{ANNA}_1front.jpg", f"fashion{ANNA}_2side.jpg", f"fashion{ANNA}_3back.jpg"]
    good = [row(name, [9] * 18, [9] * 18) for name in (names[0], names[2])]
    fillers = [row(f"fashionMENPantsid{i:010d}_1front.jpg", [9] * 18, [9] * 18) for i in range(120)]
    for name in (*names, *(line.partition(":")[0] for line in fillers)):
        draw(root / "test" / name)
    table = root / "fasion-resize-annotation-test.csv"
    table.write_text(HEADER + good[0] + bad + "\n" + good[1] + "".join(fillers))
    with pytest.raises(DataError) as caught:
        import_tree("dptn", root)
    message = str(caught.value)
    assert f"{table}:3: " in message and words in message and "\n" not in message
    assert "--on_bad skip" in message
    result = import_tree("dptn", root, on_bad="skip")
    (skipped,) = result.generator["skipped"]
    assert skipped["where"] == f"{table.name}:3" and words in skipped["reason"]
    assert result.generator["num_skipped"] == 1
    assert len(result.records[f"test/fashion{ANNA}"].views) == 2


def test_pairs_of_strangers_or_of_unknown_pictures_are_reported(import_tree, root, draw):
    names = [f"fashion{ANNA}_1front.jpg", f"fashion{ANNA}_2side.jpg"]
    other = "fashionMENPantsid0000000101_1front.jpg"
    (root / "test.lst").write_text("\n".join([*names, other]))
    for name in (*names, other):
        draw(root / "test" / name)
    pairs = [
        ",".join(names),
        f"{names[0]},{other}",
        f"{names[0]},fashion{ANNA}_3back.jpg",
        f"{names[0]},{names[0]}",
        names[0],
    ]
    (root / "fashion-pairs-test.csv").write_text("from,to\n" + "\n".join(pairs))
    result = import_tree("dptn", root, on_bad="skip")
    assert result.generator["pairs"]["test"]["num_pairs"] == 1
    lines = [entry["where"].rpartition(":")[2] for entry in result.generator["skipped"]]
    assert sorted(lines) == ["3", "4", "5", "6"]


def test_keypoints_of_a_picture_no_list_names_are_reported(import_tree, root, draw):
    (root / "test.lst").write_text(f"fashion{ANNA}_1front.jpg\n")
    draw(root / "test" / f"fashion{ANNA}_1front.jpg")
    table = HEADER + row(f"fashion{ANNA}_2side.jpg", [5] * 18, [5] * 18)
    (root / "fasion-resize-annotation-test.csv").write_text(table)
    with pytest.raises(DataError, match=r"annotation-test\.csv:2: found keypoints of .*_2side"):
        import_tree("dptn", root)


def test_a_picture_in_both_lists_is_reported(import_tree, root, draw):
    name = f"fashion{ANNA}_1front.jpg"
    for split in ("train", "test"):
        (root / f"{split}.lst").write_text(name)
        draw(root / split / name)
    with pytest.raises(DataError, match=r"test\.lst:1: found .* again.*train\.lst:1"):
        import_tree("dptn", root)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.txt", b"", "found no list, expected train.lst"),
        ("fasion-pairs-test.csv", b"a;b\n", "csv:1: found 'a;b', expected the header 'from,to'"),
        ("test.lst", b"\xff\xfe\x00", "is no UTF-8 text"),
        ("test.lst", b"fashion\n", "test.lst:1: found the name 'fashion'"),
    ],
)
def test_a_root_that_is_none_is_one_line(import_tree, root, name, content, words):
    (root / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        import_tree("cfld", root)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_names_of_the_download_and_of_the_lists_are_one():
    flat = parse_name("train/fasionWOMENTeesTanksid0000347017_3back.png")
    tree = parse_name("img_highres/WOMEN/Tees_Tanks/id_00003470/17_3_back.jpg")
    assert flat == tree and flat is not None
    assert flat.protocol_name == "fashionWOMENTees_Tanksid0000347017_3back.jpg"
    assert parse_name("fashionCATSid0000347017_3back.jpg") is None


def test_small_subjects_can_be_left_out(import_tree, protocol_dir, root):
    shutil.copy(protocol_dir / "deepfashion" / "test.lst", root)
    result = import_tree("cfld", root, need_pictures=False, min_views=2)
    assert result.imported.counts == {"test": (988, 4_026)}
    assert "12 subjects with fewer than 2 views left out" in result.imported.notes


def test_the_index_does_not_depend_on_the_order_of_lines(import_tree, protocol_dir, root, tmp_path):
    lines = (protocol_dir / "deepfashion" / "test.lst").read_text().split()
    lines[5:5] = ["broken.jpg", "../escape.jpg"]
    found = []
    for order in (1, -1):
        (root / "test.lst").write_text("\n".join(lines[::order]))
        result = import_tree("cfld", root, need_pictures=False, on_bad="skip")
        found.append(json.loads(result.imported.index.read_text()))
    assert found[0]["subjects"] == found[1]["subjects"]
    reasons = [{e["reason"] for e in document["generator"]["skipped"]} for document in found]
    assert reasons[0] == reasons[1] and len(reasons[0]) == 2


def test_pictures_folder_layout_is_relative_to_the_index(import_tree, root, draw):
    draw(root / "test_highres" / f"fashion{ANNA}_1front.png")
    (root / "test.lst").write_text(f"fashion{ANNA}_1front.jpg\n")
    (view,) = import_tree("cfld", root).records[f"test/fashion{ANNA}"].views
    assert view.image == Path(root / "test_highres" / f"fashion{ANNA}_1front.png")
