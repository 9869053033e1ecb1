"""How a trained model paints."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jcdm.config.checks import require_at_least, require_share
from jcdm.config.learning import Precision


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Which model paints, and how; `prior` and `denoiser` replace parts of the pipeline.

    `schedule`: noise levels of the pipeline (null), of its training, or of published sampling.
    `preset`: named settings (docs/sampling.md); keys that are set win over it.
    """

    pipeline: Path
    prior: Path | None = None
    denoiser: Path | None = None
    num_references: int = 2
    scheduler: Literal["ddim", "ddpm", "dpmpp_2m", "unipc", "euler", "euler_a", "lcm"] | None = None
    schedule: Literal["trained", "published"] | None = None
    preset: Literal["standard", "exact", "fast", "low-memory"] | None = None
    num_steps: int | None = None
    guidance_scale: float | None = None
    guidance_start: float | None = None
    guidance_end: float | None = None
    guidance_kept: float | None = None
    prior_steps: int | None = None
    prior_guidance: float = 1.0
    prior_source: Literal["apm", "oracle", "mean", "none"] = "apm"
    vae_tile: int | None = None
    compile: bool | None = None
    mixed_precision: Precision | None = None
    batch_size: int = 4

    def __post_init__(self) -> None:
        set_ones = {
            "num_steps": self.num_steps,
            "prior_steps": self.prior_steps,
            "vae_tile": self.vae_tile,
        }
        require_at_least(
            "sample",
            1,
            num_references=self.num_references,
            batch_size=self.batch_size,
            **{name: value for name, value in set_ones.items() if value is not None},
        )
        names = ("guidance_start", "guidance_end", "guidance_kept")
        shares = {name: getattr(self, name) for name in names}
        require_share("sample", **{n: value for n, value in shares.items() if value is not None})
        scale = 1.0 if self.guidance_scale is None else self.guidance_scale
        require_at_least("sample", 0, guidance_scale=scale, prior_guidance=self.prior_guidance)
