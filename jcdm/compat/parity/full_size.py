"""Names and shapes of the full-size published models, without their numbers."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from jcdm.compat.official_keys_prior import prior_state_from_official, prior_state_to_official
from jcdm.compat.official_keys_unet import official_from_denoiser
from jcdm.compat.parity.comparison import Row, agree
from jcdm.compat.parity.fixtures import FixtureFolder
from jcdm.compat.parity.loading import denoiser_arguments, prior_arguments
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser

Listed = Mapping[str, Any]


def compare_full_size(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare every name and shape, and the number of parameters where it is recorded."""
    listed = fixtures.settings(name)
    part1, part2 = listed["unet2d_stage2_part1"], listed["unet3d_stage2_part2"]
    dim = listed["linear_emb"]["keys"]["weight"][0][1]
    with torch.device("meta"):
        plain, moving = (
            JCDMDenoiser(**denoiser_arguments(unet, listed["pose_guider"]["config"], dim))
            for unet in (part1, part2)
        )
    first = official_from_denoiser(plain.state_dict())
    second = official_from_denoiser(moving.state_dict())
    whole = part2 | {"keys": part1["keys"] | part2["motion_keys"]}
    yield _row(name, "unet2d_stage2_part1", first.unet, part1)
    yield _row(name, "unet3d_stage2_part2", second.unet, whole)
    yield _row(name, "pose_guider", first.pose_guider, listed["pose_guider"])
    yield _row(name, "linear_emb", first.linear_emb, listed["linear_emb"])
    yield _row(name, "apm", _our_prior(listed["apm"]), listed["apm"])


def _our_prior(listed: Listed) -> dict[str, Tensor]:
    """Names and shapes of our prior of the published size, as it would be exported."""
    zero = torch.zeros(())  # expanded, it takes no memory, and unlike meta tensors it compares
    state = {key: zero.expand(shape) for key, (shape, _) in listed["keys"].items()}
    ours = prior_state_from_official(state)
    with torch.device("meta"):
        prior = AppearancePriorTransformer(**prior_arguments(ours, listed["config"]))  # type: ignore[arg-type]
    return prior_state_to_official(prior.state_dict())


def _row(name: str, model: str, found: Mapping[str, Tensor], listed: Listed) -> Row:
    """Compare shapes and the number of trained numbers, of which position tables are none."""
    shapes: dict[str, Any] = {key: list(value.shape) for key, value in found.items()}
    expected = {key: list(shape) for key, (shape, _) in listed["keys"].items()}
    if "num_params" in listed:
        trained = (value.numel() for key, value in found.items() if not key.endswith(".pe"))
        shapes["num_params"], expected["num_params"] = sum(trained), listed["num_params"]
    return agree(f"{name}/{model} {len(listed['keys'])} keys", shapes, expected)
