"""A pipeline's components, planned from published files and checked before anything is written.

Models are built on the meta device, so that a plan costs no memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.compat.pieces import KeyMap, Pieces, match, write_pieces
from jcdm.compat.weight_files import (
    DIFFUSERS_STEMS,
    TRANSFORMERS_STEMS,
    open_folder,
    read_model_config,
)
from jcdm.errors import CheckpointError, JCDMError

DIFFUSERS_STEM, TRANSFORMERS_STEM = "diffusion_pytorch_model", "model"
_OTHER_HALF = ("text_model.", "text_projection.", "logit_scale")  # of a whole CLIP
_OLD_ATTENTION = {  # names in VAE folders from before diffusers 0.17, as sd-vae-ft-mse's
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One component of a pipeline: its model on the meta device, and where its weights come from.

    constants: weights that no file holds. unused: names in the first file which nothing reads.
    config: the file that the architecture was read from. notes: what a user should know.
    """

    name: str
    model: Any
    stem: str
    pieces: Pieces
    config: Path | None = None
    constants: dict[str, Tensor] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> list[Path]:
        """The files that it was read from, each once."""
        weights = (piece.files.place(piece.name) for piece in self.pieces.values())
        return list(dict.fromkeys([*weights, *([self.config] if self.config else [])]))

    def write(self, parent: Path) -> None:
        """Write config.json and the weights to the component's folder below `parent`."""
        folder = parent / self.name
        folder.mkdir()
        if isinstance(self.model, CLIPVisionModelWithProjection):
            self.model.config.save_pretrained(folder)
        else:
            self.model.save_config(folder)
        write_pieces(folder, self.stem, self.pieces, self.constants)


def vae_component(source: Path) -> Component:
    """Plan the VAE from a diffusers folder, its own or a pipeline's."""
    folder, config = read_model_config(source, ("vae",))
    _check_class(folder, config.get("_class_name", "AutoencoderKL"), "AutoencoderKL")
    with described_by(folder / "config.json"):
        model = AutoencoderKL.from_config(config)
    files = open_folder(folder, DIFFUSERS_STEMS)
    keys = replace(below(""), rename=_new_attention_name)
    pieces = match(files, keys, model.state_dict())
    return Component(
        name="vae",
        model=model,
        stem=DIFFUSERS_STEM,
        pieces=pieces,
        config=folder / "config.json",
    )


def image_encoder_component(source: Path) -> Component:
    """Plan the CLIP vision tower from a transformers folder, its own or a pipeline's."""
    folder, config = read_model_config(source, ("image_encoder",))
    kind = config.get("model_type", "clip_vision_model")
    _check_class(folder, "CLIP" if kind in ("clip", "clip_vision_model") else kind, "CLIP")
    with described_by(folder / "config.json"):
        model = CLIPVisionModelWithProjection(_vision_config(config))
    files = open_folder(folder, TRANSFORMERS_STEMS)
    keys = replace(
        below(""),
        ignored=lambda n: n.startswith(_OTHER_HALF) or n.endswith("embeddings.position_ids"),
    )
    pieces = match(files, keys, model.state_dict())
    return Component(
        name="image_encoder",
        model=model,
        stem=TRANSFORMERS_STEM,
        pieces=pieces,
        config=folder / "config.json",
    )


@contextmanager
def described_by(file: Path) -> Iterator[None]:
    """Build a model on the meta device from what a file says of its architecture.

    Whatever a library raises for numbers that make no model becomes one CheckpointError.
    """
    try:
        with torch.device("meta"):
            yield
    except JCDMError:
        raise
    except Exception as error:  # a damaged configuration can make any layer raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(
            f"{file} describes no model that can be built: {type(error).__name__}: {reason}. "
            "Copy the file again."
        ) from error


def below(prefix: str) -> KeyMap:
    """Map names that are ours already, but for a prefix of ours."""
    return KeyMap(
        rename=lambda name: prefix + name, official=lambda name: (name.removeprefix(prefix),)
    )


def _vision_config(config: dict[str, Any]) -> CLIPVisionConfig:
    """Take the vision half of a whole CLIP's configuration, or a vision tower's as it is."""
    if "vision_config" in config:
        return CLIPVisionConfig(
            **config["vision_config"] | {"projection_dim": config["projection_dim"]}
        )
    return CLIPVisionConfig(**config)


def _new_attention_name(name: str) -> str:
    for old, new in _OLD_ATTENTION.items():
        if ".attentions." in name:
            name = name.replace(old, new)
    return name


def _check_class(folder: Path, found: Any, expected: str) -> None:
    if found != expected:
        raise CheckpointError(
            f"{folder}/config.json describes {found}, expected {expected}. Check the path."
        )
