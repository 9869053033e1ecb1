"""Weight files in every layout they are published in, damaged ones, and ones that want to act."""

import argparse
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from jcdm.compat.checkpoint_files import read_checkpoint
from jcdm.errors import CheckpointError

NUM_DAMAGED = 1200


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(6, 4, generator=generator)
    return {
        "a.weight": torch.randn(5, 3, generator=generator),
        "a.bias": torch.randn(5, generator=generator).half(),
        "turned": base.T,
        "part": base[2:4],
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }


class Planted:
    """An object that runs a command when a pickle of it is opened the usual way."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        found[k].dtype == expected[k].dtype and torch.equal(found[k], expected[k]) for k in found
    )


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda t: t,
        lambda t: {"state_dict": t, "global_step": 3},
        lambda t: {f"module.{k}": v for k, v in t.items()},
        lambda t: {"module": t, "ds_config": argparse.Namespace(stage=2), "epoch": 1},
        lambda t: {k: nn.Parameter(v) if v.is_floating_point() else v for k, v in t.items()},
    ],
    ids=["plain", "state_dict", "parallel", "deepspeed", "parameters"],
)
def test_every_layout_gives_the_same_tensors(
    tmp_path: Path, tensors: dict[str, Tensor], wrap: Callable[[Any], Any], zipped: bool
) -> None:
    file = tmp_path / "weights.pth"
    torch.save(wrap(tensors), file, _use_new_zipfile_serialization=zipped)
    assert same(read_checkpoint(file), tensors)


def test_a_module_s_state_dict_and_an_optimizer_s_are_told_apart(tmp_path: Path) -> None:
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    torch.save({"module": layer.state_dict(), "optimizer": optimizer}, tmp_path / "x.pt")
    assert same(read_checkpoint(tmp_path / "x.pt"), dict(layer.state_dict()))


def test_safetensors(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    plain = {key: value.contiguous().clone() for key, value in tensors.items()}
    save_file(plain, tmp_path / "x.safetensors")
    assert same(read_checkpoint(tmp_path / "x.safetensors"), plain)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
def test_nothing_a_file_names_is_called(
    tmp_path: Path, tensors: dict[str, Tensor], zipped: bool
) -> None:
    mark, file = tmp_path / "ran", tmp_path / "weights.ckpt"
    content = {"module": tensors, "extra": Planted(mark), "list": [Planted(mark)]}
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    assert same(read_checkpoint(file), tensors)
    assert not mark.exists()
    torch.load(file, weights_only=False)
    assert mark.exists(), "the planted command would not have run at all: the test tests nothing"


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
def test_damaged_files_are_refused_in_one_line(
    tmp_path: Path, tensors: dict[str, Tensor], zipped: bool
) -> None:
    file = tmp_path / "weights.pth"
    torch.save(tensors, file, _use_new_zipfile_serialization=zipped)
    whole, chance = file.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(NUM_DAMAGED):
        file.write_bytes(damage(whole, chance, flip=zipped))
        try:
            found = read_checkpoint(file)
        except CheckpointError as error:
            assert str(file) in str(error) and "\n" not in str(error)
            refused += 1
        else:
            assert same(found, tensors), "a damaged file was loaded as another one"
    assert refused > 0.7 * NUM_DAMAGED, "most damage hits what matters"


def damage(whole: bytes, chance: random.Random, *, flip: bool) -> bytes:
    """Cut a file, or flip a byte; only zip files have checksums that betray a flipped byte."""
    place = chance.randrange(len(whole))
    if not flip or chance.random() < 0.5:
        return whole[:place]
    return whole[:place] + bytes([whole[place] ^ chance.randrange(1, 256)]) + whole[place + 1 :]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no weight file"),
        (b"<html>not found</html>", "no weight file"),
        (b"\x80\x02garbage", "cannot be read"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "x.pth"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=reason):
        read_checkpoint(file)


@pytest.mark.parametrize(
    "content", [{"epoch": 3}, [torch.zeros(2)], {"module": {}}, {1: torch.ones(1)}]
)
def test_a_file_without_named_tensors_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="holds no named tensors"):
        read_checkpoint(tmp_path / "x.pth")


def test_a_tensor_beyond_its_data_is_refused(tmp_path: Path) -> None:
    storage = torch.zeros(4)

    class Beyond:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return torch._utils._rebuild_tensor_v2, (
                storage._typed_storage(), 0, (1000,), (1,), False, {},
            )  # fmt: skip

    torch.save({"a": Beyond()}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="reaches beyond its data"):
        read_checkpoint(tmp_path / "x.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.pth not found"):
        read_checkpoint(tmp_path / "nowhere.pth")
