"""The people a run learns from, and the unseen ones it is judged on."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jcdm.cache.opening import expected_identity, open_cache
from jcdm.cache.reader import EncoderCache
from jcdm.config import Config
from jcdm.data.dataset import MultiViewDataset
from jcdm.data.index import photograph_name, read_index
from jcdm.data.loader import collate
from jcdm.data.sequence_dataset import SequenceDataset
from jcdm.data.skipping import SkippedPicture, leave_out
from jcdm.errors import ConfigError, DataError
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.records import Batch, SubjectRecord
from jcdm.training.frames import FrameWindowDataset, fewest_frames

VALIDATION_SEED = 0  # not the run's: losses of different runs are comparable
NOTHING: Mapping[str, SkippedPicture] = MappingProxyType({})


def training_people(
    kind: str,
    config: Config,
    clip_size: int,
    cache: EncoderCache | None = None,
    skipped: Mapping[str, SkippedPicture] = NOTHING,
    **options: Any,
) -> MultiViewDataset:
    """Build the data set that the stage `kind` trains on; `options` of MultiViewDataset.

    skipped: pictures that it does without (`jcdm.training.skipping`). Errors: DataError.
    """
    records = _some_people(kind, config, config.data.split, skipped)
    options |= {"records": records, "cache": cache}
    return _people(kind, config, clip_size, seed=config.run.seed, train=True, **options)


def unseen_people(
    kind: str,
    config: Config,
    clip_size: int,
    cache: EncoderCache | None = None,
    skipped: Mapping[str, SkippedPicture] = NOTHING,
) -> MultiViewDataset | None:
    """Build the data set for validation: the first people of the split, with fixed draws.

    None where the configuration names no split or no people. skipped: see `training_people`.
    """
    data, count = config.data, config.train.num_validation_subjects
    if data.validation_split is None or count == 0:
        return None
    records = _some_people(kind, config, data.validation_split, skipped)[:count]
    options: dict[str, Any] = {"records": records, "cache": cache}
    return _people(kind, config, clip_size, seed=VALIDATION_SEED, train=False, **options)


def _some_people(
    kind: str, config: Config, split: str, skipped: Mapping[str, SkippedPicture]
) -> tuple[SubjectRecord, ...]:
    """Read the people of a split without what is skipped. Errors: DataError for nobody left."""
    records = read_index(config.data.index, split)
    if sound := sound_people(kind, config, records, skipped):
        return sound
    raise DataError(
        f"nobody of the {len(records)} people of {split} is left: {len(skipped)} pictures cannot "
        f"be read, first: {next(iter(skipped.values())).reason}"
    )


def sound_people(
    kind: str,
    config: Config,
    records: Sequence[SubjectRecord],
    skipped: Mapping[str, SkippedPicture],
) -> tuple[SubjectRecord, ...]:
    """Return the people without what is skipped, those with too few views left out whole."""
    data, fewest = config.data, fewest_views(kind, config)
    return leave_out(records, skipped, data.index, frames=data.frames, fewest=fewest)


def fewest_views(kind: str, config: Config) -> int:
    """How many views a person needs, so that any draw of the stage `kind` can be filled."""
    num_views = config.data.grid.num_views
    if _dataset_class(kind, config) is FrameWindowDataset:
        return fewest_frames(num_views, config.motion.num_frames)
    return num_views if config.data.frames else 2


def people_identity(people: Sequence[SubjectRecord], index: Path) -> str:
    """Hash what the samples of a run depend on: people, names of pictures and joints, in order."""
    folder, found = index.absolute().parent, hashlib.sha256()
    for record in people:
        found.update(f"\n{record.subject}\n".encode(errors="surrogatepass"))
        for view in record.views:
            found.update(f"{photograph_name(view.image, folder)}\n".encode())
            found.update(view.keypoints.tobytes() + view.keypoint_valid.tobytes())
    return found.hexdigest()


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
    cache.require(expected_identity(config, clip, vae), records, on_bad=config.data.on_bad)
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
