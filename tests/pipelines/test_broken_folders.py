"""Weights that are missing, damaged or of another shape end in one line that names them."""

import json
from collections.abc import Callable
from pathlib import Path

import pipeline_factory as factory
import pytest
import torch
from safetensors.torch import load_file, save_file

from jcdm.errors import CheckpointError
from jcdm.pipelines.multiview import JCDMPipeline

PARTS = {
    "vae": "diffusion_pytorch_model.safetensors",
    "image_encoder": "model.safetensors",
    "prior": "diffusion_pytorch_model.safetensors",
    "denoiser": "diffusion_pytorch_model.safetensors",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    JCDMPipeline(**factory.components()).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def remove(weights: Path) -> None:
    weights.unlink()


def cut(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-100])


def drop(weights: Path) -> None:
    tensors = load_file(weights)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, weights, metadata={"format": "pt"})


def reshape(weights: Path) -> None:
    tensors = load_file(weights)
    name = sorted(tensors)[0]
    tensors[name] = torch.zeros(7, 3)
    save_file(tensors, weights, metadata={"format": "pt"})


def pickle_instead(weights: Path) -> None:
    weights.rename(weights.with_suffix(".bin"))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage", [remove, cut, drop, reshape, pickle_instead])
def test_damaged_weights_are_refused_in_one_line(
    folder: Path, part: str, damage: Callable[[Path], None]
) -> None:
    damage(folder / part / PARTS[part])
    with pytest.raises(CheckpointError) as caught:
        JCDMPipeline.from_pretrained(folder)
    message = str(caught.value)
    assert str(folder) in message and "\n" not in message and len(message) < 700, message


def test_a_broken_index_is_refused(folder: Path) -> None:
    (folder / "model_index.json").write_text("{")
    with pytest.raises(CheckpointError, match="is not JSON"):
        JCDMPipeline.from_pretrained(folder)


def test_an_untouched_folder_is_loaded_whole(folder: Path) -> None:
    pipe = JCDMPipeline.from_pretrained(folder)
    for part, file in PARTS.items():
        state = getattr(pipe, part).state_dict()
        for name, tensor in load_file(folder / part / file).items():
            assert torch.equal(state[name], tensor), f"{part}: {name}"
    assert json.loads((folder / "model_index.json").read_text())["_class_name"] == "JCDMPipeline"
