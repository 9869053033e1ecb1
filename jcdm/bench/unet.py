"""Our plain U-Net step beside that of diffusers' U-Net of the same size, alone."""

from collections.abc import Iterator
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor

from jcdm.bench.models import NUM_VIEWS, build_stage
from jcdm.bench.results import Goal, Row
from jcdm.bench.setting import Bench
from jcdm.bench.timing import compare_work
from jcdm.bench.training_step import Learner
from jcdm.models.unet import unet_config_dict
from jcdm.records import Conditioning
from jcdm.training.stages.denoiser import DenoiserStage

MOST_SLOWER = 1.05


def bench_unet(bench: Bench) -> Iterator[Row]:
    """Compare forward and backward passes, in turns: ours with the pose stem, theirs without."""
    stage = build_stage(bench.size, "denoiser", bench.device, mixed_precision=bench.mixed_precision)
    assert isinstance(stage, DenoiserStage)
    learner, inputs = Learner(stage, bench.device), _inputs(stage, bench)
    config = unet_config_dict(bench.size.unet, stage.vae.latent_channels)
    with bench.device:
        plain: Any = UNet2DConditionModel(**config)
    plain.train()
    noisy, times, conditioning = inputs
    sample = torch.cat([noisy, conditioning.visibility, conditioning.reference], dim=1)

    def ours() -> int:
        with learner.precision():
            prediction = stage.denoiser.predict(noisy, times, conditioning)
        return _go_back(prediction, stage.denoiser)

    def theirs() -> int:
        with learner.precision():
            prediction = plain(sample, times, encoder_hidden_states=conditioning.tokens).sample
        return _go_back(prediction, plain)

    found = compare_work(
        ("our U-Net with its pose stem", "diffusers' U-Net of the same size"),
        "grids",
        ours,
        theirs,
        num_repeats=bench.num_repeats,
        device=bench.device,
    )
    yield found
    yield Goal(
        name="U-Net: our time over diffusers'",
        value=1 / found.ratio,
        bound=MOST_SLOWER,
        at_least=False,
    )


def _go_back(prediction: Tensor, module: Any) -> int:
    prediction.float().square().mean().backward()
    module.zero_grad(set_to_none=True)
    return len(prediction)


def _inputs(stage: DenoiserStage, bench: Bench) -> tuple[Tensor, Tensor, Conditioning]:
    """Random grids, timesteps and conditions of a batch."""
    size, factor, channels = bench.size, stage.vae.factor, stage.vae.latent_channels
    tokens = (size.batch_size, size.jci.count_tokens(NUM_VIEWS), size.unet.cross_attention_dim)
    place = (size.batch_size, channels, 2 * size.height // factor, 2 * size.width // factor)
    with bench.device:
        noisy, times = torch.randn(place), torch.full((size.batch_size,), 500)
        conditioning = Conditioning(
            tokens=torch.randn(tokens),
            pose=torch.randn(place[0], size.unet.block_out_channels[0], *place[2:]),
            visibility=torch.ones(place[0], 1, *place[2:]),
            reference=torch.randn(place),
        )
    return noisy, times, conditioning
