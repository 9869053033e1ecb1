"""The run manifest: what a result needs to be trusted and repeated."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from jcdm.plain import to_plain

PACKAGES = (
    *("torch", "diffusers", "transformers", "accelerate", "safetensors", "numpy", "pillow"),
    *("opencv-python", "onnxruntime", "controlnet-aux"),
)


def run_manifest(
    config: object, *, seed: int, data: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """Describe a run: commit, configuration, seed, data identity, versions, hardware.

    data: what identifies the data (checksum and counts of an index). `more` is added as it is.
    """
    return {
        "code": code_identity(Path(__file__).parent),
        "config": to_plain(config),
        "seed": seed,
        "data": dict(data),
        "versions": package_versions(),
        "hardware": hardware(),
        **more,
    }


def code_identity(folder: Path) -> dict[str, Any]:
    """Commit of the checkout a folder lies in, and whether files differ from it.

    Both are None where the code was installed without its history.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain") if commit else None
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _git(folder: Path, *words: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def package_versions() -> dict[str, str | None]:
    """Versions of Python, this package and what its numbers depend on; None = not installed."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in ("jcdm", *PACKAGES):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def hardware() -> dict[str, Any]:
    """What the run runs on: system, processors, threads of torch, GPUs, number of processes."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "num_processors": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "num_threads": torch.get_num_threads(),
        "gpus": gpus,
        "num_processes": int(os.environ.get("WORLD_SIZE", "1")),
        "command": " ".join(Path(word).name if i == 0 else word for i, word in enumerate(sys.argv)),
    }


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write a manifest as indented JSON."""
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
