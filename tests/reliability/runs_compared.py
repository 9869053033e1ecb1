"""What two runs are compared by: every tensor they wrote, and their rows without the clock."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from jcdm.logs import read_metrics


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Read all tensors below a folder, by file and name."""
    return {
        f"{file.relative_to(folder)}:{name}": tensor
        for file in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def rows(run: Path) -> list[dict[str, Any]]:
    """Read the rows of a run's metrics, without the seconds they took."""
    found = read_metrics(run / "metrics.jsonl")
    return [{name: value for name, value in row.items() if name != "seconds"} for row in found]


def require_equal(found: Path, expected: Path) -> None:
    """Require the same tensors below two folders, to the last bit."""
    first, second = tensors(found), tensors(expected)
    assert first.keys() == second.keys() and first
    assert not [name for name in first if not torch.equal(first[name], second[name])]
