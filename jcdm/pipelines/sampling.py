"""How to sample: the options of both image pipelines, and named sets of them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, get_args

from jcdm.config import Precision, SampleConfig
from jcdm.diffusion.schedule import SAMPLERS
from jcdm.errors import ConfigError

PriorSource = Literal["apm", "oracle", "mean", "none"]
OWN, AUTO = "own", "auto"
BEST_SAMPLER = "unipc"  # as all numbers here measured: docs/sampling.md

_STANDARD: Mapping[str, Any] = {
    "sampler": AUTO,
    "num_steps": 12,
    "guidance_kept": 0.1,
    "prior_steps": 4,
    "fixed_keys": True,
}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "standard": _STANDARD,
    "exact": {"sampler": "ddim"},
    "fast": {**_STANDARD, "num_steps": 8, "guidance_kept": 0.15},
    "low-memory": {**_STANDARD, "people_at_once": 1, "vae_tile": 512, "offload": True},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions:
    """How to sample. Bare defaults are the plain path; `preset` gives what measurement chose.

    sampler: a key of `SAMPLERS` on the pipeline's noise levels; `own`, the scheduler that the
    pipeline holds; `auto`, the best sampler in the place of the DDIM that weights are stored with,
    unless someone chose another scheduler. Guidance: scale 1 = none and half the cost; it acts
    from share `guidance_start` to share `guidance_end` of the way from noise to picture, and costs
    nothing outside (Kynkaanniemi et al., 2024); a direction it has found is kept for the share
    `guidance_kept` of the way. The unconditional half drops the appearance tokens and, with
    `guide_pose`, the pose too: the two nulls that training has.
    prior_source: `apm` asks the prior; `oracle` embeds the true views of every cell; `mean` gives
    targets the mean of the references' embeddings; `none` tells nothing: the learned null tokens.
    fixed_keys: keys and values of the tokens are computed once a sample, except with `compile`,
    which would build a graph for every sample. people_at_once: grids that the U-Net sees in one
    call, None = all. vae_tile: side in pixels of the tiles that the VAE works in, one picture at a
    time; None = whole pictures. compile: the U-Net's blocks by torch.compile. mixed_precision: what
    the U-Net's products are computed in, its weights and the sampler staying as they are; fp16 on a
    GPU alone. offload: where there is a GPU, models wait in main memory.
    """

    num_steps: int = 30
    sampler: str = OWN
    guidance_scale: float = 2.0
    guidance_start: float = 0.0
    guidance_end: float = 1.0
    guidance_kept: float = 0.0
    guide_pose: bool = False
    prior_steps: int = 20
    prior_guidance: float = 1.0
    prior_source: PriorSource = "apm"
    fixed_keys: bool = False
    people_at_once: int | None = None
    vae_tile: int | None = None
    compile: bool = False
    mixed_precision: Precision = "no"
    offload: bool = False

    def __post_init__(self) -> None:
        _check_word("prior_source", self.prior_source, get_args(PriorSource))
        _check_word("sampler", self.sampler, (AUTO, OWN, *SAMPLERS))
        _check_word("mixed_precision", self.mixed_precision, get_args(Precision))
        for name in ("guidance_scale", "prior_guidance"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be >= 0, got {getattr(self, name)}.")
        for name in ("people_at_once", "vae_tile"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}; expected 1 or more.")
        if not 0 <= self.guidance_kept <= 1:
            raise ConfigError(f"guidance_kept is {self.guidance_kept}; expected 0 to 1.")
        if not 0 <= self.guidance_start < self.guidance_end <= 1:
            raise ConfigError(
                f"guidance_start is {self.guidance_start} and guidance_end {self.guidance_end}; "
                "expected 0 <= guidance_start < guidance_end <= 1. For no guidance at all, set "
                "guidance_scale to 1."
            )

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """Make the options of a preset (a key of `PRESETS`), some of them changed.

        `exact`: the plain path, DDIM as trained, nothing left out or kept; `standard`: near the
        finely sampled picture at a third of the cost; `fast`: fewer steps still; `low-memory`:
        `standard` in small pieces. Errors: ConfigError for unknown names.
        """
        _check_word("preset", name, tuple(PRESETS))
        check_names(changes)
        return cls(**{**PRESETS[name], **changes})

    @property
    def guides_plainly(self) -> bool:
        """Whether guidance acts, and its direction is found anew, at every step."""
        return (self.guidance_start, self.guidance_end, self.guidance_kept) == (0, 1, 0)


def check_names(settings: Mapping[str, Any], place: str = "") -> None:
    """Raise a ConfigError unless all keys are fields of `SamplingOptions`; `place` tells where."""
    known = [field.name for field in fields(SamplingOptions)]
    if unknown := sorted(set(settings) - set(known)):
        raise ConfigError(
            f"{place}unknown sampling setting {unknown[0]!r}; expected some of {', '.join(known)}."
        )


def configured_options(sample: SampleConfig, default: str) -> SamplingOptions:
    """Make the options of a test's configuration: its preset or `default`, and the keys set.

    The pipeline was loaded with the configured scheduler, which hence is its own.
    """
    given = {field.name: getattr(sample, field.name, None) for field in fields(SamplingOptions)}
    chosen = {name: value for name, value in given.items() if value is not None}
    if sample.scheduler is not None:
        chosen["sampler"] = OWN
    return SamplingOptions.preset(sample.preset or default, **chosen)


def _check_word(name: str, found: str, words: tuple[str, ...]) -> None:
    if found not in words:
        raise ConfigError(f"{name} is {found!r}; expected one of {', '.join(words)}.")
