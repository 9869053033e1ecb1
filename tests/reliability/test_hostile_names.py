"""Names that come from files never lead out of the folder that a command writes to."""

import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile_lists import ANNA, NAMES, index_document, plan, write
from hostile_models import encoder_cache, pairs_list, predictions, report
from PIL import Image

from jcdm.cache.layout import MANIFEST
from jcdm.cache.places import LocalCopies
from jcdm.cache.predictions import Predictions
from jcdm.cache.reader import EncoderCache
from jcdm.compat.weight_files import open_folder
from jcdm.data.importers.base import Options
from jcdm.data.importers.run import import_data
from jcdm.data.importers.zipped import unpack
from jcdm.data.index import parse_view
from jcdm.errors import CheckpointError, ConfigError, DataError, JCDMError
from jcdm.evaluation.evaluate import save_pictures
from jcdm.evaluation.frames import FrameSequence
from jcdm.evaluation.protocols.files import read_pairs
from jcdm.evaluation.report import read_sections
from jcdm.evaluation.sequence_pictures import PaintedSequence, save_comparison, save_sequence
from jcdm.evaluation.task_items import TaskItem, save_picture
from jcdm.evidence.plan import read_plan
from jcdm.naming import file_stem, leads_out
from jcdm.poses.sources import index_jobs
from jcdm.records import SubjectRecord
from jcdm.training.weights import read_tensors, write_tensors

OUTSIDE = ("../x", "../../x", "a/../../x", "/x", "/tmp/x", "..", "..\\x", "C:\\x", "c:x", "\\x")
OUTSIDE += ("\\\\host\\share\\x", "x\0y", "", " ", "x" * 256, "ü" * 128)
ODD = (*OUTSIDE, "a/b", "a\\b", ".", "a\nb", "ü" * 90, "CON ", "-rf", "~", ".hidden")
ODD += ("\x1b[2J", "\ud800", "a:b")


@contextmanager
def writes_only_below(folder: Path) -> Iterator[None]:
    """Fail where anything beside `folder`, in its own parent, has come, gone or changed."""
    before = _seen(folder)
    yield
    assert _seen(folder) == before


def _seen(folder: Path) -> dict[Path, int]:
    beside = (path for path in folder.parent.rglob("*") if not path.is_relative_to(folder))
    return {path: path.stat().st_mtime_ns if path.is_file() else 0 for path in beside}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder deep below, so that a few steps up stay inside the test's own."""
    folder = tmp_path / "a" / "b" / "out"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", OUTSIDE, ids=ascii)
def test_a_name_that_leads_out_is_known(name: str) -> None:
    assert leads_out(name)
    assert not leads_out("a/b.png") and not leads_out("a b/..c.png")


def test_a_file_s_stem_is_one_component_and_different_for_different_names() -> None:
    stems = [file_stem(name) for name in ODD]
    assert len(set(stems)) == len(ODD) and not any(map(leads_out, stems))
    assert all(len(stem.encode()) < 180 and "/" not in stem and "\\" not in stem for stem in stems)
    assert [file_stem(name) for name in ("anna", ANNA, "a b+c_to_d.1")] == [
        *("anna", ANNA, "a b+c_to_d.1")
    ]


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_painted_people_are_written_below_the_folder(out: Path, name: str) -> None:
    with writes_only_below(out):
        save_pictures({f"{name}_view0": np.zeros((4, 4, 3), np.uint8)}, out / "generated")
    assert len(list((out / "generated").iterdir())) == 1


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", "x" * 300, "a\0b"], ids=ascii)
def test_painted_sequences_are_written_below_the_folder(out: Path, name: str) -> None:
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    sequence = FrameSequence(
        name=name, frames=frames, poses=frames, keypoints=np.zeros((2, 18, 3)), references=(0,)
    )
    painted = PaintedSequence(sequence=sequence, with_motion=frames, without=frames)
    with writes_only_below(out):
        save_sequence(painted, out)
        save_comparison(painted, out)
    assert len(list((out / "films").iterdir())) == 2


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_items_of_a_task_are_written_below_the_folder(out: Path, name: str) -> None:
    entry = index_document()["subjects"][0]["views"][0]
    with suppress(JCDMError, OSError), writes_only_below(out):
        view = parse_view(entry | {"image": name}, "anna", 0, out.parent / "index.json")
        for file in TaskItem(number=0, references=(view,), targets=(view,)).names:
            assert Path(file).name == file
            save_picture(Image.new("RGB", (4, 4)), out / file)


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_found_poses_are_written_below_the_folder(out: Path, name: str) -> None:
    entry = index_document()["subjects"][0]["views"][0]
    index = out.parent / "index.json"
    with suppress(JCDMError):
        views = tuple(parse_view(entry | {"image": n}, "x", 0, index) for n in (name, "y.png"))
        for job in index_jobs([SubjectRecord(subject="x", views=views)], index, out, out):
            assert job.pose.resolve().is_relative_to(out.resolve())
            assert job.overlay is not None and job.overlay.resolve().is_relative_to(out.resolve())


@pytest.mark.parametrize("name", [*OUTSIDE, "a/b", "a b"], ids=ascii)
@pytest.mark.parametrize("section", ["rows", "trainings"])
def test_a_plan_s_names_are_plain(tmp_path: Path, name: str, section: str) -> None:
    file, _ = plan(tmp_path)
    content = json.loads(file.read_text(encoding="utf-8"))
    content[section][name] = next(iter(content[section].values()))
    write(file, content)
    found = "holds a NUL" if "\0" in name else "found the name"
    with pytest.raises(ConfigError, match=found):
        read_plan(file)


@pytest.mark.parametrize("identity", ["../../../../x", "/x", "", "A" * 64, "a" * 63])
@pytest.mark.parametrize("kind", ["encoders", "predictions"])
def test_copies_of_a_cache_are_written_below_their_folder(
    out: Path, identity: str, kind: str
) -> None:
    """The manifest of a cache far away names the copies that are made of its shards."""
    far = out.parent / "far"
    far.mkdir()
    (out.parent / "_").mkdir()  # so that a way through a folder of the name's beginning exists
    place, copies = Path(f"file://{far}"), LocalCopies(folder=out, max_bytes=10**9)
    good = "b" * 64 if kind == "encoders" else "c" * 64
    file, _ = (encoder_cache if kind == "encoders" else predictions)(far)
    text = file.read_text(encoding="utf-8")
    assert text.count(good) == 1
    file.write_text(text.replace(good, identity), encoding="utf-8")
    with writes_only_below(out), pytest.raises(DataError, match="expected a SHA-256"):
        if kind == "encoders":
            EncoderCache(place, far / "index.json", copies).load(far / "anna/0.png", flip=False)
        else:
            Predictions(place, copies).load(0, 0)
    assert (far / MANIFEST).is_file() == (kind == "encoders")


@pytest.mark.parametrize("name", [n for n in OUTSIDE if n], ids=ascii)
@pytest.mark.parametrize("kind", ["figures", "cards"])
def test_a_report_takes_pictures_of_its_own_folder_alone(out: Path, name: str, kind: str) -> None:
    file, _ = report(out)
    content = json.loads(file.read_text(encoding="utf-8"))
    content["sections"][0][kind][0]["file"] = name
    write(file, content)
    with pytest.raises(DataError, match="does not lie in the report's folder"):
        read_sections(out)


@pytest.mark.parametrize("name", [n for n in OUTSIDE if n.strip()], ids=ascii)
def test_pairs_to_score_lie_in_their_folders(tmp_path: Path, name: str) -> None:
    file, _ = pairs_list(tmp_path)
    file.write_text(f'truth,generated\n"{name}",a.png\n', encoding="utf-8")
    with pytest.raises(DataError, match="expected two names"):
        read_pairs(file, tmp_path, tmp_path)


@pytest.mark.parametrize("name", [n for n in OUTSIDE if "\0" not in n and n.strip()], ids=ascii)
def test_shards_of_weights_lie_beside_their_index(tmp_path: Path, name: str) -> None:
    stem = "model.safetensors"
    write(tmp_path / f"{stem}.index.json", {"weight_map": {"a": name}})
    with pytest.raises(CheckpointError):
        open_folder(tmp_path, (stem,))


@pytest.mark.parametrize("name", [n for n in OUTSIDE if "\0" not in n and n.strip()], ids=ascii)
def test_an_archive_is_unpacked_below_its_folder(out: Path, name: str) -> None:
    archive = out.parent / "x.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("good.jpg", b"x")
        packed.writestr(zipfile.ZipInfo(name), b"x")
    with writes_only_below(out), pytest.raises(DataError, match="leads out of the folder"):
        unpack(archive, out / "photographs")
    assert not list(out.iterdir())


def test_a_link_in_an_archive_is_refused(out: Path) -> None:
    archive, link = out.parent / "x.zip", zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(link, "/etc")
        packed.writestr("link/x", b"x")
    with writes_only_below(out), pytest.raises(DataError, match="a link or device"):
        unpack(archive, out / "photographs")


@pytest.mark.parametrize("name", [n for n in OUTSIDE if "\0" not in n], ids=ascii)
def test_lists_name_no_picture_outside_the_root(out: Path, name: str) -> None:
    root = out.parent / "root"
    write(root / "train.json", [[name], [NAMES[0]]])
    arrange = Options(need_pictures=False, arrange=out / "arranged")
    with writes_only_below(out):
        imported = import_data("imagpose", root, out / "i.json", on_bad="skip", options=arrange)
    assert len(imported.skipped) == 1


def test_nothing_is_written_where_a_weight_s_name_says(
    out: Path, figure: Callable[[str], None]
) -> None:
    """Names of tensors are keys, never files."""
    with writes_only_below(out):
        write_tensors(out / "w.safetensors", {"../../x": torch.ones(1), "/x": torch.ones(1)})
        assert set(read_tensors(out / "w.safetensors")) == {"../../x", "/x"}
    figure(f"{len(ODD)} hostile names in every place where a name becomes a file: 0 files outside")
