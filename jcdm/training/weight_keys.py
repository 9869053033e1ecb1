"""Configuration keys that name weights: which a stage reads, what they take, where to get it."""

from dataclasses import dataclass
from pathlib import Path

from jcdm.config import Config

_HUB = "Hugging Face"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightKey:
    """A key whose value is a weight file or folder. stages: those that read it; source: where from.

    is_part: a part trained here, which may also be named by the folder of its run.
    """

    name: str
    stages: tuple[str, ...]
    takes: str
    source: str
    is_part: bool = False

    def place(self, config: Config) -> Path | None:
        """Return what a configuration names by this key."""
        section, _, field = self.name.partition(".")
        return getattr(getattr(config, section), field)


WEIGHT_KEYS = (
    WeightKey(
        name="encoders.image_encoder",
        stages=("prior", "denoiser", "motion"),
        takes="folder of a CLIP image encoder",
        source=f"{_HUB} kandinsky-community/kandinsky-2-2-prior, folder image_encoder",
    ),
    WeightKey(
        name="encoders.vae",
        stages=("denoiser", "motion"),
        takes="folder of a VAE",
        source=f"{_HUB} stabilityai/sd-vae-ft-mse",
    ),
    WeightKey(
        name="prior.pretrained",
        stages=("prior",),
        takes="Kandinsky 2.2 prior, folder or weight file",
        source=f"{_HUB} kandinsky-community/kandinsky-2-2-prior, folder prior",
    ),
    WeightKey(
        name="prior.weights",
        stages=("prior", "denoiser", "motion"),
        takes="a prior trained here",
        source="python -m jcdm train prior, or the small one in assets/tiny/prior",
        is_part=True,
    ),
    WeightKey(
        name="unet.pretrained",
        stages=("denoiser",),
        takes="Stable Diffusion 1.x U-Net, folder or single file",
        source=f"{_HUB} stable-diffusion-v1-5/stable-diffusion-v1-5, folder unet",
    ),
    WeightKey(
        name="unet.weights",
        stages=("denoiser", "motion"),
        takes="a denoiser trained here",
        source="python -m jcdm train denoiser, or the small one in assets/tiny/denoiser",
        is_part=True,
    ),
    WeightKey(
        name="motion.pretrained",
        stages=("motion",),
        takes="published motion file",
        source=f"{_HUB} guoyww/animatediff or patrolli/AnimateAnyone",
    ),
)


def keys_read(kind: str, config: Config) -> list[WeightKey]:
    """List the keys that a stage of this configuration reads weights by, those not set left out."""
    return [
        key
        for key in WEIGHT_KEYS
        if kind in key.stages and key.place(config) is not None and _is_asked(key, kind, config)
    ]


def _is_asked(key: WeightKey, kind: str, config: Config) -> bool:
    """Say whether the key counts beside others: true embeddings ask no prior."""
    is_prior = key.name == "prior.weights"
    return not (is_prior and kind != "prior" and config.prior.source == "oracle")
