"""Which way each score is better."""

from collections.abc import Mapping

BETTER: Mapping[str, str] = {
    "PSNR": "up",
    "PSNR inside": "up",
    "SSIM": "up",
    "silhouette overlap": "up",
    "colour error": "down",
    "print agreement": "up",
    "print likeness": "up",
    "joints found": "up",
    "perceptual (tiny)": "down",
    "embedding cosine": "up",
    "disagreement": "down",
    "gap closed": "up",
    "flicker": "zero",
    "change error": "down",
    "drift": "zero",
    "error": "down",
}
_ARROWS = {"up": "↑", "down": "↓", "zero": "→0"}


def heading(name: str) -> str:
    """Name a score with an arrow to where it is better."""
    return f"{name} {_ARROWS[BETTER[name]]}"
