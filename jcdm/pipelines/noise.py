"""Where sampling takes its random numbers from: each person's key, or torch generators."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from jcdm.errors import ConfigError
from jcdm.seeding import draw_normal, sample_key
from jcdm.seeding import generator as numpy_generator


class NoiseSource(Protocol):
    """Standard normal numbers for a batch of people, asked for by purpose."""

    def normal(self, purpose: str, shape: Sequence[int]) -> Tensor:
        """Draw float32 numbers on the CPU: (B, *shape)."""

    def generators(self) -> list[torch.Generator] | torch.Generator:
        """Return what a stochastic sampler's step draws from: one for all, or one a person."""


class KeyedNoise:
    """Numbers that are a function of (key, purpose): alike in any batch and any order.

    keys: (B,) int64, one a person.
    """

    def __init__(self, keys: Tensor) -> None:
        self.keys = keys.cpu()

    @classmethod
    def from_seeds(cls, seeds: Sequence[int]) -> "KeyedNoise":
        """Make one key a person from a seed a person."""
        return cls(torch.tensor([sample_key(seed, 0, 0) for seed in seeds], dtype=torch.int64))

    def normal(self, purpose: str, shape: Sequence[int]) -> Tensor:
        """Draw float32 numbers on the CPU: (B, *shape)."""
        return draw_normal(self.keys, purpose, shape)

    def generators(self) -> list[torch.Generator]:
        """Return one CPU generator a person, seeded by its key."""
        seeds = (int(numpy_generator(key, "sampler").integers(2**62)) for key in self.keys.tolist())
        return [torch.Generator().manual_seed(seed) for seed in seeds]


class GeneratorNoise:
    """Numbers drawn one after the other from one torch generator, or from one a person."""

    def __init__(
        self, source: torch.Generator | Sequence[torch.Generator], batch_size: int
    ) -> None:
        if not isinstance(source, torch.Generator) and len(source) != batch_size:
            raise ConfigError(
                f"found {len(source)} generators for {batch_size} people; pass one, or one "
                "a person."
            )
        self.source = source if isinstance(source, torch.Generator) else list(source)
        self.batch_size = batch_size

    def normal(self, purpose: str, shape: Sequence[int]) -> Tensor:
        """Draw float32 numbers on the CPU: (B, *shape); `purpose` has no influence."""
        if isinstance(self.source, list):
            return torch.stack([_draw(one, tuple(shape)) for one in self.source])
        return _draw(self.source, (self.batch_size, *shape))

    def generators(self) -> list[torch.Generator] | torch.Generator:
        """Return the generators given."""
        return self.source


def _draw(source: torch.Generator, shape: tuple[int, ...]) -> Tensor:
    """Draw on the generator's own device, as CUDA generators demand, and bring it to the CPU."""
    return torch.randn(shape, generator=source, device=source.device).cpu()


def noise_source(
    generator: torch.Generator | Sequence[torch.Generator] | None,
    seed: int | Sequence[int] | None,
    batch_size: int,
) -> NoiseSource:
    """Choose the source a caller asked for; with neither, a seed from torch's global generator."""
    if generator is not None:
        if seed is not None:
            raise ConfigError("found both generator and seed; pass one of them.")
        return GeneratorNoise(generator, batch_size)
    if seed is None:
        seed = int(torch.randint(2**31, ()))
    seeds = [seed] * batch_size if isinstance(seed, int) else list(seed)
    if len(seeds) != batch_size:
        raise ConfigError(
            f"found {len(seeds)} seeds for {batch_size} people; pass one, or one a person."
        )
    return KeyedNoise.from_seeds(seeds)
