"""Weight files are never run: what a pickle asks to be called is not, and none fills the memory."""

import builtins
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hostile_lists import write
from hostile_models import TENSORS, pipeline_file

from jcdm.compat import restricted_pickle
from jcdm.compat.checkpoint_files import read_checkpoint
from jcdm.errors import CheckpointError, JCDMError
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.training.parts import load_part

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Calls:
    """Pickles as a call of `function` with `words`, and of what that gives with a state."""

    def __init__(self, function: Callable[..., Any], *words: Any, state: Any = None) -> None:
        self.how = (function, words) if state is None else (function, words, state)

    def __reduce__(self) -> Any:
        return self.how


def attacks(mark: Path) -> dict[str, Any]:
    """Objects that make the file `mark` when a plain unpickler reads them."""
    code = f"open({str(mark)!r}, 'w')"
    nested = Calls(getattr, Calls(__import__, "os"), "system")
    return {
        "os.system": Calls(os.system, f"touch {mark}"),
        "eval": Calls(eval, code),
        "exec": Calls(exec, code),
        "open": Calls(builtins.open, str(mark), "w"),
        "subprocess": Calls(subprocess.check_output, ["touch", str(mark)]),
        "chain": Calls(map, nested, [f"touch {mark}"]),
        "state": Calls(Calls, print, state={"x": Calls(eval, code)}),
        "torch": Calls(torch.save, {}, str(mark)),
        "inner": {"a": [({"b": Calls(eval, code)},)]},
    }


OLD = b"".join(map(pickle.dumps, (0x1950A86A20F9469CFC6C, 1001, {})))  # how files began until 1.6
NAMES = sorted(attacks(Path("x")))


def zipped(content: bytes, file: Path) -> Path:
    """Put a pickle where torch.save has it in its zip files, beside real numbers."""
    whole = io.BytesIO()
    torch.save(TENSORS, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            target.writestr(name, content if name.endswith("data.pkl") else source.read(name))
    return file


@pytest.mark.parametrize("name", NAMES)
def test_the_attacks_are_real(tmp_path: Path, name: str) -> None:
    mark = tmp_path / "mark"
    made = pickle.dumps(attacks(mark)[name])
    found = pickle.loads(made)
    if name == "chain":
        next(found)
    assert mark.exists()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["zip", "old", "bare"])
def test_nothing_in_a_pickle_is_called(tmp_path: Path, name: str, form: str) -> None:
    mark, file = tmp_path / "mark", tmp_path / "model.pth"
    attack = attacks(mark)[name]
    for content in (attack, {"optimizer": attack, "epoch": 1}, [attack, 2], {"state_dict": attack}):
        for protocol in PROTOCOLS:
            made = pickle.dumps(content, protocol)
            if form == "zip":
                zipped(made, file)
            else:
                file.write_bytes((OLD if form == "old" else b"") + made)
            with pytest.raises(CheckpointError) as caught:
                read_checkpoint(file)
            assert not mark.exists() and str(caught.value).isprintable()


def test_a_pickle_cannot_change_what_reads_it(tmp_path: Path) -> None:
    """By the state of an object, which is a function of ours here."""
    state = b"N}X\x07\x00\x00\x00__doc__X\x01\x00\x00\x00xs\x86b."
    made = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + state
    before = restricted_pickle.rebuild_tensor.__doc__
    with pytest.raises(CheckpointError):
        read_checkpoint(zipped(made, tmp_path / "model.pth"))
    assert restricted_pickle.rebuild_tensor.__doc__ == before


def test_weights_beside_an_attack_are_read_without_it(tmp_path: Path) -> None:
    mark, file = tmp_path / "mark", tmp_path / "model.pth"
    torch.save({"state_dict": TENSORS, "callbacks": list(attacks(mark).values())}, file)
    assert read_checkpoint(file).keys() == TENSORS.keys() and not mark.exists()


def test_a_tensor_that_claims_more_than_the_file_has_is_refused(tmp_path: Path) -> None:
    inner = io.BytesIO()
    torch.save({"a": torch.arange(6.0)}, inner)
    with zipfile.ZipFile(inner) as archive:
        name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
        made = archive.read(name)
    assert made.count(b"K\x06") == 2, "elements of the storage, and of the tensor"
    large = pickle.dumps(2**50, 2)[2:-1]
    with pytest.raises(CheckpointError, match="beyond its data"):
        read_checkpoint(zipped(made.replace(b"K\x06", large), tmp_path / "model.pth"))


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    whole, file = io.BytesIO(), tmp_path / "model.pth"
    torch.save({"a": torch.zeros(10_000_000)}, whole)
    with (
        zipfile.ZipFile(whole) as source,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in source.namelist():
            packed.writestr(name, source.read(name))
    assert file.stat().st_size < 100_000
    with pytest.raises(CheckpointError, match="is compressed"):
        read_checkpoint(file)


BOMBS = {
    "list": b"\x80\x02]" + b"(" + b"K\x01" * 9 + b"l0" + b".",
    "long": b"\x80\x02\x8b\xff\xff\xff\x7f" + b"\x01.",
    "text": b"\x80\x04\x8d" + (2**60).to_bytes(8, "little") + b"x.",
    "bytes": b"\x80\x05\x96" + (2**62).to_bytes(8, "little") + b"x.",
    "frame": b"\x80\x04\x95" + (2**62).to_bytes(8, "little") + b"N.",
    "memo": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "high memo": b"\x80\x02Nr\x00\x00\x00\x06.",
    "deep": b"\x80\x02" + b"(" * 200_000 + b"t" * 200_000 + b".",
    "nested": b"\x80\x02" + b"N" + b"\x85" * 300_000 + b".",
}
_LIMITED = """
import resource, sys
from jcdm.compat.checkpoint_files import read_checkpoint
from jcdm.errors import CheckpointError
import torch
used = int(open("/proc/self/statm").read().split()[0]) * 4096
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_AS, (used + 2**32, used + 2**32))
for file in sys.argv[1:]:
    try:
        read_checkpoint(__import__("pathlib").Path(file))
    except CheckpointError as error:
        print("refused")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""
LARGEST_GROWTH = 256 * 2**20


def test_small_files_that_ask_for_much_memory_are_refused(tmp_path: Path) -> None:
    """In a process of its own that may take 4 GB more: a bomb that goes off ends in no refusal."""
    files = []
    for name, content in BOMBS.items():
        files += [tmp_path / f"{name}.pth", zipped(content, tmp_path / f"{name}.zip.pth")]
        files[-2].write_bytes(content)
    words = [sys.executable, "-c", _LIMITED, *map(str, files)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    *refused, growth = done.stdout.split()
    assert refused == ["refused"] * len(files), done.stderr[-2000:]
    assert int(growth) < LARGEST_GROWTH


@pytest.mark.parametrize("name", ["diffusion_pytorch_model.bin", "pytorch_model.bin"])
def test_pickles_in_the_place_of_our_own_weights_are_not_opened(tmp_path: Path, name: str) -> None:
    mark = tmp_path / "mark"
    file, read = pipeline_file("vae/config.json")(tmp_path)
    for part in ("vae", "prior", "image_encoder", "denoiser"):
        folder = file.parents[1] / part
        for weights in folder.glob("*.safetensors"):
            weights.unlink()
        torch.save(Calls(eval, f"open({str(mark)!r}, 'w')"), folder / name)
    with pytest.raises(CheckpointError):
        read()
    with pytest.raises(CheckpointError):
        load_part(file.parents[1] / "prior", "prior", "prior.weights")
    assert not mark.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"_class_name": ["evil", "Evil"]},
        {"vae": ["evil", "Evil"]},
        {"vae": ["os", "system"]},
        {"scheduler": ["subprocess", "Popen"]},
        {"scheduler": ["evil", "Evil"]},
        {"denoiser": ["evil", "Evil"]},
        {"extra": ["evil", "Evil"]},
    ],
    ids=str,
)
def test_code_beside_weights_is_not_run(
    tmp_path: Path, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline's folder may hold Python files and name classes; none of it is imported."""
    mark = tmp_path / "mark"
    file, _ = pipeline_file("model_index.json")(tmp_path)
    write(file, json.loads(file.read_text(encoding="utf-8")) | change)
    code = f"open({str(mark)!r}, 'w')\nclass Evil:\n    pass\n"
    for folder in (file.parent, file.parent / "vae", file.parent / "extra", tmp_path / "here"):
        write(folder / "evil.py", code)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.syspath_prepend(str(tmp_path / "here"))
    with pytest.raises(JCDMError):
        JCDMPipeline.from_pretrained(file.parent)
    assert not mark.exists() and "evil" not in sys.modules
