"""Draw the people that a configuration asks for, once, before anything reads them."""

import logging
import os
from pathlib import Path

from jcdm.config import DrawConfig
from jcdm.data.synthetic import write_dataset
from jcdm.errors import DataError

logger = logging.getLogger(__name__)

MAX_WORKERS = 16


def ensure_index(index: Path, draw: DrawConfig, *, size: tuple[int, int]) -> None:
    """Make sure that `index` exists, drawing people into its folder where `draw` asks for it.

    size: (height, width) in pixels of the views drawn. Errors: DataError when the index is missing
    and nothing may be drawn. Call it in one process; others wait.
    """
    if index.is_file():
        return
    if draw.num_identities == 0:
        raise DataError(
            f"index {index} not found. Import your data (docs/adding-a-data-format.md) or draw "
            f"people: python -m jcdm data synth --out {index.parent} --identities 200 --seed 0"
        )
    logger.info("drawing %d people into %s ...", draw.num_identities, index.parent)
    write_dataset(
        index.parent,
        num_identities=draw.num_identities,
        seed=draw.seed,
        size=size,
        num_views=draw.num_views,
        test_fraction=draw.test_fraction,
        num_sequences=draw.num_sequences,
        num_frames=draw.num_frames,
        num_workers=min(os.cpu_count() or 1, MAX_WORKERS),
    )
