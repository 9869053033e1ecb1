"""Who is drawn in which split, standing or moving."""

from dataclasses import dataclass
from pathlib import Path

from jcdm.data.synthetic.lists import Split
from jcdm.data.synthetic.sequence import MOTIONS, Motion
from jcdm.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Shoot:
    """What all jobs share: the folder to draw into, the seed and the images' (H, W) in pixels."""

    root: Path
    seed: int
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Job:
    """One subject to draw: the views of an identity, or with `motion` the frames of a sequence."""

    shoot: Shoot
    split: Split
    identity: int
    num_images: int
    motion: Motion | None = None


def split_identities(num_identities: int, test_fraction: float) -> dict[Split, list[int]]:
    """Divide identities 0..n-1; the last ones are for testing, at least one if there are two.

    Raises ConfigError when `test_fraction` is outside [0, 1].
    """
    if not 0.0 <= test_fraction <= 1.0:
        raise ConfigError(f"test_fraction is {test_fraction}, expected 0 to 1.")
    num_test = round(num_identities * test_fraction)
    if 0.0 < test_fraction < 1.0 and num_identities > 1:
        num_test = min(max(num_test, 1), num_identities - 1)
    first_test = num_identities - num_test
    return {"train": list(range(first_test)), "test": list(range(first_test, num_identities))}


def plan_sequences(
    members: dict[Split, list[int]], num_sequences: int, test_fraction: float
) -> list[tuple[Split, int, Motion]]:
    """Decide who moves how: split, identity and motion of each sequence, all different.

    Raises ConfigError when there are too few identities.
    """
    num_test = round(num_sequences * test_fraction)
    if num_sequences > 1 and members["test"] and members["train"]:
        num_test = min(max(num_test, 1), num_sequences - 1)
    elif not members["train"] or not members["test"]:
        num_test = num_sequences if members["test"] else 0
    plan: list[tuple[Split, int, Motion]] = []
    counts: dict[Split, int] = {"train": num_sequences - num_test, "test": num_test}
    for split, count in counts.items():
        people = members[split]
        if count > len(MOTIONS) * len(people):
            raise ConfigError(
                f"num_sequences asks for {count} {split} sequences, but {len(people)} {split} "
                f"identities give {len(MOTIONS) * len(people)} at most. Draw more identities."
            )
        # The second round through the people takes, for each, the motion not used in the first.
        for k in range(count):
            turn, person = divmod(k, len(people))
            plan.append((split, people[person], MOTIONS[(person + turn) % len(MOTIONS)]))
    return plan
