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

FORMAT, VERSION = "jcdm-run", 1
FIELDS = (  # of every result
    *("command", "directory", "code", "config", "seed"),
    *("data", "weights", "versions", "hardware"),
)
PACKAGES = (
    *("torch", "diffusers", "transformers", "accelerate", "safetensors", "numpy", "pillow"),
    *("opencv-python", "scipy", "scikit-image", "lpips", "einops", "jsonargparse"),
    *("onnxruntime", "controlnet-aux", "av", "deepspeed"),
)
PACKAGE = Path(__file__).parent


def run_manifest(
    config: object,
    *,
    seed: int,
    data: Mapping[str, Any],
    weights: Mapping[str, Any],
    **more: Any,
) -> dict[str, Any]:
    """Describe a run in a file of its own; see `origin`. `more` is added as it is."""
    facts = origin(config, seed=seed, data=data, weights=weights)
    return {"format": FORMAT, "version": VERSION, **facts, **more}


def origin(
    config: object, *, seed: int, data: Mapping[str, Any], weights: Mapping[str, Any]
) -> dict[str, Any]:
    """Say where a result comes from: command, commit, configuration, seed, data, weights, machine.

    data: what identifies the data (checksum and counts of an index). weights: what was loaded,
    each as `weights_identity` tells it. Every file of results holds these fields.
    """
    return {
        "command": command_words(),
        "directory": working_directory(),
        "code": code_identity(PACKAGE),
        "config": to_plain(config),
        "seed": seed,
        "data": dict(data),
        "weights": dict(weights),
        "versions": package_versions(),
        "hardware": hardware(),
    }


def command_words() -> list[str]:
    """Words of the command that this process is, as they are typed."""
    program = Path(sys.argv[0])
    if program.parent.name == PACKAGE.name and program.name == "__main__.py":
        return ["python", "-m", PACKAGE.name, *sys.argv[1:]]
    return ["python", program.name, *sys.argv[1:]] if program.suffix == ".py" else [*sys.argv]


def working_directory() -> str:
    """The folder that relative paths begin at; seen from the checkout where it lies inside it."""
    here, checkout = Path.cwd(), PACKAGE.parent
    return str(here.relative_to(checkout) if here.is_relative_to(checkout) else here)


def code_identity(folder: Path) -> dict[str, Any]:
    """Commit of the checkout a folder lies in, and whether files differ from it.

    Both are None where the code was installed without its history.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain") if commit else None
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def has_commit(commit: str) -> bool:
    """Say whether the checkout of this package knows a commit."""
    return _git(PACKAGE, "cat-file", "-e", "--end-of-options", f"{commit}^{{commit}}") is not None


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
        "processor": processor(),
        "num_processors": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "num_threads": torch.get_num_threads(),
        "gpus": gpus,
        "num_processes": int(os.environ.get("WORLD_SIZE", "1")),
    }


def processor() -> str:
    """Name the make of the processor: vendor, family and model where the system tells them.

    With the same instructions, libraries round differently on different makes.
    """
    known = system_facts("cpuinfo")
    if not known:
        return platform.processor()
    return " ".join(known[name] for name in ("vendor_id", "cpu family", "model") if name in known)


def system_facts(name: str) -> dict[str, str]:
    """Read a table of the system, such as cpuinfo or meminfo; an empty one where it has none."""
    file = Path("/", "proc", name)
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    pairs = (line.split(":", 1) for line in lines)
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write a manifest as indented JSON; it appears whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path)
