"""The named protocols: every choice that changes a number, as a field that results record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jcdm.errors import ConfigError
from jcdm.evaluation.protocols.similarity import UNIFORM_WINDOW

Decode = Literal["plain", "upright"]
Resize = Literal["opencv_cubic", "pillow_bicubic", "torch_bicubic_antialiased"]
Range = Literal["generated", "fixed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One way to score folders of pictures.

    decode: `plain` = Pillow's RGB; `upright` = as this project reads pictures (EXIF, transparency).
    truth_resize, generated_resize: also which numbers leave it - `opencv_cubic` floats that may
    leave [0,1], `pillow_bicubic` 8 bits, `torch_bicubic_antialiased` cut (not rounded) to 8 bits.
    reference_suffixes: file types of FID's real side. by_suffix: list types one after another.
    pairing: `published_names` = truth after the last `_to_`, skipped if absent; `listed` = a file
    of pairs, or else equal names.
    fid_generated: every picture of the folder, or the paired ones. fid_batch: None = no batches;
    fid_drop_tail: leave out the last partial batch, and keep a batch that had to shrink.
    fid_mean_dtype: of the mean feature. fid_root: SciPy's general matrix square root, or singular
    values. inception_input: `renormalised` = the affine map meant for ImageNet-normalised
    pictures, applied to [0,1]; `symmetric` = [-1,1], which the weights were trained on.
    inception_antialias: of the resize to 299. lpips_range: what LPIPS is fed.
    ssim_window: of `ssim`, equal weights, range 1, sample covariance. sigma, ssim_256_range: of
    `ssim_256`, Gaussian weights, population covariance. scores: a value a pair.
    variances: report population variances. reported: scores of the published summary line.
    """

    name: str
    decode: Decode
    truth_resize: Resize
    generated_resize: Resize
    reference_suffixes: tuple[str, ...]
    by_suffix: bool
    pairing: Literal["published_names", "listed"]
    fid_generated: Literal["folder", "pairs"]
    fid_batch: int | None
    fid_drop_tail: bool
    fid_mean_dtype: Literal["float32", "float64"]
    fid_root: Literal["sqrtm", "exact"]
    inception_input: Literal["renormalised", "symmetric"]
    inception_antialias: bool
    lpips_range: Literal["unit", "symmetric"]
    lpips_batch: int | None
    lpips_drop_tail: bool
    ssim_window: int = UNIFORM_WINDOW
    sigma: float
    ssim_256_range: Range
    scores: tuple[str, ...]
    variances: bool
    reported: tuple[str, ...]


PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="pcdms",
            decode="plain",
            truth_resize="opencv_cubic",
            generated_resize="opencv_cubic",
            reference_suffixes=(".jpg", ".png"),
            by_suffix=True,
            pairing="published_names",
            fid_generated="folder",
            fid_batch=128,
            fid_drop_tail=True,
            fid_mean_dtype="float64",
            fid_root="sqrtm",
            inception_input="renormalised",
            inception_antialias=False,
            lpips_range="unit",
            lpips_batch=64,
            lpips_drop_tail=True,
            sigma=1.2,
            ssim_256_range="generated",
            scores=("psnr", "ssim", "ssim_256", "mae", "l1"),
            variances=True,
            reported=("psnr", "ssim_256", "mae", "l1"),
        ),
        Protocol(
            name="cfld",
            decode="plain",
            truth_resize="pillow_bicubic",
            generated_resize="torch_bicubic_antialiased",
            reference_suffixes=(".jpg",),
            by_suffix=True,
            pairing="listed",
            fid_generated="pairs",
            fid_batch=16,
            fid_drop_tail=False,
            fid_mean_dtype="float32",
            fid_root="sqrtm",
            inception_input="renormalised",
            inception_antialias=False,
            lpips_range="symmetric",
            lpips_batch=16,
            lpips_drop_tail=False,
            sigma=1.5,
            ssim_256_range="generated",
            scores=("psnr", "ssim", "ssim_256"),
            variances=False,
            reported=("psnr", "ssim", "ssim_256"),
        ),
        Protocol(
            name="strict",
            decode="upright",
            truth_resize="pillow_bicubic",
            generated_resize="pillow_bicubic",
            reference_suffixes=(".jpg", ".jpeg", ".png", ".webp"),
            by_suffix=False,
            pairing="listed",
            fid_generated="pairs",
            fid_batch=None,
            fid_drop_tail=False,
            fid_mean_dtype="float64",
            fid_root="exact",
            inception_input="symmetric",
            inception_antialias=True,
            lpips_range="symmetric",
            lpips_batch=None,
            lpips_drop_tail=False,
            sigma=1.5,
            ssim_256_range="fixed",
            scores=("psnr", "ssim", "ssim_256", "mae", "l1"),
            variances=True,
            reported=("psnr", "ssim", "ssim_256", "l1"),
        ),
    )
}


def find_protocol(name: str) -> Protocol:
    """Return a protocol by its name; ConfigError when there is none of that name."""
    if name not in PROTOCOLS:
        raise ConfigError(f"protocol {name!r} is unknown; expected one of {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]
