"""How a stage learns: noise schedule, optimizer, steps, losses, and what is kept."""

from dataclasses import dataclass
from typing import Literal

from jcdm.config.checks import require, require_at_least, require_share

Precision = Literal["no", "bf16", "fp16"]
"""What products are computed in, where weights stay float32; `no`: float32."""


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """The denoiser's one noise schedule, shared by training and sampling.

    `beta_start`, `beta_end`: variance of the noise that the first and the last step add, in (0,1).
    """

    num_train_timesteps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    beta_schedule: Literal["scaled_linear", "linear"] = "scaled_linear"
    prediction_type: Literal["v_prediction", "epsilon"] = "v_prediction"
    zero_terminal_snr: bool = True

    def __post_init__(self) -> None:
        require_at_least("schedule", 2, num_train_timesteps=self.num_train_timesteps)
        require(
            0 < self.beta_start <= self.beta_end < 1,
            f"schedule.beta_start ({self.beta_start}) and schedule.beta_end ({self.beta_end}) must "
            "rise from above 0 to below 1: they are shares of noise that a step adds.",
        )
        require(
            not (self.zero_terminal_snr and self.prediction_type == "epsilon"),
            "schedule.zero_terminal_snr needs schedule.prediction_type=v_prediction: at zero "
            "signal the noise says nothing about the picture.",
        )


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW and its learning rate."""

    learning_rate: float
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    num_warmup_steps: int = 500
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        require(
            self.learning_rate > 0, f"optim.learning_rate must be > 0, got {self.learning_rate}."
        )
        require(
            self.max_grad_norm > 0, f"optim.max_grad_norm must be > 0, got {self.max_grad_norm}."
        )
        require_at_least("optim", 0, num_warmup_steps=self.num_warmup_steps)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long and how a stage trains. `batch_size` counts people a process a micro-batch.

    `compile`: translate the U-Net's blocks, or the prior's layers, with torch.compile and
    `compile_backend`. `channels_last`: keep pictures' channels beside each other in memory.
    `timesteps`: how often the denoiser sees each noise level: all alike, or `cubic`: mostly high
    ones, where poses and colours are decided. `max_minutes`: save and end after that long, for
    the same command to go on. `hang_minutes`: end a rank none of whose phases (reading a batch, a
    step, validation, saving) may take so long; 0 = never. `max_skipped_in_row`: save and end after
    so many steps on end without a finite gradient. `keep_checkpoints`: how many of the last ones
    stay; `keep_best`: how many of the lowest validation loss stay besides, which is then measured
    at every checkpoint (unless `validate_every` is 0: then none is best).
    """

    num_steps: int
    batch_size: int
    accumulation: int = 1
    mixed_precision: Precision = "no"
    activation_checkpointing: bool = False
    compile: bool = False
    compile_backend: str = "inductor"
    channels_last: bool = False
    ema_decay: float = 0.9999
    timesteps: Literal["uniform", "cubic"] = "uniform"
    snr_gamma: float | None = 5.0
    noise_offset: float = 0.05
    target_cell_weight: float = 1.0
    reference_cell_weight: float = 1.0
    drop_prior: float = 0.1
    drop_pose: float = 0.05
    drop_all: float = 0.05
    log_every: int = 10
    validate_every: int = 500
    num_validation_subjects: int = 16
    picture_every: int = 1000
    picture_steps: int = 12
    checkpoint_every: int = 1000
    keep_checkpoints: int = 3
    keep_best: int = 1
    resume: str = "auto"
    max_minutes: float | None = None
    hang_minutes: float = 60.0
    max_skipped_in_row: int = 50
    num_threads: int | None = None

    def __post_init__(self) -> None:
        require(
            self.max_minutes is None or self.max_minutes > 0,
            f"train.max_minutes must be more than 0, or null for no limit, got {self.max_minutes}.",
        )
        require_at_least("train", 0, hang_minutes=self.hang_minutes)
        require_at_least(
            "train",
            1,
            max_skipped_in_row=self.max_skipped_in_row,
            num_steps=self.num_steps,
            batch_size=self.batch_size,
            accumulation=self.accumulation,
            log_every=self.log_every,
            checkpoint_every=self.checkpoint_every,
            keep_checkpoints=self.keep_checkpoints,
        )
        require_at_least("train", 0, noise_offset=self.noise_offset, keep_best=self.keep_best)
        require_share(
            "train",
            ema_decay=self.ema_decay,
            drop_prior=self.drop_prior,
            drop_pose=self.drop_pose,
            drop_all=self.drop_all,
        )
        total = self.drop_prior + self.drop_pose + self.drop_all
        require(
            total <= 1,
            "train.drop_prior + train.drop_pose + train.drop_all must not exceed 1, "
            f"got {total:g}.",
        )
