"""No configuration makes a reader build more than the weights beside it hold."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from jcdm.errors import JCDMError
from jcdm.models.bounded import SPARE_NUMBERS, SPARE_TENSORS, bounded_by
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.training.parts import load_part
from jcdm.training.weights import write_tensors

TINY = Path(__file__).resolve().parents[2] / "assets" / "tiny"
READERS: dict[str, Callable[[Path], Any]] = {
    "prior": lambda folder: load_part(folder, "prior", "prior.weights"),
    "denoiser": lambda folder: load_part(folder, "denoiser", "unet.weights"),
    "vae": lambda folder: FrozenVAE.from_folder(folder, torch.float32, key="encoders.vae"),
    "image_encoder": lambda folder: FrozenCLIPVision.from_folder(
        folder, torch.float32, key="encoders.image_encoder"
    ),
}


@pytest.mark.parametrize(
    ("part", "section", "size", "value"),
    [
        ("prior", None, "num_layers", 100),
        ("prior", None, "head_dim", 16_384),
        ("denoiser", "jci_config", "num_layers", 200),
        ("denoiser", "unet_config", "cross_attention_dim", 16_384),
        ("vae", None, "layers_per_block", 200),
        ("image_encoder", None, "num_hidden_layers", 500),
        ("image_encoder", None, "intermediate_size", 90_000),
    ],
)
def test_a_configuration_that_asks_for_more_than_the_weights_is_refused(
    tmp_path: Path, part: str, section: str | None, size: str, value: int
) -> None:
    folder = shutil.copytree(TINY / part, tmp_path / part)
    READERS[part](folder)
    content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (content[section] if section else content)[size] = value
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(JCDMError, match="its layers take more than") as caught:
        READERS[part](folder)
    assert "\n" not in str(caught.value)


def test_what_fits_is_built_and_counting_ends(tmp_path: Path) -> None:
    write_tensors(tmp_path / "w.safetensors", {"weight": torch.zeros(2, 3)})
    with bounded_by(tmp_path):
        for _ in range(SPARE_TENSORS // 2):
            nn.Linear(1, 1)
    nn.Linear(SPARE_NUMBERS + 100, 1, device="meta")
    with pytest.raises(ValueError, match="are 1 tensors of 6 numbers"), bounded_by(tmp_path):
        nn.Linear(SPARE_NUMBERS + 100, 1, device="meta")
