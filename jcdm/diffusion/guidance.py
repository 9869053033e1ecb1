"""Classifier-free guidance: which conditions training drops, and how sampling combines halves."""

import torch
from torch import Tensor

from jcdm.seeding import draw_uniform


def guide(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (Ho & Salimans, 2022). scale 0 = unconditional, 1 = conditional."""
    return torch.lerp(unconditional, conditional, scale)


def draw_condition_drop(
    keys: Tensor, drop_prior: float, drop_pose: float, drop_all: float
) -> tuple[Tensor, Tensor]:
    """Draw which samples train without tokens and which without pose: two (B,) bool tensors.

    The three shares are exclusive: both conditions go with probability `drop_all`, the tokens
    alone with `drop_prior`, the pose alone with `drop_pose`; their sum is at most 1.
    """
    draw = draw_uniform(keys, "condition_drop")
    both = draw < drop_all
    prior_only = ~both & (draw < drop_all + drop_prior)
    pose_only = ~both & ~prior_only & (draw < drop_all + drop_prior + drop_pose)
    return both | prior_only, both | pose_only
