"""Counter-based random streams: every number derives from (seed, identity, purpose, index)."""

from enum import IntEnum

import numpy as np

from jcdm.errors import ConfigError


class Purpose(IntEnum):
    """What a stream of random numbers is for; the values are part of the pixels' identity."""

    BODY = 1
    OUTFIT = 2
    HEAD = 3
    POSE = 4
    CAMERA = 5
    BACKDROP = 6
    MOTION = 7
    STUDIO = 8


def stream(seed: int, identity: int, purpose: Purpose, index: int = 0) -> np.random.Generator:
    """Open the generator of one purpose; independent of call order and of other streams.

    Raises ConfigError when seed, identity or index is negative.
    """
    if min(seed, identity, index) < 0:
        raise ConfigError(
            f"seed, identity and view must be >= 0, got {seed}, {identity} and {index}. "
            "Count them from zero."
        )
    sequence = np.random.SeedSequence((seed, identity, int(purpose), index))
    return np.random.Generator(np.random.Philox(sequence))
