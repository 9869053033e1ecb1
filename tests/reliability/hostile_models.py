"""Good score files, caches, checkpoints and pipeline folders, and what reads each."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from hostile_inputs import damaged_bytes, damaged_json, damaged_lines, damaged_yaml
from hostile_lists import Parser, Prepared, index_document, write
from safetensors.torch import save_file
from training_world import tiny_config

from jcdm.cache.layout import CachedPhotograph, CacheIdentity, CacheManifest
from jcdm.cache.layout import write_manifest as write_cache_manifest
from jcdm.cache.places import LocalCopies, Place
from jcdm.cache.predictions import Predictions, PredictionsManifest
from jcdm.cache.predictions import write_manifest as write_predictions_manifest
from jcdm.cache.reader import EncoderCache
from jcdm.cache.shards import read_facts, write_shard
from jcdm.compat.checkpoint_files import read_beside, read_checkpoint
from jcdm.compat.provenance import compare_with_sums
from jcdm.compat.weight_files import open_folder
from jcdm.data.index import _read_version
from jcdm.evaluation.folder_scores import read_rows
from jcdm.evaluation.joined import join_reports
from jcdm.evaluation.loading import trained_noise_levels
from jcdm.evaluation.protocols.files import read_pairs
from jcdm.evaluation.report import read_sections, write_report
from jcdm.evaluation.report_parts import Card, Figure, Fragment, Listing, Section, Table
from jcdm.evaluation.score_report.scored import read_scored
from jcdm.evaluation.task_items import read_task
from jcdm.evidence.row_files import Result, RowFile, read_row, write_row
from jcdm.evidence.tally import Estimate
from jcdm.folders import verify_folder, write_folder
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.photographs import recommended_options
from jcdm.plain import to_yaml
from jcdm.poses.extraction import _stored_origin
from jcdm.records import Scores
from jcdm.training.checkpoint import changed_keys
from jcdm.training.checkpoint_folders import look_into, read_state
from jcdm.training.parts import load_part
from jcdm.training.state import Progress
from jcdm.training.weights import read_tensors

TINY = Path(__file__).resolve().parents[2] / "assets" / "tiny"
TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.float16)}


def row(folder: Path) -> Prepared:
    found = Result(
        seed=None,
        variant="",
        task="same_side",
        scores={"PSNR": Estimate(mean=20.0, low=19.5, high=20.5, num_values=8)},
    )
    benchmark = {"seed": 5, "num_people": 8, "height": 64, "width": 48}
    file = write_row(
        RowFile(name="x", about="y", results=(found,), provenance={"benchmark": benchmark}), folder
    )
    return Prepared(file, lambda: read_row(file).provenance.get("benchmark"))


def scores(folder: Path) -> Prepared:
    return Prepared(_scored(folder) / "scores.json", lambda: _read_scored(folder))


def pair_scores(folder: Path) -> Prepared:
    return Prepared(_scored(folder) / "per_pair.csv", lambda: _read_scored(folder))


def _read_scored(folder: Path) -> object:
    found = read_scored(folder)
    return read_rows(folder), found.main_scores, found.pair_scores


def _scored(folder: Path) -> Path:
    content = {
        "format": "jcdm-scores",
        "version": 2,
        "method": "ours",
        "protocol": {"name": "strict", "size": [32, 22]},
        "size": [32, 22],
        "num_pairs": 2,
        "seeds": [3],
        "best_of": None,
        "scores": {"ssim_256": 0.5, "psnr": "inf"},
        "counts": {"ssim_256": 2, "psnr": 2},
        "intervals": {"ssim_256": [0.4, 0.6]},
        "spread": {"ssim_256": 0.1},
        "rows": {"ground truth": {"ssim_256": 1.0}},
        "dropped": {"without_truth": ["lost.png"]},
        "skipped": [{"file": "broken.png", "reason": "it is empty"}],
        "skipped_items": {"3": "it is empty"},
        "notes": ["fid left out"],
        "weights": {"alexnet": None},
        "folders": {"generated": "g", "truth": "t"},
        "pipeline": "p",
        "code": {"commit": None},
        "versions": {"torch": "2"},
    }
    write(folder / "scores.json", content)
    rows = "a.png,a.png,0.5,20\nb.png,b.png,0.6,inf\n"
    write(folder / "per_pair.csv", f"generated,truth,ssim_256,psnr\n{rows}")
    return folder


def pairs_list(folder: Path) -> Prepared:
    file = write(folder / "pairs.csv", "truth,generated\na.png,b.png\nc.png,d.png\n")
    return Prepared(file, lambda: read_pairs(file, folder, folder))


def task(folder: Path) -> Prepared:
    index = write(folder / "index.json", index_document())
    item = {"subject": "anna", "references": ["0.png"], "targets": ["1.png"]}
    content = {"format": "jcdm-task", "version": 1, "task": "pair", "kind": "list", "rule": "x"}
    document = index_document()
    document["subjects"] = document["subjects"][:1]
    write(index, document)
    _read_version.cache_clear()
    more = {"split": "test", "index": {}, "num_items": 1, "items": [item]}
    file = write(folder / "task.json", content | more)
    return Prepared(file, lambda: [item.names for item in read_task(file, index)])


def report(folder: Path) -> Prepared:
    from PIL import Image

    Image.new("RGB", (4, 4)).save(folder / "figure.png")
    section = Section(
        title="A",
        intro="b",
        tables=(Table(title="t", rows={"ours": Scores(values={"SSIM": (0.5, 3)})}),),
        fragments=(Fragment(html="<p>x</p>", markdown="x"),),
        figures=(Figure(file=folder / "figure.png", caption="c"),),
        cards=(Card(file=folder / "figure.png", title="d", lines=("e",)),),
        listings=(Listing(title="f", columns=("g",), rows=((1.0,), ("h",))),),
        notes=("n",),
    )
    write_report(folder, title="T", intro="I", sections=[section], manifest={"m": 1})
    out = folder / "joined"

    def read() -> object:
        shutil.rmtree(out, ignore_errors=True)
        read_sections(folder)
        return join_reports(out, title="x", runs=(), tests=(folder,))

    return Prepared(folder / "report.json", read)


def encoder_cache(folder: Path) -> Prepared:
    sizes = {"height": 64, "width": 48, "fit": "crop", "clip_size": 16, "clip_fit": "pad"}
    seen = {"sha256": "a" * 64, "num_bytes": 3, "modified": 4, "height": 5, "width": 6, "row": 0}
    manifest = CacheManifest(
        identity=CacheIdentity(vae="v", image_encoder="c", **sizes),
        rows_per_shard=128,
        num_rows=1,
        shards={"shard_00000.safetensors": "b" * 64},
        photographs={"anna/0.png": CachedPhotograph(**seen)},
    )
    file = write(folder / "cache.json", write_cache_manifest(manifest))
    _shards(folder)
    picture = folder / "anna" / "0.png"

    def read() -> object:
        cache = EncoderCache(folder, folder / "index.json")
        cache.require(manifest.identity, ())
        return cache.load(picture, flip=True), cache.contents_hash([picture])

    return Prepared(file, read)


def _shards(folder: Path) -> None:
    moments = {name: torch.zeros(1, 2, 2, 3, 3) for name in ("mean", "std")}
    tensors = moments | {"appearance": torch.zeros(1, 2, 4)}
    for name in ("black", "shard_00000"):
        write_shard(folder / f"{name}.safetensors", tensors, {"of": "x"})


def cache_shard(folder: Path) -> Prepared:
    _, read = encoder_cache(folder)
    shard = folder / "shard_00000.safetensors"
    return Prepared(shard, lambda: (read_facts(shard), read()))


def predictions(folder: Path) -> Prepared:
    manifest = PredictionsManifest(
        identity={"a": 1, "b": None},
        dtype="float32",
        num_people=2,
        num_rows=4,
        rows_per_shard=4,
        shards=("c" * 64,),
    )
    file = write(folder / "predictions.json", write_predictions_manifest(manifest))
    shard = folder / "predictions_00000.safetensors"
    write_shard(shard, {"embeddings": torch.zeros(4, 4, 3)}, {})
    copies = LocalCopies(folder=folder / "copies", max_bytes=10**6)

    def read() -> object:
        kept = Predictions(folder, copies)
        kept.require(manifest.identity)
        return kept.load(1, 1)

    return Prepared(file, read)


def extraction(folder: Path) -> Prepared:
    file = write(folder / "a.json", {"keypoints": [], "origin": {"picture_sha256": "x"}})
    return Prepared(file, lambda: _stored_origin(file))


def advice(folder: Path) -> Prepared:
    """sampling.json beside the weights of a pipeline."""
    file = write(
        folder / "sampling.json", {"num_steps": 2, "guidance_scale": 1.0, "sampler": "own"}
    )
    return Prepared(file, lambda: recommended_options(folder))


def run_config(folder: Path) -> Prepared:
    """The configuration beside a trained denoiser, which names its noise schedule."""
    schedule = {"num_train_timesteps": 100, "beta_end": 0.02, "prediction_type": "v_prediction"}
    file = write(folder / "config.yaml", {"run": {"seed": 1}, "schedule": schedule})
    return Prepared(file, lambda: trained_noise_levels(folder))


def pickled(old: bool) -> Callable[[Path], Prepared]:
    def prepare(folder: Path) -> Prepared:
        file = folder / "model.pth"
        content = {"state_dict": TENSORS, "epoch": 3, "jcdm": {"c": torch.zeros(2)}}
        torch.save(content, file, _use_new_zipfile_serialization=not old)
        return Prepared(file, lambda: (read_checkpoint(file), read_beside(file)))

    return prepare


def inner_pickle(folder: Path) -> Prepared:
    """The pickle inside a zip file of torch.save, with checksums that are right again."""
    whole, file = folder / "whole.pth", folder / "data.pkl"
    torch.save({"module": TENSORS}, whole)
    with zipfile.ZipFile(whole) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    inside = next(name for name in members if name.endswith("data.pkl"))
    file.write_bytes(members[inside])

    def read() -> object:
        damage, damaged = file.read_bytes() if file.is_file() else b"", folder / "damaged.pth"
        with zipfile.ZipFile(damaged, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, damage if name == inside else content)
        return read_checkpoint(damaged)

    return Prepared(file, read)


def safetensors(folder: Path) -> Prepared:
    file = folder / "model.safetensors"
    save_file(TENSORS, file)
    return Prepared(file, lambda: (read_tensors(file), read_checkpoint(file)))


def shard_index(folder: Path) -> Prepared:
    save_file(TENSORS, folder / "part.safetensors")
    table = {name: "part.safetensors" for name in TENSORS}
    stem = "diffusion_pytorch_model.safetensors"
    file = write(folder / f"{stem}.index.json", {"metadata": {}, "weight_map": table})
    return Prepared(file, lambda: open_folder(folder, (stem,)).read(TENSORS))


def checksums(folder: Path) -> Prepared:
    file = write(folder / "sums.txt", f"{'a' * 64}  a.pth\n{'b' * 64} *b.pth\n")
    source = {"file": "a.pth", "sha256": "a" * 64, "role": "apm"}
    return Prepared(file, lambda: compare_with_sums([source], file))


def part_config(folder: Path) -> Prepared:
    shutil.copytree(TINY / "prior", folder / "prior")
    read = lambda: load_part(folder / "prior", "prior", "prior.weights")  # noqa: E731
    return Prepared(folder / "prior" / "config.json", read)


def pipeline_file(name: str) -> Callable[[Path], Prepared]:
    """Prepare a pipeline folder, one of whose JSON files will be damaged."""

    def prepare(folder: Path) -> Prepared:
        model = folder / "model"
        shutil.copytree(TINY, model, ignore=shutil.ignore_patterns("reader", "*.png"))
        damaged_part = Path(name).parent.name
        parts = JCDMPipeline.from_pretrained(model).components if damaged_part else {}
        sound = {part: loaded for part, loaded in parts.items() if part != damaged_part}
        return Prepared(model / name, lambda: JCDMPipeline.from_pretrained(model, **sound))

    return prepare


def folder_manifest(folder: Path) -> Prepared:
    made = folder / "step_0000001"
    write_folder(made, lambda inside: write(inside / "state.json", {"part": "prior"}) and None)
    return Prepared(made / "manifest.json", lambda: verify_folder(made))


def counters(folder: Path) -> Prepared:
    """What a checkpoint says of its run, as a resume and `checkpoint list` read it."""
    content = {
        "part": "prior",
        "engine": "plain",
        "progress": Progress(step=3, seconds=0.5, validation_loss=0.25).to_json(),
        "ema": {"num_updates": 3},
        "scaler": None,
        "samples_a_step": 4,
        "saved": "2026-01-02T03:04:05+00:00",
        "people": "a" * 64,
    }
    file = write(folder / "state.json", content)

    def read() -> object:
        saved = read_state(folder)
        Progress().restore(saved["progress"])
        return saved, look_into(3, folder)

    return Prepared(file, read)


def stored_config(folder: Path) -> Prepared:
    """The configuration in a checkpoint, which a resume compares with today's."""
    config = tiny_config(folder, folder / "run")
    file = folder / "config.yaml"
    file.write_text(to_yaml(config, folder), encoding="utf-8")
    return Prepared(file, lambda: changed_keys(folder, config))


def place_text(folder: Path) -> Prepared:
    """A text file of a cache, read from wherever it lies."""
    file = write(folder / "cache.json", "{}")
    place = Place(folder, LocalCopies(folder=folder, max_bytes=1))
    return Prepared(file, lambda: place.read_text("cache.json"))


CHECKPOINT = Parser("checkpoint_manifest", damaged_json, folder_manifest)
PARSERS = (
    Parser("evidence_row", damaged_json, row),
    Parser("scores", damaged_json, scores),
    Parser("scores_of_pairs", damaged_lines, pair_scores),
    Parser("list_of_pairs", damaged_lines, pairs_list),
    Parser("test_task", damaged_json, task),
    Parser("report", damaged_json, report, 4),
    Parser("encoder_cache", damaged_json, encoder_cache),
    Parser("cache_shard", damaged_bytes, cache_shard),
    Parser("kept_predictions", damaged_json, predictions),
    Parser("place_text", damaged_bytes, place_text),
    Parser("found_poses", damaged_json, extraction),
    Parser("sampling_advice", damaged_json, advice),
    Parser("configuration_of_run", damaged_yaml, run_config),
    Parser("zipped_pickle", damaged_bytes, pickled(old=False)),
    Parser("plain_pickle", damaged_bytes, pickled(old=True)),
    Parser("inner_pickle", damaged_bytes, inner_pickle),
    Parser("safetensors", damaged_bytes, safetensors),
    Parser("shard_index", damaged_json, shard_index),
    Parser("checksums", damaged_lines, checksums),
    Parser("counters_of_checkpoint", damaged_json, counters),
    Parser("configuration_of_checkpoint", damaged_yaml, stored_config),
    Parser("part_config", damaged_json, part_config, 8),
    Parser("model_index", damaged_json, pipeline_file("model_index.json"), 20),
    Parser("model_config", damaged_json, pipeline_file("denoiser/config.json"), 12),
    Parser("scheduler_config", damaged_json, pipeline_file("scheduler/scheduler_config.json")),
)
