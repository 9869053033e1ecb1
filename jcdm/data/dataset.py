"""Turn the views of a subject into a Sample: which views, in which cells, cut where, shown or not.

All that is drawn here derives from the arrangement's key, a hash of (run seed, number of the
arrangement, subject index); where arrangements never repeat, their number is the epoch.
"""

from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from jcdm.config import DataConfig, VisibilityConfig
from jcdm.data.encoded_views import EncodedViews, read_reference_patches
from jcdm.data.images import load_image
from jcdm.data.index import read_index, require_files
from jcdm.data.keypoints import keep_in_frame
from jcdm.data.pose_maps import draw_pose_map
from jcdm.data.transforms import (
    ClipFit,
    Fit,
    GeometricDraw,
    Placement,
    clip_pixels,
    fit_view,
    image_tensor,
    unit_tensor,
)
from jcdm.data.visibility import draw_visibility
from jcdm.errors import DataError
from jcdm.grid import GridShape
from jcdm.records import NUM_KEYPOINTS, EncodedView, Sample, SubjectRecord, ViewRecord
from jcdm.seeding import generator, sample_key

Cells = tuple[ViewRecord | None, ...]
"""The view that stands in each of the V cells; None = an empty cell."""
NO_PICTURE = torch.zeros(3, 0, 0)


class KeptPredictions(Protocol):
    """What the frozen prior predicts for every subject in every arrangement, computed before."""

    def load(self, index: int, arrangement: int) -> Tensor:
        """Look up the embeddings (V,D) of a subject in arrangement number `arrangement`."""
        ...


class MultiViewDataset(Dataset[Sample]):
    """Samples of V views a subject, addressed by (epoch, index).

    Training draws views, cells, cut and mirror anew each epoch, or every `num_arrangements` epochs
    the same again; one cut and one mirror hold for all views of a sample. Otherwise the first V
    views stand in order, cut from the centre, the same in every epoch. A subject with fewer than V
    views leaves cells empty: `present` False, black pixels, in no loss and no score - no view is
    repeated or made up. Without `with_pictures` a sample's images and pose maps are 0 pixels high
    and wide: for the prior, which reads neither. With a `cache` samples hold what the encoders make
    of the views; training then reads no photograph, and images and clip_pixels are empty.
    With a `patch_grid` n they also hold n x n patches of each reference, where they hold latents.
    `predictions`, if set, go with the samples of training.
    """

    predictions: KeptPredictions | None = None

    def __init__(
        self,
        records: Sequence[SubjectRecord],
        *,
        height: int,
        width: int,
        grid: GridShape,
        fit: Fit = "crop",
        flip_probability: float = 0.5,
        visibility: VisibilityConfig | None = None,
        clip_size: int = 224,
        clip_fit: ClipFit = "crop",
        with_pictures: bool = True,
        cache: EncodedViews | None = None,
        patch_grid: int = 0,
        random_crop: bool = True,
        num_arrangements: int = 0,
        seed: int,
        train: bool,
    ) -> None:
        """Check that every subject has enough views; reads no picture yet."""
        self.records = tuple(records)
        self.cell = (height, width)
        self.num_views = grid.num_views
        self.fit: Fit = fit
        self.flip_probability = flip_probability
        self.visibility = visibility or VisibilityConfig()
        self.clip_size = clip_size
        self.clip_fit: ClipFit = clip_fit
        self.with_pictures = with_pictures
        self.cache = cache
        self.patch_grid = patch_grid if with_pictures else 0
        self.random_crop = random_crop
        self.num_arrangements = num_arrangements
        self.seed = seed
        self.train = train
        self._require_views()

    @classmethod
    def from_config(
        cls,
        config: DataConfig,
        *,
        seed: int,
        train: bool,
        clip_size: int,
        clip_fit: ClipFit = "crop",
        with_pictures: bool = True,
        cache: EncodedViews | None = None,
        patch_grid: int = 0,
        records: Sequence[SubjectRecord] | None = None,
    ) -> Self:
        """Build the data set of a configuration; without `records`, of its index and split.

        Errors: DataError for a wrong index, MissingViewError for pictures that are not on disk.
        """
        if records is None:
            records = read_index(config.index, config.split)
        if cache is None or not train:
            require_files(records)
        return cls(
            records,
            height=config.height,
            width=config.width,
            grid=config.grid,
            fit=config.fit,
            flip_probability=config.flip_probability,
            visibility=config.visibility,
            clip_size=clip_size,
            clip_fit=clip_fit,
            with_pictures=with_pictures,
            cache=cache,
            patch_grid=patch_grid,
            random_crop=config.random_crop,
            num_arrangements=config.arrangements,
            seed=seed,
            train=train,
        )

    def __len__(self) -> int:
        """Number of subjects."""
        return len(self.records)

    def __getitem__(self, place: tuple[int, int]) -> Sample:
        """Return the sample at (epoch, index)."""
        epoch, index = place
        return self.sample(index, epoch)

    def sample(self, index: int, epoch: int = 0) -> Sample:
        """Make the sample of a subject in an epoch; outside training every epoch is the same."""
        record = self.records[index]
        epoch = epoch if self.train else 0
        number = epoch % self.num_arrangements if self.num_arrangements else epoch
        arrangement = sample_key(self.seed, number, index)
        cells, visible = self._arrange(record, arrangement)
        draw = self._draw_geometry(arrangement)
        views = [self._empty_view() if v is None else self._view(v, draw) for v in cells]
        stacked = {name: torch.stack([view[name] for view in views]) for name in views[0]}
        if self.cache is not None and self.patch_grid:
            stacked["reference_patches"] = read_reference_patches(
                self.cache, cells, visible, flip=draw.flip, patch_grid=self.patch_grid
            )
        if self.predictions is not None and self.train:
            stacked["predicted"] = self.predictions.load(index, number)
        return Sample(
            **stacked,
            visible=visible,
            present=torch.tensor([view is not None for view in cells]),
            subject=record.subject,
            key=sample_key(self.seed, epoch, index),
            arrangement=arrangement,
        )

    def _require_views(self) -> None:
        """Raise a DataError naming the first subject that cannot fill a reference and a target."""
        if not self.records:
            raise DataError("the data set has no subject. Check data.index and data.split.")
        if few := [r for r in self.records if len(r.views) < 2]:
            raise DataError(
                f"{len(few)} of {len(self.records)} subjects have one view only, first: "
                f"{few[0].subject!r}; expected a reference and a target at least. Remove them: "
                "python -m jcdm data check lists all."
            )

    def _arrange(self, record: SubjectRecord, key: int) -> tuple[Cells, Tensor]:
        """Choose the view of each cell, and which cells are visible (V,)."""
        count = min(self.num_views, len(record.views))
        views, places = np.arange(count), np.arange(count)
        if self.train:
            stream = generator(key, "views")
            views = stream.permutation(len(record.views))[:count]
            places = stream.permutation(self.num_views)[:count]
        cells: list[ViewRecord | None] = [None] * self.num_views
        for place, view in zip(places, views, strict=True):
            cells[place] = record.views[view]
        present = torch.tensor([view is not None for view in cells])
        return tuple(cells), draw_visibility(key, present, self.visibility)

    def _draw_geometry(self, key: int) -> GeometricDraw:
        if not self.train:
            return GeometricDraw()
        top, left = generator(key, "crop").random(2)
        flip = generator(key, "flip").random() < self.flip_probability
        crop = (top, left) if self.random_crop else None
        return GeometricDraw(crop=crop, flip=bool(flip))

    def _view(self, view: ViewRecord, draw: GeometricDraw) -> dict[str, Tensor]:
        """Make one view's part of a sample: from the photograph, from the cache, or from both."""
        encoded = None if self.cache is None else self.cache.load(view.image, flip=draw.flip)
        photo = load_image(view.image) if encoded is None or not self.train else None
        size = (photo.height, photo.width) if photo else encoded.size  # type: ignore[union-attr]
        placement = Placement.fit(size, self.cell, self.fit, draw)
        keypoints, valid = placement.place_keypoints(view.keypoints, view.keypoint_valid)
        pose_map = NO_PICTURE
        if self.with_pictures:
            pose_map = self._pose_map(view, keypoints, valid, draw)
        return {
            **self._pictures(photo, placement, draw.flip),
            "pose_maps": pose_map,
            "keypoints": torch.from_numpy(keypoints).float(),
            "keypoint_valid": torch.from_numpy(keep_in_frame(keypoints, valid)),
            **self._encoded(encoded),
        }

    def _pictures(
        self, photo: Image.Image | None, placement: Placement, flip: bool
    ) -> dict[str, Tensor]:
        """Cut a photograph for the VAE and, whole, for CLIP; both empty without a photograph."""
        image = clip = NO_PICTURE
        if photo is not None:
            if self.with_pictures:
                image = image_tensor(placement.place(photo))
            if flip:
                photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            clip = clip_pixels(photo, self.clip_size, self.clip_fit)
        return {"images": image, "clip_pixels": clip}

    def _encoded(self, encoded: EncodedView | None) -> dict[str, Tensor]:
        """Take what the stage reads of a cached view: latents where it has pictures at all."""
        if encoded is None:
            return {}
        found = {"appearance": encoded.appearance}
        if self.with_pictures and encoded.mean is not None and encoded.std is not None:
            found |= {"latent_mean": encoded.mean, "latent_std": encoded.std}
        return found

    def _pose_map(
        self, view: ViewRecord, keypoints: np.ndarray, valid: np.ndarray, draw: GeometricDraw
    ) -> Tensor:
        """Draw the placed pose, or place the pose map on disk where the record names one.

        A mirrored map from disk keeps its colours, as published: left limbs look like right ones.
        """
        if view.pose_map is None:
            return unit_tensor(draw_pose_map(keypoints, valid, *self.cell))
        return unit_tensor(fit_view(load_image(view.pose_map), self.cell, self.fit, draw)[0])

    def _empty_view(self) -> dict[str, Tensor]:
        """Fill an empty cell: black picture, black for CLIP too, no pose."""
        black = Image.new("RGB", self.cell[::-1])
        reads_photographs = self.cache is None or not self.train
        placement = Placement.fit(self.cell, self.cell, "crop")
        return {
            **self._pictures(black if reads_photographs else None, placement, False),
            "pose_maps": unit_tensor(black) if self.with_pictures else NO_PICTURE,
            "keypoints": torch.zeros(NUM_KEYPOINTS, 2),
            "keypoint_valid": torch.zeros(NUM_KEYPOINTS, dtype=torch.bool),
            **self._encoded(None if self.cache is None else self.cache.black),
        }
