"""How alike two pictures are: PSNR, MAE, L1 and structural similarity, to the letter and fast.

The numbers are scikit-image's on float32 pictures. Both kinds of SSIM share one set of moments, a
channel at a time, filtered by OpenCV: a window that reaches over the border is never averaged, so
how a filter continues a picture there does not matter.
"""

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from jcdm.errors import DataError

UNIFORM_WINDOW = 51
_TRUNCATE = 3.5  # standard deviations at which scikit-image cuts a Gaussian window
_LUMINANCE, _CONTRAST = 0.01, 0.03  # K1, K2 of Wang et al. (2004)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The weights of a structural similarity: a square of equal ones, or a Gaussian.

    size: pixels a side. sigma: None = equal weights. sample: divide (co)variances by n - 1.
    """

    size: int
    sigma: float | None = None
    sample: bool = False

    def __post_init__(self) -> None:
        if self.size < 3 or self.size % 2 == 0:
            raise DataError(f"an SSIM window of {self.size} pixels; expected an odd number, >= 3.")

    def average(self, plane: np.ndarray) -> np.ndarray:
        """Weighted means of all windows inside a plane: (H,W) -> (H-size+1, W-size+1)."""
        if self.sigma is None:
            means = cv2.boxFilter(plane, -1, (self.size, self.size))
        else:
            weights = _gaussian(self.size, self.sigma)
            means = cv2.sepFilter2D(plane, -1, weights, weights)
        edge = self.size // 2
        inside = means[edge : plane.shape[0] - edge, edge : plane.shape[1] - edge]
        return np.ascontiguousarray(inside)


def uniform_window(size: int = UNIFORM_WINDOW, *, sample: bool = True) -> Window:
    """Equal weights, (co)variances of a sample: scikit-image's default."""
    return Window(size=size, sample=sample)


def gaussian_window(sigma: float, *, sample: bool = False) -> Window:
    """Gaussian weights as far as 3.5 sigma (Wang et al., 2004, have sigma 1.5: 11 pixels)."""
    return Window(size=2 * int(_TRUNCATE * sigma + 0.5) + 1, sigma=sigma, sample=sample)


def value_range(picture: np.ndarray) -> float:
    """Largest minus smallest value of a picture: the published scripts' range of an SSIM."""
    return float(picture.max() - picture.min())


def published_kinds(
    generated: np.ndarray, *, size: int, sigma: float, fixed_range: bool
) -> list[tuple[Window, float]]:
    """List the kinds `ssim` and `ssim_256` of a protocol: equal weights, and Gaussian ones.

    size: pixels a side of the first. fixed_range: the second's range is 1, not the generated
    picture's own.
    """
    spread = 1.0 if fixed_range else value_range(generated)
    return [(uniform_window(size), 1.0), (gaussian_window(sigma), spread)]


def structural_similarities(
    truth: np.ndarray, generated: np.ndarray, kinds: list[tuple[Window, float]]
) -> list[float]:
    """Structural similarity (Wang et al., 2004) of (H,W,3) float32, one number a kind.

    kinds: a window, and the range of values. Pictures and range may be scaled together: SSIM does
    not change. Mean over all windows inside the picture, then over channels. A range of 0 gives
    NaN: 0/0. Errors: DataError for pictures of two shapes, or smaller than a window.
    """
    _check(truth, generated, max(window.size for window, _ in kinds))
    values = np.zeros(len(kinds))
    for channel in range(truth.shape[2]):
        moments, origin = _moments(truth[..., channel], generated[..., channel])
        for i, (window, spread) in enumerate(kinds):
            values[i] += _similarity(moments, origin, window, spread) if spread > 0 else math.nan
    return (values / truth.shape[2]).tolist()


def similarity_map(
    truth: np.ndarray, generated: np.ndarray, kind: tuple[Window, float]
) -> np.ndarray:
    """Structural similarity at every place, mean over channels: (H,W,3) -> (H,W) float64.

    A window belongs to its middle pixel; NaN at the border, where no window is inside the picture.
    The mean over all other places is what `structural_similarities` has. Errors: DataError.
    """
    window, spread = kind
    _check(truth, generated, window.size)
    found = np.full(truth.shape[:2], math.nan)
    edge = window.size // 2
    if spread > 0:
        planes = (_moments(truth[..., i], generated[..., i]) for i in range(truth.shape[2]))
        maps = [_similarity_plane(moments, origin, window, spread) for moments, origin in planes]
        found[edge:-edge, edge:-edge] = np.mean(maps, axis=0, dtype=np.float64)
    return found


def psnr(truth: np.ndarray, generated: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, range 1; infinite for identical pictures."""
    error = float(np.mean((truth - generated) ** 2, dtype=np.float64))
    return -10 * math.log10(error) if error > 0 else math.inf


def relative_error(truth: np.ndarray, generated: np.ndarray) -> float:
    """MAE of the published scripts: sum |a - b| / sum (a + b); two black pictures give NaN."""
    with np.errstate(invalid="ignore"):
        return float(np.abs(truth - generated).sum() / (truth + generated).sum())


def mean_difference(truth: np.ndarray, generated: np.ndarray) -> float:
    """L1: mean |a - b|."""
    return float(np.abs(truth - generated).mean())


Moments = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _moments(truth: np.ndarray, generated: np.ndarray) -> tuple[Moments, float]:
    """Return x, y, x^2 + y^2 and (x - y)^2 about a common origin, and that origin.

    Variances do not depend on the origin; near the mean they lose no digits in float32.
    """
    origin = truth.mean(dtype=np.float32)
    x, y = (np.ascontiguousarray(plane) - origin for plane in (truth, generated))
    squares = x * x
    squares += y * y
    gaps = x - y
    gaps *= gaps
    return (x, y, squares, gaps), float(origin)


def _similarity(moments: Moments, origin: float, window: Window, spread: float) -> float:
    """Mean over all windows inside the picture."""
    return float(_similarity_plane(moments, origin, window, spread).mean(dtype=np.float64))


def _similarity_plane(moments: Moments, origin: float, window: Window, spread: float) -> np.ndarray:
    """Similarity of all windows, Wang et al. (2004), equation 13, as a product of two losses.

    2ab + c over a^2 + b^2 + c is 1 - (a - b)^2 / (a^2 + b^2 + c); with the variance of x - y the
    contrast term is the same. Where the pictures agree nothing is rounded, as it would be in
    E[xy] - E[x]E[y], so that float32 is enough.
    """
    c1, c2 = (_LUMINANCE * spread) ** 2, (_CONTRAST * spread) ** 2
    norm = window.size**2 / (window.size**2 - 1) if window.sample else 1.0
    mean_x, mean_y, energy, loss = (window.average(plane) for plane in moments)
    shift = mean_x - mean_y
    shift *= shift
    loss -= shift  # variance of x - y
    energy -= mean_x * mean_x
    energy -= mean_y * mean_y  # both variances
    energy += c2 / norm
    loss /= energy
    mean_x += origin
    mean_y += origin
    mean_x *= mean_x
    mean_y *= mean_y
    mean_x += mean_y
    mean_x += c1
    shift /= mean_x
    return (1 - shift) * (1 - loss)


@cache
def _gaussian(size: int, sigma: float) -> np.ndarray:
    offsets = np.arange(size) - size // 2
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def _check(truth: np.ndarray, generated: np.ndarray, size: int) -> None:
    if truth.shape != generated.shape or truth.ndim != 3:
        raise DataError(
            f"truth {truth.shape} and generated {generated.shape} differ in shape; expected two "
            "pictures (H,W,3) of one size. Resize them alike."
        )
    if min(truth.shape[:2]) < size:
        raise DataError(
            f"pictures of {truth.shape[0]}x{truth.shape[1]} are smaller than the SSIM window of "
            f"{size} pixels. Score larger pictures, or use another protocol."
        )
