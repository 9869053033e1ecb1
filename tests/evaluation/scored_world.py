"""Scored folders with pictures, an index and a task, made by the tests of the score report."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jcdm.data.index import write_index
from jcdm.evaluation.protocols.protocol import find_protocol
from jcdm.plain import to_plain
from jcdm.records import NUM_KEYPOINTS, SubjectRecord, ViewRecord

SIZE = (32, 22)
SIDES = ("1front", "2back", "3side", "4full")
GARMENTS = ("WOMENDresses", "MENShorts", "WOMENTees_Tanks")


@dataclass(frozen=True)
class World:
    """Where everything lies, and the rows of per_pair.csv."""

    root: Path
    rows: Sequence[Mapping[str, Any]]

    @property
    def scored(self) -> Path:
        return self.root / "scored"

    @property
    def index(self) -> Path:
        return self.root / "index.json"

    @property
    def task(self) -> Path:
        return self.root / "task.json"


def write_scored(
    folder: Path, pairs: Sequence[Mapping[str, Any]], pictures: Path, **more: Any
) -> None:
    """Write scores.json and per_pair.csv as scoring does; `more` replaces keys."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in pairs[0] if name not in ("generated", "truth")]
    scores = {n: float(np.nanmean([float(row[n] or "nan") for row in pairs])) for n in names}
    content = {
        "format": "jcdm-scores",
        "version": 2,
        "method": "made <b>&",
        "protocol": json.loads(json.dumps(to_plain(find_protocol("strict")))),
        "size": list(SIZE),
        "num_pairs": len(pairs),
        "seeds": [3],
        "best_of": None,
        "scores": scores,
        "counts": {name: len(pairs) for name in names},
        "intervals": {name: [value * 0.9, value * 1.1] for name, value in scores.items()},
        "spread": {},
        "rows": {"ground truth": {"ssim_256": 1.0, "psnr": "inf"}},
        "reported": {},
        "dropped": {"without_truth": ["lost.png"]},
        "skipped": [{"file": "broken<i>.png", "reason": "it is empty"}],
        "lists": {"pairs": []},
        "notes": ["fid left out: no weights."],
        "weights": {"alexnet": "alexnet.pth", "inception": None},
        "folders": {kind: str(pictures / kind) for kind in ("generated", "truth")},
        "pipeline": "weights/mine",
        "code": {"commit": "abc123", "dirty": False},
        "versions": {"numpy": "2.0"},
        **more,
    }
    (folder / "scores.json").write_text(json.dumps(content), encoding="utf-8")
    with (folder / "per_pair.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(pairs[0]))
        table.writeheader()
        table.writerows(pairs)


def make_world(root: Path, num_references: Sequence[int] = (1, 2)) -> World:
    """Six people of four views; every view is a target, with references in turn as many as said.

    Joints of view v lie in a column at x = 0.1 (v + 1) + 0.01 p for person p.
    """
    draw = np.random.default_rng(0)
    people = [_person(root, number) for number in range(6)]
    write_index(root / "index.json", people)
    rows, items = [], []
    for person in people:
        for place, target in enumerate(person.views):
            others = [view for view in person.views if view is not target]
            given = others[: num_references[len(rows) % len(num_references)]]
            name = "+".join(view.image.stem for view in given) + f"_to_{target.image.stem}.png"
            rows.append(
                {
                    "generated": name,
                    "truth": f"{target.image.stem}.png",
                    "psnr": round(float(draw.uniform(10, 30)), 4),
                    "ssim_256": round(float(draw.uniform(0.3, 0.9)), 4),
                }
            )
            names = {"references": [view.image.name for view in given]}
            items.append({"subject": person.subject, **names, "targets": [target.image.name]})
            _paint(root / "generated" / name, 40 * place)
            _paint(root / "truth" / rows[-1]["truth"], 200)
    task = {"format": "jcdm-task", "version": 1, "split": "test", "items": items}
    (root / "task.json").write_text(json.dumps(task))
    write_scored(root / "scored", rows, root)
    return World(root=root, rows=rows)


def _person(root: Path, number: int) -> SubjectRecord:
    subject = f"fashion{GARMENTS[number % 3]}id000000{number:02d}01"
    views = []
    for place, side in enumerate(SIDES):
        points = np.full((NUM_KEYPOINTS, 2), 0.1 * (place + 1) + 0.01 * number)
        points[:, 1] = np.linspace(0.1, 0.9, NUM_KEYPOINTS)
        file = root / "photos" / f"{subject}_{side}.jpg"
        _paint(file, 90)
        views.append(
            ViewRecord(image=file, keypoints=points, keypoint_valid=np.ones(NUM_KEYPOINTS, bool))
        )
    return SubjectRecord(subject=subject, views=tuple(views), split="test")


def _paint(file: Path, level: int) -> None:
    file.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((*SIZE, 3), level, np.uint8)).save(file)
