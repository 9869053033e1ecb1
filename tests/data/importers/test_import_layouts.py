"""Each other layout becomes people, views and joints; what leads out of the root is refused."""

import json
import zipfile

import numpy as np
import pytest

from jcdm.errors import DataError

ANNA = "fashionWOMENDressesid0000262902"
NAMES = [f"{ANNA}_1front.jpg", f"{ANNA}_2side.jpg", f"{ANNA}_3back.jpg"]
TREE = [f"WOMEN/Dresses/id_00002629/02_{view}.jpg" for view in ("1_front", "2_side", "3_back")]


def test_pcdms(import_tree, root, draw):
    for name in NAMES:
        draw(root / "all_data_png" / name.replace(".jpg", ".png"))
    items = [{"source_image": NAMES[0], "target_image": name} for name in NAMES[1:]]
    (root / "train_data.json").write_text(json.dumps(items))
    (root / "normalized_pose_txt").mkdir()
    lines = ["0.25 0.5"] * 16 + ["-1 -1", "0 0"]
    (root / "normalized_pose_txt" / f"{ANNA}_1front.txt").write_text("\n".join(lines))
    views = import_tree("pcdms", root).records[f"train/{ANNA}"].views
    assert [view.image.suffix for view in views] == [".png"] * 3
    assert views[0].keypoints[0].tolist() == [0.25, 0.5]
    assert views[0].keypoint_valid.tolist() == [True] * 16 + [False] * 2
    assert not views[1].keypoint_valid.any()


def test_imagpose_with_pose_pictures_and_a_prefix_to_cut(import_tree, root, draw):
    for folder in ("image", "dwpose"):
        draw(root / folder / "anna" / "1.png")
    draw(root / "image" / "anna" / "2.png")
    names = [f"/data/x/image/anna/{n}.png" for n in (1, 2)]
    (root / "people_test.json").write_text(json.dumps([names]))
    with pytest.raises(DataError, match=r"people_test\.json:1 \(entry 1\): found the absolute"):
        import_tree("imagpose", root)
    (record,) = import_tree("imagpose", root, strip_prefix="/data/x/").records.values()
    assert record.split == "test" and len(record.views) == 2
    assert [view.pose_map is not None for view in record.views] == [True, False]


@pytest.mark.parametrize("in_pixels", [False, True])
def test_jcdm_with_shares_and_with_pixels(import_tree, root, draw, in_pixels):
    for name in NAMES:
        draw(root / "image" / name, (20, 10))
    (root / "train.json").write_text(json.dumps([{f"img{i}": n for i, n in enumerate(NAMES, 1)}]))
    point = [4.5, 14.5] if in_pixels else [0.5, 0.75]
    poses = [{"img": NAMES[0], "coordinate": [point] * 17 + [[-1, -1]]}]
    (root / "poses.json").write_text(json.dumps(poses))
    result = import_tree("jcdm", root)
    view = result.records[f"train/{ANNA}"].views[0]
    np.testing.assert_allclose(view.keypoints[0], (0.5, 0.75))
    assert view.keypoint_valid.sum() == 17
    assert ("pixels" in result.imported.notes[0]) == in_pixels


def test_pidm(import_tree, root, draw):
    for name in TREE:
        draw(root / "img" / name)
    (root / "train_pairs.txt").write_text(", ".join(f"img/{name}" for name in TREE))
    pose = root / "pose" / TREE[0].replace(".jpg", ".txt")
    pose.parent.mkdir(parents=True)
    pose.write_text("\n".join(["128 100"] * 17 + ["-1 -1"]))
    view = import_tree("pidm", root).records[f"train/{ANNA}"].views[0]
    np.testing.assert_allclose(view.keypoints[0], (88.5 / 176, 100.5 / 256))
    assert view.keypoint_valid.sum() == 17


def test_market_leaves_nobody_out(import_tree, root, draw):
    names = ["0228_c6s3_006817_02.jpg", "0228_c6s1_052601_01.jpg", "-1_c5s3_086412_11.jpg"]
    joints = f"{[10] * 17 + [-1]}: {[20] * 17 + [-1]}"
    rows = "".join(f"{name}: {joints}\n" for name in names)
    (root / "market-annotation-test.csv").write_text(f"name:keypoints_y:keypoints_x\n{rows}")
    (root / "market-pairs-test.csv").write_text(f"from,to\n{names[0]},{names[1]}\n")
    for name in names[:2]:
        draw(root / "bounding_box_test" / name)
    result = import_tree("market", root)
    (record,) = result.records.values()
    np.testing.assert_allclose(record.views[0].keypoints[0], (20.5 / 64, 10.5 / 128))
    assert len(record.views) == 2 and result.generator["pairs"]["test"]["num_pairs"] == 1
    assert "1 rows of identity -1 and 0000 left out" in " ".join(result.imported.notes)


def test_own_photographs(import_tree, root, draw):
    for name in ("anna/10.png", "anna/2.png", "bo/1.jpg"):
        draw(root / name)
    (root / "anna" / "notes.txt").write_text("x")
    records = import_tree("folder", root).records
    assert [view.image.name for view in records["test/anna"].views] == ["2.png", "10.png"]
    assert not records["test/bo"].views[0].keypoint_valid.any()


def test_the_download_with_its_renaming(import_tree, root, draw, tmp_path):
    for name in TREE:
        draw(root / "img_highres" / name)
    (root / "train.lst").write_text("\n".join(NAMES[:2]))
    result = import_tree("highres", root, arrange=tmp_path / "fashion")
    assert [view.image.name for view in result.records[f"train/{ANNA}"].views] == NAMES[:2]
    assert (tmp_path / "fashion" / "train_highres" / NAMES[0]).is_file()
    assert "1 pictures of the download are in no list: left out" in result.imported.notes


def test_a_zip_file_is_unpacked(import_tree, root, draw, tmp_path):
    with zipfile.ZipFile(root / "img.zip", "w") as archive:
        archive.write(draw(tmp_path / "a.jpg"), f"img_highres/{TREE[0]}")
    (root / "train.lst").write_text(NAMES[0])
    result = import_tree("highres", root / "img.zip")
    assert result.imported.counts == {"train": (1, 1)}


@pytest.mark.parametrize("name", ["../a.jpg", "/a.jpg", "x/../../a.jpg", "C:/a.jpg", "..\\a.jpg"])
def test_a_zip_file_does_not_leave_its_folder(import_tree, root, name):
    with zipfile.ZipFile(root / "img.zip", "w") as archive:
        archive.writestr("good.jpg", "x")
        archive.writestr(name, "x")
    with pytest.raises(DataError, match="leads out of the folder"):
        import_tree("highres", root / "img.zip")
    assert [path.name for path in root.iterdir()] == ["img.zip"]


def test_a_link_in_a_zip_file_and_a_broken_zip_file_are_refused(import_tree, root):
    link = zipfile.ZipInfo("a.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(root / "img.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="a link or device"):
        import_tree("highres", root / "img.zip")
    (root / "img.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="no complete zip file"):
        import_tree("highres", root / "img.zip")


def test_a_password_is_needed_and_must_be_right(import_tree, root):
    with zipfile.ZipFile(root / "img.zip", "w") as archive:
        archive.writestr("a.jpg", "x" * 50)
    content = bytearray((root / "img.zip").read_bytes())
    content[6] |= 1  # says that the file is encrypted
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (root / "img.zip").write_bytes(bytes(content))
    with pytest.raises(DataError, match="needs a password"):
        import_tree("highres", root / "img.zip")
    with pytest.raises(DataError, match="wrong password"):
        import_tree("highres", root / "img.zip", password="guess")
    assert [path.name for path in root.iterdir()] == ["img.zip"]


def test_links_out_of_the_root_are_refused_by_line(import_tree, root, draw, tmp_path):
    outside = draw(tmp_path / "outside.jpg")
    (root / "test").mkdir()
    (root / "test" / NAMES[0]).symlink_to(outside)
    (root / "test.lst").write_text(NAMES[0])
    with pytest.raises(DataError, match=r"test\.lst:1: found .* link out of --root"):
        import_tree("dptn", root)
