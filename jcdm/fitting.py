"""The words for how a picture is brought to the size of a view."""

import re

from jcdm.errors import ConfigError

Fit = str  # a word of FITS, or a frame such as 256x176
FITS = ("crop", "letterbox", "stretch")
_FRAME = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")


def parse_frame(fit: Fit) -> tuple[int, int] | None:
    """Read a frame `HEIGHTxWIDTH`; None for a word of FITS. Errors: ConfigError."""
    if fit in FITS:
        return None
    found = _FRAME.fullmatch(fit)
    if not found:
        raise ConfigError(
            f"data.fit is {fit!r}; expected one of {', '.join(FITS)}, or a frame such as 256x176."
        )
    return int(found[1]), int(found[2])
