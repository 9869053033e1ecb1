"""Market-1501 as the pose-transfer protocol uses it: pictures of 128x64 and their tables."""

import re

from jcdm.data.importers.base import RowError, Source, ViewRow
from jcdm.data.importers.joints import NO_KEYPOINTS, NONE_VALID, Joints, pixel_joints
from jcdm.data.importers.paths import Pictures
from jcdm.data.importers.tables import Pair, check_frame, read_annotation, read_pairs
from jcdm.data.importers.text import shown
from jcdm.errors import DataError

FRAME = (128, 64)
FOLDERS = {"train": ("bounding_box_train", "train", ""), "test": ("bounding_box_test", "test", "")}
NOBODY = ("-1", "0000")
"""Identities of boxes that show no person, or people nobody follows; they are left out."""
_NAME = re.compile(r"(-1|\d{4})_c(\d)s(\d)_(\d{6})_(\d{2})(?:\.jpg)?\.(?:jpg|jpeg|png)", re.ASCII)


def read(source: Source) -> list[ViewRow]:
    """Read market-annotation-*.csv and market-pairs-*.csv; -1 and 0000 are left out."""
    rows: list[ViewRow] = []
    for split in ("train", "test"):
        views = _read_split(source, split)
        _read_pairs(source, split, {row.image.stem for row in views})
        rows += views
    if not rows:
        raise DataError(
            f"{source.root}: found no person, expected market-annotation-train.csv or -test.csv. "
            "Check --root."
        )
    return rows


def parse_identity(name: str) -> tuple[str, str]:
    """Identity and camera of a name such as 0228_c6s3_006817_02.jpg; RowError otherwise."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise RowError(
            f"found the name {shown(name)}, expected one such as 0228_c6s3_006817_02.jpg."
        )
    return found[1], f"c{found[2]}s{found[3]}"


def _read_split(source: Source, split: str) -> list[ViewRow]:
    path = source.root / f"market-annotation-{split}.csv"
    if not path.is_file():
        return []
    pictures, rows, num_nobody = Pictures(source, FOLDERS[split]), [], 0
    for where, name, points in read_annotation(path, source):
        with source.ledger.row(where):
            identity, camera = parse_identity(name)
            if identity in NOBODY:
                num_nobody += 1
                continue
            check_frame(points, source.options.frame or FRAME)
            joints = Joints(NO_KEYPOINTS, NONE_VALID)
            if (points >= 0).any():
                joints = pixel_joints(points, source.options.frame or FRAME)
            rows.append(
                ViewRow(
                    where=where,
                    subject=identity,
                    split=split,
                    image=pictures.find(name),
                    keypoints=joints.keypoints,
                    keypoint_valid=joints.valid,
                    tags={"camera": camera, "identity": identity},
                )
            )
    if num_nobody:
        source.ledger.note(
            f"{path.name}: {num_nobody} rows of identity {' and '.join(NOBODY)} left out: "
            "they belong to no person"
        )
    return rows


def _read_pairs(source: Source, split: str, known: set[str]) -> None:
    path = source.root / f"market-pairs-{split}.csv"
    pairs = read_pairs(path, source) if path.is_file() else []
    good: list[Pair] = []
    for pair in pairs:
        with source.ledger.row(pair.where):
            first, second = (parse_identity(name)[0] for name in (pair.source, pair.target))
            if first != second:
                raise RowError(f"found people {first} and {second}, expected pictures of one.")
            for name in (pair.source, pair.target):
                if name.rpartition(".")[0] not in known:
                    raise RowError(f"found {shown(name)}, expected a picture with keypoints.")
            good.append(pair)
    if pairs:
        source.ledger.add_pairs(split, path, len(good))
