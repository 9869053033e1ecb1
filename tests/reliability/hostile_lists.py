"""Good files of configurations, lists and data, and what reads each: to be damaged by tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hostile_inputs import damaged_bytes, damaged_json, damaged_lines, damaged_yaml
from hypothesis import strategies as st
from PIL import Image

from jcdm.cli.options import read_config
from jcdm.config import Config, TestConfig
from jcdm.data.checks import check_index
from jcdm.data.images import load_image
from jcdm.data.importers.base import Options
from jcdm.data.importers.run import import_data
from jcdm.data.index import _read_version, read_index
from jcdm.data.pose_files import read_pose_file
from jcdm.data.protocol import pair_tables, read_generator
from jcdm.data.tasks import write_tasks
from jcdm.evidence.plan import read_plan
from jcdm.logs import read_metrics
from jcdm.pipelines.photograph_files import read_targets

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
ANNA = "fashionWOMENDressesid0000262902"
NAMES = [f"{ANNA}_1front.jpg", f"{ANNA}_2side.jpg", f"{ANNA}_3back.jpg"]
JOINTS = f"{[10] * 17 + [-1]}: {[20] * 17 + [-1]}"
HEADER = "name:keypoints_y:keypoints_x"


class Prepared(NamedTuple):
    """A good file in a folder of its own, and what reads it."""

    file: Path
    read: Callable[[], object]


class Parser(NamedTuple):
    """A parser of outside files. slowness: how many times fewer inputs the quick check gives it."""

    name: str
    damage: Callable[[bytes], st.SearchStrategy[bytes]]
    prepare: Callable[[Path], Prepared]
    slowness: int = 1


def view(name: str) -> dict[str, Any]:
    return {
        "image": name,
        "keypoints": [[0.5, 0.25]] * 18,
        "keypoint_valid": [True] * 18,
        "tags": {"view": "1_front", "side": "front"},
    }


def index_document() -> dict[str, Any]:
    people = [
        {"subject": s, "split": "test", "views": [view(f"{s}/{i}.png") for i in range(3)]}
        for s in ("anna", "bo")
    ]
    pairs = {"test": {"file": "pairs.csv", "num_pairs": 2}}
    return {
        "format": "jcdm-index",
        "version": 1,
        "generator": {"name": "x", "pairs": pairs},
        "subjects": people,
    }


def write(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    file.write_text(text, encoding="utf-8")
    return file


def index(folder: Path) -> Prepared:
    file = write(folder / "index.json", index_document())
    for person in ("anna", "bo"):
        (folder / person).mkdir()
        for number in range(3):
            Image.new("RGB", (8, 8)).save(folder / person / f"{number}.png")

    def read() -> object:
        _read_version.cache_clear()  # which tells files apart by time and size
        return read_index(file), pair_tables(read_generator(file)), check_index(file)

    return Prepared(file, read)


def tasks(folder: Path) -> Prepared:
    """The pair table that test tasks are made of."""
    source = write(folder / "index.json", index_document())
    table = write(folder / "pairs.csv", "from,to\n0.png,1.png\n1.png,2.png\n")
    document = index_document()
    document["subjects"] = document["subjects"][:1]
    write(source, document)
    return Prepared(table, lambda: write_tasks(source, folder / "out", pairs=table))


def poses(folder: Path) -> Prepared:
    frame = {"keypoints": [[0.5, 0.5, 0.9]] * 18, "size": [64, 48], "detector": "x"}
    hands = [[[0.1, 0.1, 1.0]] * 21] * 2
    frames = [frame | {"hands": hands, "face": [[0.2, 0.2, 1]] * 68}, frame]
    file = write(folder / "poses.json", {"frames": frames, "fps": 8, "seconds": [0.0, 0.1]})
    from jcdm.poses.sequence import read_timing

    return Prepared(file, lambda: (read_pose_file(file), read_timing(file)))


def config(name: str, kind: type) -> Callable[[Path], Prepared]:
    def prepare(folder: Path) -> Prepared:
        file = write(folder / "run.yaml", (CONFIGS / name).read_text(encoding="utf-8"))
        words = ["--config", str(file)]
        return Prepared(file, lambda: read_config(kind, words, prog="jcdm", keep_unset=True))

    return prepare


def plan(folder: Path) -> Prepared:
    content = {
        "configs": "../tiny",
        "benchmark": {"seed": 5, "num_people": 8, "height": 64, "width": 48},
        "common": {"prior": ["--train.num_steps=4"]},
        "trainings": {
            "apm": {"stage": "prior", "options": ["--x=1"]},
            "full": {"stage": "denoiser", "uses": "apm"},
        },
        "rows": {
            "steps": {
                "about": "steps",
                "training": "full",
                "seeds": [0, 1],
                "tasks": ["same_side"],
                "sheets": 2,
                "variants": {"2": {"num_steps": 2}, "4": {"num_steps": 4}},
            }
        },
    }
    file = write(folder / "rows.yaml", content)
    return Prepared(file, lambda: read_plan(file))


def metrics(folder: Path) -> Prepared:
    rows = [{"step": i, "loss": 0.5, "validation_loss": 0.25, "lr": 1e-4} for i in range(4)]
    file = write(folder / "metrics.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    return Prepared(file, lambda: read_metrics(file))


def listed(data_format: str, name: str, files: dict[str, Any]) -> Callable[[Path], Prepared]:
    """Prepare a layout of `files`, of which `name` will be damaged, to be imported."""

    def prepare(folder: Path) -> Prepared:
        for other, content in files.items():
            write(folder / other, content)
        options, out = Options(need_pictures=False), folder / "out" / "index.json"
        read = lambda: import_data(data_format, folder, out, options=options)  # noqa: E731
        return Prepared(folder / name, read)

    return prepare


def picture(ending: str, **options: Any) -> Callable[[Path], Prepared]:
    def prepare(folder: Path) -> Prepared:
        image = Image.radial_gradient("L").resize((24, 20)).convert("RGB")
        file = folder / f"picture.{ending}"
        image.save(file, **options)
        return Prepared(file, lambda: load_image(file))

    return prepare


def pose_map(folder: Path) -> Prepared:
    """A picture of a pose, or of a person whose joints stand in a file beside it."""
    file = folder / "target.png"
    write(folder / "target.json", {"keypoints": [[0.5, 0.5]] * 18})
    Image.new("RGB", (16, 24)).save(file)
    return Prepared(file, lambda: read_targets([file], None))


ANNOTATION = "".join(f"{name}: {JOINTS}\n" for name in NAMES)
DEEPFASHION = {
    "train.lst": "\n".join(NAMES),
    "fasion-resize-annotation-train.csv": f"{HEADER}\n{ANNOTATION}",
    "fasion-resize-pairs-train.csv": f"from,to\n{NAMES[0]},{NAMES[1]}\n",
}
PCDMS = {
    "train_data.json": [{"source_image": NAMES[0], "target_image": n} for n in NAMES[1:]],
    f"normalized_pose_txt/{ANNA}_1front.txt": "\n".join(["0.25 0.5"] * 17 + ["-1 -1"]),
}
JCDM = {
    "train.json": [{f"img{i}": n for i, n in enumerate(NAMES, 1)}],
    "poses.json": [{"img": NAMES[0], "coordinate": [[0.5, 0.75]] * 17 + [[-1, -1]]}],
}
MARKET = {
    "market-annotation-test.csv": f"{HEADER}\n0228_c6s3_006817_02.jpg: {JOINTS}\n"
    f"0228_c6s1_052601_01.jpg: {JOINTS}\n",
    "market-pairs-test.csv": "from,to\n0228_c6s3_006817_02.jpg,0228_c6s1_052601_01.jpg\n",
}
PIDM = {"train_pairs.txt": ", ".join(NAMES)}
LAYOUTS = (
    *(("cfld", name, DEEPFASHION) for name in DEEPFASHION),
    *(("pcdms", name, PCDMS) for name in PCDMS),
    *(("jcdm", name, JCDM) for name in JCDM),
    *(("market", name, MARKET) for name in MARKET),
    ("imagpose", "train.json", {"train.json": [NAMES]}),
    ("pidm", "train_pairs.txt", PIDM),
)
PARSERS = (
    Parser("index", damaged_json, index),
    Parser("pairs_of_tasks", damaged_lines, tasks),
    Parser("poses", damaged_json, poses),
    Parser("training_yaml", damaged_yaml, config("tiny/stage2_denoiser.yaml", Config), 8),
    Parser("sampling_yaml", damaged_yaml, config("tiny/sample_no_motion.yaml", TestConfig), 4),
    Parser("evidence_plan", damaged_yaml, plan),
    Parser("metrics", damaged_lines, metrics),
    *(
        Parser(
            f"{data_format}_{Path(name).name}",
            damaged_json if name.endswith(".json") else damaged_lines,
            listed(data_format, name, files),
        )
        for data_format, name, files in LAYOUTS
    ),
    Parser("png", damaged_bytes, picture("png")),
    Parser("jpeg", damaged_bytes, picture("jpg")),
    Parser("webp", damaged_bytes, picture("webp", lossless=True)),
    Parser("gif", damaged_bytes, picture("gif")),
    Parser("tiff", damaged_bytes, picture("tiff")),
    Parser("pose_picture", damaged_bytes, pose_map),
)
