"""The people a run learns from, and the unseen ones it is judged on."""

from collections.abc import Iterator
from typing import Any

from jcdm.cache.opening import expected_identity, open_cache
from jcdm.cache.reader import EncoderCache
from jcdm.config import Config
from jcdm.data.dataset import MultiViewDataset
from jcdm.data.index import read_index
from jcdm.data.loader import collate
from jcdm.data.sequence_dataset import SequenceDataset
from jcdm.errors import ConfigError
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.records import Batch
from jcdm.training.frames import FrameWindowDataset

VALIDATION_SEED = 0  # not the run's: losses of different runs are comparable


def training_people(
    kind: str,
    config: Config,
    clip_size: int,
    cache: EncoderCache | None = None,
    **options: Any,
) -> MultiViewDataset:
    """Build the data set that the stage `kind` trains on; `options` of MultiViewDataset."""
    options |= {"seed": config.run.seed, "train": True, "cache": cache}
    return _people(kind, config, clip_size, **options)


def unseen_people(
    kind: str, config: Config, clip_size: int, cache: EncoderCache | None = None
) -> MultiViewDataset | None:
    """Build the data set for validation: the first people of the split, with fixed draws.

    None where the configuration names no split or no people.
    """
    data, count = config.data, config.train.num_validation_subjects
    if data.validation_split is None or count == 0:
        return None
    records = read_index(data.index, data.validation_split)[:count]
    options: dict[str, Any] = {"records": records, "cache": cache}
    return _people(kind, config, clip_size, seed=VALIDATION_SEED, train=False, **options)


def checked_cache(
    config: Config, clip: FrozenCLIPVision, vae: FrozenVAE | None = None
) -> EncoderCache | None:
    """Open encoders.cache and refuse it unless it holds all people for these encoders.

    vae: None = latents are not asked for. None where the configuration names none.
    Errors: ConfigError, DataError.
    """
    cache = open_cache(config)
    if cache is None:
        return None
    splits = [config.data.split]
    if config.data.validation_split is not None and config.train.num_validation_subjects:
        splits.append(config.data.validation_split)
    records = [r for split in dict.fromkeys(splits) for r in read_index(config.data.index, split)]
    cache.require(expected_identity(config, clip, vae), records)
    return cache


def _people(kind: str, config: Config, clip_size: int, **options: Any) -> MultiViewDataset:
    dataset = _dataset_class(kind, config).from_config(
        config.data,
        clip_size=clip_size,
        clip_fit=config.encoders.clip_fit,
        patch_grid=config.jci.patch_grid,
        **{"with_pictures": kind != "prior", **options},
    )
    if isinstance(dataset, FrameWindowDataset):
        dataset.set_num_grids(config.motion.num_frames)
    return dataset


def _dataset_class(kind: str, config: Config) -> type[MultiViewDataset]:
    if kind != "motion" or config.motion.axis == "views":
        return SequenceDataset if config.data.frames else MultiViewDataset
    if not config.data.frames:
        raise ConfigError(
            "motion.axis=frames needs moving people: set data.index to an index of sequences and "
            "data.frames=true."
        )
    return FrameWindowDataset


def validation_batches(
    people: MultiViewDataset, batch_size: int, *, rank: int = 0, world_size: int = 1
) -> Iterator[Batch]:
    """Yield every person once, in batches; rank r has the r-th of each `world_size` people."""
    mine = range(rank, len(people), world_size)
    for start in range(0, len(mine), batch_size):
        yield collate([people.sample(index) for index in mine[start : start + batch_size]])
