"""Lists as long as the published protocol's, with made-up names and joints."""

from pathlib import Path

from jcdm.seeding import generator

NUM_SUBJECTS = {"train": 12_029, "test": 1_000}
NUM_VIEWS = {"train": 48_674, "test": 4_038}
NUM_PAIRS = {"train": 101_966, "test": 8_570}
FRAME = (256, 176)
_SIDES = ("1front", "2side", "3back", "4full", "7additional")


def write_lists(folder: Path) -> None:
    """Write train.lst, test.lst, annotations and pairs of both splits, as the protocol names them.

    Every subject has four views and some a fifth, until the protocol's counts are reached.
    """
    for number, split in enumerate(NUM_VIEWS):
        stream = generator(number, "bench lists")
        names = _names(split, number)
        (folder / f"{split}.lst").write_text("\n".join(names) + "\n", encoding="utf-8")
        joints = stream.integers(0, FRAME, (len(names), 18, 2)).transpose(0, 2, 1).tolist()
        rows = [f"{name}: {y}: {x}" for name, (y, x) in zip(names, joints, strict=True)]
        _write(folder / f"fasion-annotation-{split}.csv", "name:keypoints_y:keypoints_x", rows)
        firsts = 4 * stream.integers(0, NUM_SUBJECTS[split], NUM_PAIRS[split])
        others = stream.integers(1, 4, NUM_PAIRS[split])
        pairs = [
            f"{names[i]},{names[i + j]}"
            for i, j in zip(firsts.tolist(), others.tolist(), strict=True)
        ]
        _write(folder / f"fasion-pairs-{split}.csv", "from,to", list(dict.fromkeys(pairs)))


def _names(split: str, number: int) -> list[str]:
    """Name views, the four of every subject first, then fifth ones."""
    subjects = [f"fasionWOMENDressesid{number}{i:07d}" for i in range(NUM_SUBJECTS[split])]
    names = [f"{name}01_{side}.jpg" for name in subjects for side in _SIDES[:4]]
    num_fifth = NUM_VIEWS[split] - len(names)
    return names + [f"{name}01_{_SIDES[4]}.jpg" for name in subjects[:num_fifth]]


def _write(file: Path, header: str, rows: list[str]) -> None:
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
