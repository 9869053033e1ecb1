"""What a method must beat: copying a reference view, or averaging what the references show."""

import torch
from torch import Tensor

from jcdm.errors import DataError
from jcdm.records import Batch


def target_views(batch: Batch) -> Tensor:
    """Return which views are scored: present and not given as reference, (B,V) bool."""
    return batch.present & ~batch.visible


def pose_distances(keypoints: Tensor, valid: Tensor) -> Tensor:
    """Mean distance of the joints that are valid in both views: (B,V,K,2) -> (B,V,V).

    Unit: share of the view. Two views without a common valid joint are infinitely far apart.
    """
    gaps = (keypoints[:, :, None] - keypoints[:, None]).norm(dim=-1)
    both = valid[:, :, None] & valid[:, None]
    total = torch.where(both, gaps, 0.0).sum(-1)
    count = both.sum(-1)
    return torch.where(count > 0, total / count.clamp(min=1), torch.inf)


def nearest_reference(batch: Batch) -> Tensor:
    """Return, for every view, the index of the reference view nearest in pose: (B,V) int64.

    Ties, and a view without any common joint, go to the first reference.
    Errors: DataError when a person has no reference view.
    """
    references = batch.visible & batch.present
    if not bool(references.any(dim=1).all()):
        lacking = [s for s, has in zip(batch.subjects, references.any(1), strict=True) if not has]
        raise DataError(
            f"subject {lacking[0]!r} has no reference view to copy; expected at least one. "
            "Raise data.visibility.min_references."
        )
    distances = pose_distances(batch.keypoints, batch.keypoint_valid)
    finite = distances.nan_to_num(posinf=torch.finfo(distances.dtype).max / 2)
    return finite.masked_fill(~references[:, None], torch.inf).argmin(dim=-1)


def take_views(values: Tensor, index: Tensor) -> Tensor:
    """Pick one view for every view: values (B,V,...), index (B,V) -> (B,V,...)."""
    people = torch.arange(values.shape[0], device=values.device)[:, None]
    return values[people, index]


def mean_reference_embedding(appearance: Tensor, batch: Batch) -> Tensor:
    """Predict every view as the mean of the reference embeddings: (B,V,D) -> (B,V,D)."""
    weights = (batch.visible & batch.present).to(appearance.dtype)[..., None]
    mean = (appearance * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
    return mean.expand_as(appearance)


def nearest_reference_embedding(appearance: Tensor, batch: Batch) -> Tensor:
    """Predict every view as the embedding of the reference nearest in pose: (B,V,D) -> (B,V,D)."""
    return take_views(appearance, nearest_reference(batch))


def copy_nearest_reference(images: Tensor, batch: Batch) -> Tensor:
    """Paint every view as a copy of the reference nearest in pose: (B,V,3,H,W) -> the same."""
    return take_views(images, nearest_reference(batch))
