"""Motion files: the published one, which holds a whole 3-D U-Net, and files of motion alone.

AnimateAnyone and AnimateDiff (v1 to v3) use the same names; v1 and v3 have no middle block.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from jcdm.compat.official_keys_unet import official_motion_keys, our_motion_key
from jcdm.compat.pieces import KeyMap, Pieces, match, plural
from jcdm.compat.weight_files import WeightFiles
from jcdm.errors import CheckpointError

MIDDLE = "mid_block."
TABLE = "pos_encoder.pe"
NUM_COMPARED_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionFile:
    """A motion file, opened: `names` of motion weights, `others` of the U-Net around them."""

    files: WeightFiles
    names: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def max_positions(self) -> int:
        """Rows of the position tables: how many views or frames it can attend across."""
        lengths = {self.files.layout[n].shape[1] for n in self.names if n.endswith(TABLE)}
        if len(lengths) != 1:
            raise CheckpointError(
                f"{self.files}: position tables have lengths {sorted(lengths)}, expected one "
                "length. Check which file this is."
            )
        return lengths.pop()

    @property
    def width_divisor(self) -> int:
        """How much narrower than the U-Net's level the tokens are."""
        weight = next(n for n in self.names if n.endswith("temporal_transformer.proj_in.weight"))
        width, channels = self.files.layout[weight].shape
        return channels // width

    @property
    def has_middle(self) -> bool:
        """Whether the U-Net's middle block has a motion module in this file."""
        return any(name.startswith(MIDDLE) for name in self.names)


def open_motion(path: Path) -> MotionFile:
    """Open a motion file of either kind; CheckpointError where it holds no motion modules."""
    files = WeightFiles(path)
    names = tuple(name for name in files.layout if our_motion_key(name) is not None)
    if not any(n.endswith("temporal_transformer.proj_in.weight") for n in names):
        first = next(iter(files.layout))
        raise CheckpointError(
            f"{path} holds no motion modules, first name: {first}. Expected names with "
            "'motion_modules', as AnimateDiff, AnimateAnyone and JCDM write them."
        )
    return MotionFile(
        files=files, names=names, others=tuple(n for n in files.layout if n not in set(names))
    )


def match_motion(motion: MotionFile, expected: Mapping[str, Tensor]) -> tuple[Pieces, list[str]]:
    """Find all motion weights `expected` (names as ours, without `motion.`), and nothing else.

    Without position tables among them, those of the file are left out. Returns the pieces and the
    names that the file lacks: those of the middle block in files of AnimateDiff v1 and v3; a fresh
    module there changes nothing.
    """
    ignored = set(motion.others)
    if not any(name.endswith("positions.pe") for name in expected):
        ignored |= {name for name in motion.names if name.endswith(TABLE)}
    keys = KeyMap(
        rename=our_motion_key, official=official_motion_keys, ignored=ignored.__contains__
    )
    absent = [] if motion.has_middle else [name for name in expected if name.startswith(MIDDLE)]
    wanted = {name: tensor for name, tensor in expected.items() if name not in set(absent)}
    return match(motion.files, keys, wanted), absent


def check_same_unet(motion: MotionFile, unet: WeightFiles) -> None:
    """Raise a CheckpointError unless the U-Net around the motion modules is the given one.

    The published part 2 leaves it as it was. Where one file has fewer digits, those are compared.
    """
    others = set(motion.others)
    if not others:
        return
    if differing := sorted(others ^ unet.layout.keys()):
        raise CheckpointError(
            f"{motion.files}: {plural(len(differing), 'weight')} beside the motion modules not as "
            f"in {unet}, first: {differing[0]}. Expected a motion file of the same run, or motion "
            "weights alone."
        )
    for start in range(0, len(motion.others), NUM_COMPARED_AT_ONCE):
        names = motion.others[start : start + NUM_COMPARED_AT_ONCE]
        ours, theirs = motion.files.read(names), unet.read(names)
        for name in names:
            if not _equal(ours[name], theirs[name]):
                raise CheckpointError(
                    f"{motion.files}: {name} differs from that in {unet}: the two files are of "
                    "different runs. Pass the U-Net that these motion modules were trained on."
                )


def _equal(one: Tensor, other: Tensor) -> bool:
    """Compare two weights in the coarser of their dtypes."""
    if one.shape != other.shape:
        return False
    coarse = min(one.dtype, other.dtype, key=lambda dtype: dtype.itemsize)
    return torch.equal(one.to(coarse), other.to(coarse))
