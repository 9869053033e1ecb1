"""Scores of one painted view against the exact truth: one formula each.

Pictures are float64 (H,W,3) in [0,1], regions (H,W) of `Region`. A score that cannot be computed
for a view is NaN and left out of means.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation
from skimage.color import rgb2lab

from jcdm.data.synthetic import Region
from jcdm.evaluation.metrics import psnr, ssim

GARMENTS = (Region.TOP, Region.BOTTOM, Region.DRESS, Region.SHOES)
MIN_PIXELS = 12
MIN_PRINT_PIXELS = 8
JOINT_REACH = 0.1  # of the view's height


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueView:
    """What is known of a target view, and which prints the references show.

    picture (H,W,3) in [0,1]; regions (H,W); print_mask (H,W) bool; shown: whether a reference shows
    the print; keypoints (18,2) in [0,1]; seen (18,) bool.
    """

    picture: np.ndarray
    regions: np.ndarray
    print_mask: np.ndarray
    shown: bool
    keypoints: np.ndarray
    seen: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class PaintedView:
    """A painted view and what the reader finds in it: silhouette (H,W) bool, joints (18,2)."""

    picture: np.ndarray
    silhouette: np.ndarray
    joints: np.ndarray


ViewScore = Callable[[PaintedView, TrueView], float]


def psnr_view(painted: PaintedView, truth: TrueView) -> float:
    """PSNR of all pixels in dB."""
    return psnr(painted.picture, truth.picture)


def psnr_inside(painted: PaintedView, truth: TrueView) -> float:
    """PSNR in dB of the pixels inside the true silhouette."""
    person = truth.regions > 0
    error = float(np.mean((painted.picture[person] - truth.picture[person]) ** 2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def ssim_view(painted: PaintedView, truth: TrueView) -> float:
    """Structural similarity (Wang et al., 2004)."""
    return ssim(painted.picture, truth.picture)


def silhouette_overlap(painted: PaintedView, truth: TrueView) -> float:
    """Intersection over union of the silhouette read in the painting and the true one."""
    person = truth.regions > 0
    return float((painted.silhouette & person).sum() / max((painted.silhouette | person).sum(), 1))


def garment_colours(picture: np.ndarray, regions: np.ndarray) -> dict[int, np.ndarray]:
    """Mean chroma (a*, b* of CIELAB) inside each garment of at least 12 pixels."""
    chroma = rgb2lab(picture)[..., 1:]
    masks = {int(garment): regions == garment for garment in GARMENTS}
    return {g: chroma[mask].mean(0) for g, mask in masks.items() if mask.sum() >= MIN_PIXELS}


def colour_error(painted: PaintedView, truth: TrueView) -> float:
    """Distance of mean chroma inside each garment's true region, mean over garments (CIELAB)."""
    ours = garment_colours(painted.picture, truth.regions)
    true = garment_colours(truth.picture, truth.regions)
    gaps = [float(np.linalg.norm(ours[g] - true[g])) for g in true]
    return float(np.mean(gaps)) if gaps else float("nan")


def print_agreement(painted: PaintedView, truth: TrueView) -> float:
    """Correlation with the truth in and around a print that a reference shows, in [-1,1].

    NaN where the print is not seen in the target, or in no reference.
    """
    return print_likeness(painted, truth) if truth.shown else float("nan")


def print_likeness(painted: PaintedView, truth: TrueView) -> float:
    """Correlation with the truth in and around a print, whether a reference shows it or not.

    Taken over the three channels of the print's pixels and of those next to it, about their means:
    in [-1,1]. NaN where the print is not seen in the target.
    """
    if truth.print_mask.sum() < MIN_PRINT_PIXELS:
        return float("nan")
    near = binary_dilation(truth.print_mask, iterations=1) & (truth.regions > 0)
    ours, true = (p[near] - p[near].mean(0) for p in (painted.picture, truth.picture))
    length = float(np.sqrt((ours**2).sum() * (true**2).sum()))
    return float((ours * true).sum()) / length if length > 0 else 0.0


def joints_found(painted: PaintedView, truth: TrueView) -> float:
    """Share of the joints seen in the truth that are read within 0.1 of the view's height."""
    if not truth.seen.any():
        return float("nan")
    height, width = truth.regions.shape
    gaps = (painted.joints - truth.keypoints) * (width / height, 1.0)
    return float((np.linalg.norm(gaps, axis=-1)[truth.seen] < JOINT_REACH).mean())


VIEW_SCORES: Mapping[str, ViewScore] = {
    "PSNR": psnr_view,
    "PSNR inside": psnr_inside,
    "SSIM": ssim_view,
    "silhouette overlap": silhouette_overlap,
    "colour error": colour_error,
    "print agreement": print_agreement,
    "print likeness": print_likeness,
    "joints found": joints_found,
}


def disagreement(painted: Sequence[PaintedView], truth: Sequence[TrueView]) -> float:
    """How much more the garments' colours differ between views painted together than they should.

    Mean over pairs of views and garments that both show of the distance between the two views'
    chroma errors: 0 where all views are wrong in the same way, or right.
    """
    errors = []
    for ours, true in zip(painted, truth, strict=True):
        found = garment_colours(ours.picture, true.regions)
        known = garment_colours(true.picture, true.regions)
        errors.append({g: found[g] - known[g] for g in known})
    gaps = [
        float(np.linalg.norm(one[g] - other[g]))
        for i, one in enumerate(errors)
        for other in errors[:i]
        for g in one.keys() & other.keys()
    ]
    return float(np.mean(gaps)) if gaps else float("nan")
