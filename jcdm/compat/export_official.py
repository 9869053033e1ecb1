"""A pipeline in the layout of the published weight files, for whoever works with those.

The published layout holds pickles (`torch.save`), which is what it consists of; this project reads
them without running them, and writes them nowhere else.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from jcdm.compat.checkpoint_files import BESIDE
from jcdm.compat.convert_official import UNUSED
from jcdm.compat.official_keys_prior import OURS_NOT_IN_OFFICIAL, prior_state_to_official
from jcdm.compat.official_keys_unet import official_from_denoiser
from jcdm.compat.weight_files import DIFFUSERS_STEMS, open_folder, read_json
from jcdm.errors import ConfigError
from jcdm.folders import write_folder

PUBLISHED_VIEWS = 5  # rows of the published prior's position tables
PRIOR_FILE = "mp_rank_00_model_states.pt"


def export_official(pipeline: Path, out: Path, *, step: int = 0) -> list[Path]:
    """Write prior, U-Net, pose guider, linear_emb and motion of a pipeline folder into `out`.

    Dtypes stay as they are stored. step: the number in the published file names. What of the prior
    has no published name stands beside the published weights. Returns the files.
    Errors: ConfigError for a model that the published layout cannot hold, CheckpointError for a
    folder without weights; nothing is left behind.
    """
    if out.exists():
        raise ConfigError(f"{out} exists; choose a new folder, or remove it first.")
    _check_settings(pipeline)
    write_folder(out, lambda folder: _fill(folder, pipeline, step))
    return sorted(path for path in out.iterdir() if path.suffix in (".pt", ".pth"))


def _check_settings(pipeline: Path) -> None:
    """Raise a ConfigError unless the published model has all parts of this one, and no other."""
    denoiser = read_json(pipeline / "denoiser" / "config.json")
    prior = read_json(pipeline / "prior" / "config.json")
    motion = denoiser.get("motion_config") or {"axis": "views"}
    wanted = {
        "jci.kind": (denoiser.get("jci_config", {}).get("kind"), "linear"),
        "prior.visibility_embedding": (prior.get("visibility_embedding"), "clip_constant"),
        "motion.axis": (motion["axis"], "views"),
        "data.grid_rows": (denoiser.get("grid_rows"), 2),
        "data.grid_cols": (denoiser.get("grid_cols"), 2),
        "encoders.layout": (read_json(pipeline / "model_index.json").get("layout"), "grid"),
    }
    for key, (found, expected) in wanted.items():
        if found != expected:
            raise ConfigError(
                f"{pipeline} has {key} {found}; the published layout only holds {expected}. "
                "Export a model that was trained with configs/deepfashion/published_*.yaml."
            )


def _fill(folder: Path, pipeline: Path, step: int) -> None:
    prior = _read(pipeline / "prior")
    extra = pipeline / UNUSED
    unused = load_file(extra) if extra.is_file() else {}
    published = prior_state_to_official(prior, max_views=PUBLISHED_VIEWS) | unused
    content = {"module": published, "epoch": 0, "last_global_step": step}
    ours = {name: prior[name] for name in OURS_NOT_IN_OFFICIAL}
    torch.save(content | {BESIDE: ours}, folder / PRIOR_FILE)
    stage2 = official_from_denoiser(_read(pipeline / "denoiser"))
    unet = {name: tensor for name, tensor in stage2.unet.items() if "motion_modules" not in name}
    torch.save(unet, folder / f"denoising_unet-{step}.pth")
    torch.save(stage2.pose_guider, folder / f"pose_guider-{step}.pth")
    torch.save(stage2.linear_emb, folder / f"linear_emb-{step}.pth")
    if len(unet) < len(stage2.unet):  # the published motion file holds the whole 3-D U-Net
        torch.save(stage2.unet, folder / f"motion_module-{step}.pth")


def _read(folder: Path) -> dict[str, Tensor]:
    files = open_folder(folder, DIFFUSERS_STEMS[:1])
    return files.read(files.layout)
