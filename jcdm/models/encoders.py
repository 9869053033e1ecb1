"""The frozen encoders: the VAE that makes latents, the CLIP tower that makes appearance embeddings.

Both are wrapped once: evaluation mode, no gradients, one dtype, numbers read from their config.
"""

from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import CLIPVisionModelWithProjection
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from jcdm.errors import CheckpointError, DataError
from jcdm.models.loading import read_model
from jcdm.plain import HUB_PREFIX
from jcdm.records import LatentMoments

VAE_WEIGHTS = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
)
CLIP_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def _source(path: Path | str, config_key: str, weights: tuple[str, ...]) -> dict[str, Any]:
    """Arguments of `from_pretrained` for a local folder or `hub:owner/name[/subfolder]`.

    A local folder is checked before a library sees it: CheckpointError names what is missing.
    """
    text = str(path)
    if text.startswith(HUB_PREFIX):
        owner, name, *rest = text.removeprefix(HUB_PREFIX).split("/")
        return {"pretrained_model_name_or_path": f"{owner}/{name}", "subfolder": "/".join(rest)}
    folder = Path(text)
    complete = (folder / "config.json").is_file() and any((folder / w).is_file() for w in weights)
    if not complete:
        raise CheckpointError(
            f"{config_key}: {folder} is not a complete model folder; expected config.json and one "
            f"of {', '.join(weights)}. Point the key at such a folder, or at "
            f"{HUB_PREFIX}owner/name."
        )
    return {"pretrained_model_name_or_path": text, "local_files_only": True}


class _Frozen(nn.Module):
    """A pretrained model that stays in evaluation mode and takes no gradients."""

    model: Any

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        super().__init__()
        # diffusers warns at every cast, needed or not.
        cast = model if next(model.parameters()).dtype == dtype else model.to(dtype)
        self.model = cast.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, whatever the owner's mode."""
        return super().train(False)

    @property
    def device(self) -> torch.device:
        """Where the weights are; inputs are moved there."""
        return next(self.model.parameters()).device

    def _place(self, tensor: Tensor) -> Tensor:
        """Move an input to the weights' device and dtype."""
        return tensor.to(self.device, next(self.model.parameters()).dtype)


class FrozenVAE(_Frozen):
    """Images <-> scaled latents. `factor` f pixels a latent cell, `latent_channels` C.

    Takes inputs on any device; returns float32 on the model's device.
    """

    def __init__(self, vae: AutoencoderKL, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(vae, dtype)
        config = self.model.config
        self.factor: int = 2 ** (len(config.block_out_channels) - 1)
        self.latent_channels: int = config.latent_channels
        self.scaling_factor: float = config.scaling_factor
        self.shift: float = config.get("shift_factor") or 0.0
        self._black: dict[tuple[int, int], Tensor] = {}

    @classmethod
    def from_folder(
        cls, path: Path | str, dtype: torch.dtype = torch.float32, *, key: str = "encoders.vae"
    ) -> Self:
        """Load a diffusers AutoencoderKL folder, which errors call `key`.

        Raises CheckpointError unless it is complete.
        """
        source = _source(path, key, VAE_WEIGHTS)
        load = partial(AutoencoderKL.from_pretrained, **source, dtype=dtype)
        return cls(read_model(load, path, allow_unknown=True)[0], dtype)

    @torch.no_grad()
    def encode(self, images: Tensor) -> LatentMoments:
        """Encode images (N,3,H,W) in [-1,1] to unscaled moments (N,C,h,w); h = H / f."""
        if images.shape[-2] % self.factor or images.shape[-1] % self.factor:
            raise DataError(
                f"found images of {images.shape[-2]} x {images.shape[-1]} pixels; the VAE needs "
                f"multiples of {self.factor}. Change data.height or data.width."
            )
        posterior = self.model.encode(self._place(images)).latent_dist
        return LatentMoments(mean=posterior.mean.float(), std=posterior.std.float())

    def sample_latents(self, moments: LatentMoments, noise: Tensor) -> Tensor:
        """Draw scaled latents; noise: standard normal numbers of the shape of moments.mean."""
        if noise.shape != moments.mean.shape:
            raise DataError(
                f"noise has shape {tuple(noise.shape)}, expected that of the moments, "
                f"{tuple(moments.mean.shape)}."
            )
        sample = moments.mean + moments.std * noise.to(moments.mean.device)
        return (sample - self.shift) * self.scaling_factor

    def mean_latents(self, moments: LatentMoments) -> Tensor:
        """Return the posterior mean as scaled latents."""
        return (moments.mean - self.shift) * self.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Decode scaled latents (N,C,h,w) to images (N,3,H,W), clamped to [-1,1]."""
        unscaled = latents / self.scaling_factor + self.shift
        return self.model.decode(self._place(unscaled)).sample.float().clamp(-1, 1)

    def black_latents(self, height: int, width: int) -> Tensor:
        """Scaled mean latents (C,h,w) of a black picture; encoded once a size."""
        if (height, width) not in self._black:
            black = torch.full((1, 3, height, width), -1.0)
            self._black[height, width] = self.mean_latents(self.encode(black))[0]
        return self._black[height, width].to(self.device)


class FrozenCLIPVision(_Frozen):
    """Images -> appearance embeddings (D), not normalised. `image_size` S pixels a side.

    patch_dim: width W of its patch tokens, of which a picture has `patches_a_side` squared. Takes
    inputs on any device; returns float32 on the model's device.
    """

    def __init__(
        self, model: CLIPVisionModelWithProjection, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__(model, dtype)
        self.width: int = self.model.config.projection_dim
        self.image_size: int = self.model.config.image_size
        self.patch_dim: int = self.model.config.hidden_size
        self.patches_a_side: int = self.image_size // self.model.config.patch_size
        self._plain: dict[float, Tensor] = {}

    @classmethod
    def from_folder(
        cls,
        path: Path | str,
        dtype: torch.dtype = torch.float32,
        *,
        key: str = "encoders.image_encoder",
    ) -> Self:
        """Load a CLIP vision folder with projection, which errors call `key`.

        Raises CheckpointError unless it is complete.
        """
        source = _source(path, key, CLIP_WEIGHTS)
        load = partial(CLIPVisionModelWithProjection.from_pretrained, **source, dtype=dtype)
        return cls(read_model(load, path, allow_unknown=True)[0], dtype)

    @torch.no_grad()
    def embed(self, clip_pixels: Tensor) -> Tensor:
        """Embed CLIP-normalised pixels (N,3,S,S) to (N,D)."""
        return self._see(clip_pixels).image_embeds.float()

    @torch.no_grad()
    def patch_tokens(self, clip_pixels: Tensor) -> Tensor:
        """Tokens (N,T,W) of the last layer, class token first, of CLIP-normalised pixels.

        The encoder's own last normalisation is not in them: it has one for the class token alone.
        """
        return self._see(clip_pixels).last_hidden_state.float()

    @torch.no_grad()
    def embed_with_tokens(self, clip_pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `embed` and `patch_tokens` do, computed at once."""
        seen = self._see(clip_pixels)
        return seen.image_embeds.float(), seen.last_hidden_state.float()

    def _see(self, clip_pixels: Tensor) -> Any:
        """Run the encoder. Errors: DataError for pictures of another size."""
        size = (3, self.image_size, self.image_size)
        if tuple(clip_pixels.shape[1:]) != size:
            raise DataError(
                f"found CLIP pixels of shape {tuple(clip_pixels.shape)}, expected (N, {size[0]}, "
                f"{size[1]}, {size[2]}). Cut images to the encoder's image_size."
            )
        return self.model(pixel_values=self._place(clip_pixels))

    def black_embedding(self) -> Tensor:
        """Embedding (D,) of a black image; computed once."""
        return self._plain_embedding(0.0)

    def white_embedding(self) -> Tensor:
        """Embedding (D,) of a white image; computed once."""
        return self._plain_embedding(1.0)

    def _plain_embedding(self, level: float) -> Tensor:
        """Embedding of an image whose every value is `level` in [0,1]."""
        if level not in self._plain:
            mean, std = torch.tensor(OPENAI_CLIP_MEAN), torch.tensor(OPENAI_CLIP_STD)
            pixel = ((level - mean) / std).view(1, 3, 1, 1)
            self._plain[level] = self.embed(pixel.repeat(1, 1, self.image_size, self.image_size))[0]
        return self._plain[level].to(self.device)
