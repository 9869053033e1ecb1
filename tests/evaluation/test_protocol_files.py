"""Which files a protocol looks at, and what it makes of one picture."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from jcdm.errors import ConfigError, DataError, MissingViewError
from jcdm.evaluation.protocols.files import (
    find_pairs,
    list_pictures,
    make_batches,
    published_truth_name,
    read_pairs,
    same_names,
)
from jcdm.evaluation.protocols.pictures import read_resized
from jcdm.evaluation.protocols.protocol import PROTOCOLS, find_protocol


def save(folder: Path, *names: str, size: tuple[int, int] = (20, 30)) -> None:
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        pixels = np.random.default_rng(i).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)


def test_lists_are_sorted_kind_after_kind_or_by_name(tmp_path: Path) -> None:
    save(tmp_path, "c.jpg", "a.png", "b.jpg")
    (tmp_path / "note.txt").write_text("")
    kinds = (".jpg", ".png")
    found = [p.name for p in list_pictures(tmp_path, kinds, by_suffix=True)]
    assert found == ["b.jpg", "c.jpg", "a.png"]
    found = [p.name for p in list_pictures(tmp_path, kinds, by_suffix=False)]
    assert found == ["a.png", "b.jpg", "c.jpg"]
    found = [p.name for p in list_pictures(tmp_path, (".jpg",), by_suffix=True)]
    assert found == ["b.jpg", "c.jpg"]


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not found"):
        list_pictures(tmp_path / "absent", (".jpg",), by_suffix=True)
    with pytest.raises(DataError, match=r"no picture ending in \.jpg"):
        list_pictures(tmp_path, (".jpg",), by_suffix=True)


@pytest.mark.parametrize(
    ("num", "batch", "drop", "sizes", "after"),
    [
        (150, 128, True, [128], 128),
        (71, 128, True, [71], 71),
        (9, 6, True, [6], 6),
        (70, 64, True, [64], 64),
        (70, 16, False, [16, 16, 16, 16, 6], 16),
        (9, None, False, [9], None),
        (0, 128, True, [], 0),
    ],
)
def test_batches(num: int, batch: int | None, drop: bool, sizes: list[int], after: object) -> None:
    found = make_batches(num, batch, drop_tail=drop)
    assert (found.sizes, found.batch_after) == (sizes, after)


def test_published_names_pair_and_others_are_skipped(tmp_path: Path) -> None:
    truth, generated = tmp_path / "truth", tmp_path / "generated"
    save(truth, "xb.png", "xpng1.png")
    save(generated, "xa_to_xb.jpg", "xa_to_xjpg1.png", "xa_to_xc.png", "q_to_xa_to_xb.png")
    found = find_pairs(PROTOCOLS["pcdms"], generated, truth, None)
    assert [(p.generated.name, p.truth.name) for p in found.pairs] == [
        ("q_to_xa_to_xb.png", "xb.png"),
        ("xa_to_xb.jpg", "xb.png"),
        ("xa_to_xjpg1.png", "xpng1.png"),
    ]
    assert found.without_truth == ["xa_to_xc.png"]
    assert published_truth_name("xa_to_xb.jpg") == "xb.png"
    for path in truth.iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no picture in"):
        find_pairs(PROTOCOLS["pcdms"], generated, truth, None)


def test_lists_of_pairs(tmp_path: Path) -> None:
    truth, generated, table = tmp_path / "truth", tmp_path / "generated", tmp_path / "pairs.csv"
    save(truth, "b.png", "a.png")
    save(generated, "1.jpg", "2.jpg")
    table.write_text("truth,raw\nb.png,1.jpg\na.png,2.jpg\n")
    found = find_pairs(PROTOCOLS["cfld"], generated, truth, table)
    assert [p.truth.name for p in found.pairs] == ["b.png", "a.png"]
    for text, message in (
        ("truth,raw\nc.png,1.jpg\n", "1 of 2 pictures to score not found"),
        ("truth,raw\n", "no row"),
        ("truth,raw\nb.png,1.jpg\nb.png\n", r"pairs\.csv:3: found \['b\.png'\]"),
        ("truth,raw\n../b.png,1.jpg\n", r"pairs\.csv:2: found .*expected two names"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            find_pairs(PROTOCOLS["cfld"], generated, truth, table)
    table.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="no CSV text"):
        read_pairs(table, generated, truth)
    with pytest.raises(DataError, match="not found"):
        read_pairs(tmp_path / "absent.csv", generated, truth)


def test_broken_rows_are_left_out_and_named(tmp_path: Path) -> None:
    truth, generated, table = tmp_path / "truth", tmp_path / "generated", tmp_path / "pairs.csv"
    table.write_text("truth,raw\nb.png\nb.png,1.jpg\n/b.png,1.jpg\n")
    found = read_pairs(table, generated, truth, "skip")
    assert [p.truth.name for p in found.pairs] == ["b.png"]
    assert list(found.bad_rows) == [f"{table}:2", f"{table}:4"]


def test_equal_names_pair_and_a_missing_truth_is_no_skip(tmp_path: Path) -> None:
    truth, generated = tmp_path / "truth", tmp_path / "generated"
    save(truth, "a.png", "b.png")
    save(generated, "a.jpg", "x_to_b.jpg")
    assert [p.truth.name for p in same_names(generated, truth)] == ["a.png", "b.png"]
    save(generated, "c.jpg")
    with pytest.raises(DataError, match=r"1 of 6 pictures .*c\.jpg"):
        find_pairs(PROTOCOLS["cfld"], generated, truth, None)
    save(truth, "a.jpg")
    with pytest.raises(DataError, match="one picture a name"):
        same_names(generated, truth)


def test_each_resize_is_what_it_says(tmp_path: Path) -> None:
    save(tmp_path, "p.png")
    path, size = tmp_path / "p.png", (52, 36)
    pixels = np.asarray(Image.open(path))
    cubic = cv2.resize(pixels.astype(np.float32), size[::-1], interpolation=cv2.INTER_CUBIC) / 255
    found = read_resized(path, size, "opencv_cubic")
    np.testing.assert_allclose(found, cubic, atol=1e-6)
    assert found.min() < 0 and found.max() > 1  # neither clipped nor rounded
    bicubic = Image.open(path).resize(size[::-1], Image.Resampling.BICUBIC)
    eight = read_resized(path, size, "pillow_bicubic")
    assert np.array_equal(np.rint(eight * 255), np.asarray(bicubic))
    cut = read_resized(path, size, "torch_bicubic_antialiased") * 255
    assert np.array_equal(np.rint(cut), np.rint(cut).clip(0, 255))
    assert -1 < (cut - eight * 255).mean() < -0.2  # cut off, not rounded
    for found in (read_resized(path, (30, 20), r) for r in ("opencv_cubic", "pillow_bicubic")):
        np.testing.assert_array_equal(np.rint(found * 255), pixels)


def test_bad_pictures_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for decode in ("plain", "upright"):
        with pytest.raises(DataError, match=r"text\.png cannot be read") as caught:
            read_resized(tmp_path / "text.png", (30, 20), "pillow_bicubic", decode)
        assert "\n" not in str(caught.value)
        with pytest.raises(MissingViewError, match="not found"):
            read_resized(tmp_path / "absent.png", (30, 20), "pillow_bicubic", decode)


def test_an_unknown_protocol_is_named() -> None:
    assert find_protocol("strict") is PROTOCOLS["strict"]
    with pytest.raises(ConfigError, match="expected one of pcdms, cfld, strict"):
        find_protocol("best")
