"""The configuration of a training run: a tree of frozen dataclasses, one section a concern.

Precedence: dataclass default < YAML < --section.key=value. A field without default is required.
Every section checks itself in `__post_init__`; `Config.validate` checks relations between sections.
Reading YAML and options lives in `jcdm.cli.options`.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from jcdm.errors import ConfigError
from jcdm.fitting import parse_frame
from jcdm.grid import GridShape

OnBad = Literal["error", "skip"]
"""What a picture that cannot be read does: it ends the work, or is left out and named."""


def _require(condition: bool, message: str) -> None:
    """Raise a ConfigError with `message` unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def _require_at_least(section: str, smallest: float, **values: float) -> None:
    for name, value in values.items():
        _require(value >= smallest, f"{section}.{name} must be >= {smallest:g}, got {value}.")


def _require_share(section: str, **values: float) -> None:
    for name, value in values.items():
        _require(0 <= value <= 1, f"{section}.{name} must be between 0 and 1, got {value}.")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Where a run writes and which seed all its random numbers derive from."""

    out: Path
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class VisibilityConfig:
    """How many of the views are references, and where they may stand.

    `any`: every position; `prefix`: the first n cells, as published.
    """

    kind: Literal["any", "prefix"] = "any"
    min_references: int = 1
    max_references: int | None = None

    def __post_init__(self) -> None:
        _require_at_least("data.visibility", 1, min_references=self.min_references)
        if self.max_references is not None:
            _require(
                self.max_references >= self.min_references,
                f"data.visibility.max_references ({self.max_references}) must not be below "
                f"min_references ({self.min_references}).",
            )


@dataclass(frozen=True, kw_only=True)
class DrawConfig:
    """People to draw where the index does not exist yet; num_identities 0 = never draw."""

    num_identities: int = 0
    num_views: int = 8
    num_sequences: int = 0
    num_frames: int = 16
    test_fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        _require_at_least("data.draw", 0, num_identities=self.num_identities)
        _require_at_least("data.draw", 1, num_views=self.num_views, num_frames=self.num_frames)
        _require_share("data.draw", test_fraction=self.test_fraction)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which people are trained on and how a view is cut to size (pixels).

    `frames`: the views of a subject are frames in order, as in an index of sequences. `fit`: crop,
    letterbox, or the frame of an evaluation protocol, HEIGHTxWIDTH, that stands between bars.
    `random_crop`: `crop` cuts anywhere in training, else from the centre. `arrangements`: a
    subject's views, cells, cut, mirror and visibility repeat after that many epochs; 0 = never.
    `on_bad`: a picture that cannot be read ends a run, or is found before it begins and left out
    of it with its view.
    """

    index: Path
    height: int
    width: int
    frames: bool = False
    arrangements: int = 0
    draw: DrawConfig = field(default_factory=DrawConfig)
    split: str = "train"
    validation_split: str | None = "test"
    grid_rows: int = 2
    grid_cols: int = 2
    fit: str = "crop"
    random_crop: bool = True
    flip_probability: float = 0.5
    visibility: VisibilityConfig = field(default_factory=VisibilityConfig)
    num_workers: int = 0
    on_bad: OnBad = "error"

    def __post_init__(self) -> None:
        _require_at_least("data", 8, height=self.height, width=self.width)
        _require_at_least("data", 0, num_workers=self.num_workers, arrangements=self.arrangements)
        _require_share("data", flip_probability=self.flip_probability)
        parse_frame(self.fit)
        GridShape(rows=self.grid_rows, cols=self.grid_cols)

    @property
    def grid(self) -> GridShape:
        """The grid's shape as the object that the rooms pass on."""
        return GridShape(rows=self.grid_rows, cols=self.grid_cols)


@dataclass(frozen=True, kw_only=True)
class EncodersConfig:
    """Local folders of the frozen encoders (diffusers and transformers layouts).

    `layout`: encode views one by one, or the whole grid at once as published. `clip_fit`: what CLIP
    sees of a tall view: its centre square (published) or all of it on a padded square. `cache`:
    what they make of every photograph, built by `python -m jcdm cache`: a folder or a URL that
    fsspec knows; shards of a URL are copied to `cache_copies`, at most `cache_copies_gb` of them.
    """

    vae: Path
    image_encoder: Path
    layout: Literal["view", "grid"] = "view"
    clip_fit: Literal["crop", "pad"] = "crop"
    cache: Path | None = None
    cache_copies: Path | None = None
    cache_copies_gb: float = 50.0

    def __post_init__(self) -> None:
        _require(
            self.cache is None or self.layout == "view",
            "encoders.cache needs encoders.layout=view: the published layout encodes whole grids, "
            "which differ in every sample.",
        )
        _require(
            self.cache_copies_gb > 0,
            f"encoders.cache_copies_gb must be > 0, got {self.cache_copies_gb}.",
        )


@dataclass(frozen=True, kw_only=True)
class PriorConfig:
    """Size of the appearance prior transformer (APM), and how stage 2 obtains its predictions.

    `pretrained`: stage 1 starts from the Kandinsky 2.2 prior (folder or weight file). `weights` is
    a trained prior folder: required where `source` is `apm` in stage 2. `predictions`: what it
    predicts for every arrangement, built by `python -m jcdm cache --predictions`: folder or URL.
    """

    num_layers: int = 20
    num_heads: int = 32
    head_dim: int = 64
    pose_hidden_dim: int = 512
    num_view_heads: int = 8
    attend_across_views: bool = True
    visibility_embedding: Literal["learned", "clip_constant"] = "learned"
    timesteps: Literal["sample", "view"] = "sample"
    noise_offset: float = 0.1
    clip_mean: float | None = None
    clip_std: float | None = None
    source: Literal["apm", "oracle"] = "apm"
    pretrained: Path | None = None
    weights: Path | None = None
    training_steps: int = 4
    predictions: Path | None = None

    def __post_init__(self) -> None:
        _require(
            self.pretrained is None or self.weights is None,
            "prior.pretrained and prior.weights are both set; expected one: weights of this "
            "project, or Kandinsky's.",
        )
        _require_at_least(
            "prior",
            1,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            head_dim=self.head_dim,
            training_steps=self.training_steps,
        )
        width = self.num_heads * self.head_dim
        _require(
            width % self.num_view_heads == 0,
            f"prior.num_view_heads ({self.num_view_heads}) must divide the prior's width "
            f"prior.num_heads * prior.head_dim = {width}.",
        )


@dataclass(frozen=True, kw_only=True)
class JCIConfig:
    """Joint condition injection: how V embeddings become the U-Net's tokens.

    `into_cells`: a token of every view's own, which is also added to the features of its own cell,
    so that the U-Net need not find out which token is which cell's. `patch_grid`: n = beside those
    n x n tokens of every reference view's patches, for detail that an embedding cannot hold; 0 =
    none.
    """

    kind: Literal["cross_attention", "linear"] = "cross_attention"
    num_tokens: int = 16
    num_heads: int = 8
    num_layers: int = 2
    into_cells: bool = False
    patch_grid: int = 0

    def __post_init__(self) -> None:
        _require_at_least("jci", 1, num_tokens=self.num_tokens, num_layers=self.num_layers)
        _require_at_least("jci", 0, patch_grid=self.patch_grid)
        _require(
            self.kind != "linear" or not self.into_cells,
            "jci.into_cells is true, but jci.kind=linear, the published injection, makes tokens "
            "alone. Set jci.into_cells=false or jci.kind=cross_attention.",
        )
        _require(
            self.kind != "linear" or self.patch_grid == 0,
            f"jci.patch_grid is {self.patch_grid}, but jci.kind=linear, the published injection, "
            "makes tokens of embeddings alone. Set jci.patch_grid=0 or jci.kind=cross_attention.",
        )

    def count_tokens(self, num_views: int) -> int:
        """How many tokens `cross_attention` makes of so many views."""
        return self.num_tokens + num_views * (self.into_cells + self.patch_grid**2)


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Size of the denoising U-Net and its pose guider. `attention_levels` False = a plain level.

    `pretrained`: stage 2 starts from Stable Diffusion 1.x (folder or single file); `weights`: from
    a trained denoiser. `attend_across_cells` False = self-attention stays inside each view's cell,
    which cuts off what views know of each other.
    """

    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    attention_levels: tuple[bool, ...] = (True, True, True, False)
    layers_per_block: int = 2
    cross_attention_dim: int = 768
    num_heads: int = 8
    norm_num_groups: int = 32
    pose_guider_channels: tuple[int, ...] = (16, 32, 96, 256)
    attend_across_cells: bool = True
    pretrained: Path | None = None
    weights: Path | None = None

    def __post_init__(self) -> None:
        _require(
            self.pretrained is None or self.weights is None,
            "unet.pretrained and unet.weights are both set; expected one: weights of this project, "
            "or Stable Diffusion's.",
        )
        levels = (len(self.block_out_channels), len(self.attention_levels))
        _require(
            levels[0] == levels[1],
            f"unet.block_out_channels has {levels[0]} levels and unet.attention_levels "
            f"{levels[1]}; expected one flag a level.",
        )
        for width in self.block_out_channels:
            _require(
                width % self.norm_num_groups == 0 and width % self.num_heads == 0,
                f"unet.block_out_channels: {width} must be divisible by unet.norm_num_groups "
                f"({self.norm_num_groups}) and unet.num_heads ({self.num_heads}).",
            )


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """The motion module: attention across the views of a grid, or across frames.

    `width_divisor` narrows its inner width; 1 as published.
    """

    axis: Literal["views", "frames"] = "views"
    num_heads: int = 8
    norm_num_groups: int = 32
    max_positions: int = 32
    num_frames: int = 8
    width_divisor: int = 1

    def __post_init__(self) -> None:
        _require_at_least(
            "motion",
            1,
            num_heads=self.num_heads,
            num_frames=self.num_frames,
            width_divisor=self.width_divisor,
        )


@dataclass(frozen=True, kw_only=True)
class MotionStageConfig(MotionConfig):
    """The motion module of a run; `pretrained`: a published motion file that it starts from."""

    pretrained: Path | None = None

    @property
    def module(self) -> MotionConfig:
        """What describes the module itself, and is stored with its weights."""
        return MotionConfig(**{f.name: getattr(self, f.name) for f in fields(MotionConfig)})


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """The denoiser's one noise schedule, shared by training and sampling."""

    num_train_timesteps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    beta_schedule: Literal["scaled_linear", "linear"] = "scaled_linear"
    prediction_type: Literal["v_prediction", "epsilon"] = "v_prediction"
    zero_terminal_snr: bool = True

    def __post_init__(self) -> None:
        _require(
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
        _require(
            self.learning_rate > 0, f"optim.learning_rate must be > 0, got {self.learning_rate}."
        )
        _require(
            self.max_grad_norm > 0, f"optim.max_grad_norm must be > 0, got {self.max_grad_norm}."
        )
        _require_at_least("optim", 0, num_warmup_steps=self.num_warmup_steps)


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
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
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
        _require(
            self.max_minutes is None or self.max_minutes > 0,
            f"train.max_minutes must be more than 0, or null for no limit, got {self.max_minutes}.",
        )
        _require_at_least("train", 0, hang_minutes=self.hang_minutes)
        _require_at_least(
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
        _require_at_least("train", 0, noise_offset=self.noise_offset, keep_best=self.keep_best)
        _require_share(
            "train",
            ema_decay=self.ema_decay,
            drop_prior=self.drop_prior,
            drop_pose=self.drop_pose,
            drop_all=self.drop_all,
        )
        total = self.drop_prior + self.drop_pose + self.drop_all
        _require(
            total <= 1,
            "train.drop_prior + train.drop_pose + train.drop_all must not exceed 1, "
            f"got {total:g}.",
        )


@dataclass(frozen=True, kw_only=True)
class TestDataConfig:
    """Which people a trained model is tried on. Sizes come from the model, not from here."""

    index: Path
    split: str = "test"
    num_subjects: int = 16
    draw: DrawConfig = field(default_factory=DrawConfig)

    def __post_init__(self) -> None:
        _require_at_least("data", 1, num_subjects=self.num_subjects)


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
    batch_size: int = 4

    def __post_init__(self) -> None:
        set_ones = {
            "num_steps": self.num_steps,
            "prior_steps": self.prior_steps,
            "vae_tile": self.vae_tile,
        }
        _require_at_least(
            "sample",
            1,
            num_references=self.num_references,
            batch_size=self.batch_size,
            **{name: value for name, value in set_ones.items() if value is not None},
        )
        names = ("guidance_start", "guidance_end", "guidance_kept")
        shares = {name: getattr(self, name) for name in names}
        _require_share("sample", **{n: value for n, value in shares.items() if value is not None})
        scale = 1.0 if self.guidance_scale is None else self.guidance_scale
        _require_at_least("sample", 0, guidance_scale=scale, prior_guidance=self.prior_guidance)


@dataclass(frozen=True, kw_only=True)
class TestConfig:
    """Everything a test of a trained stage is told; schedule and sizes come with the weights."""

    run: RunConfig
    data: TestDataConfig
    sample: SampleConfig


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a training run is told; the resolved tree is stored with every checkpoint."""

    run: RunConfig
    data: DataConfig
    encoders: EncodersConfig
    optim: OptimConfig
    train: TrainConfig
    prior: PriorConfig = field(default_factory=PriorConfig)
    jci: JCIConfig = field(default_factory=JCIConfig)
    unet: UNetConfig = field(default_factory=UNetConfig)
    motion: MotionStageConfig = field(default_factory=MotionStageConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        if self.prior.predictions is None:
            return
        _require(
            self.data.arrangements >= 1 and self.encoders.cache is not None,
            f"prior.predictions needs data.arrangements >= 1 (found {self.data.arrangements}) and "
            f"encoders.cache (found {self.encoders.cache}): what is predicted for arrangements "
            "that never come again, or photographs that may change, cannot be kept.",
        )
        _require(
            self.prior.source == "apm",
            "prior.predictions is set, but prior.source=oracle asks for the true embeddings. "
            "Leave one of them out.",
        )

    def validate(self, *, vae_factor: int) -> None:
        """Check relations between sections; `vae_factor` = pixels a latent, read from the VAE."""
        step = vae_factor * 2 ** (len(self.unet.block_out_channels) - 1)
        for name, size in (("height", self.data.height), ("width", self.data.width)):
            _require(
                size % step == 0,
                f"data.{name} is {size}; the VAE (factor {vae_factor}) and the U-Net's "
                f"{len(self.unet.block_out_channels)} levels need a multiple of {step}.",
            )
        most = self.data.visibility.max_references
        _require(
            most is None or most < self.data.grid.num_views,
            f"data.visibility.max_references is {most}, but a grid of {self.data.grid.num_views} "
            "cells has room for at most one less: one cell is a target.",
        )
