"""Names of weight files that tell one version from another."""

import hashlib
from pathlib import Path


def name_weights(path: Path) -> str:
    """Name a weight file by its name and the beginning of its SHA-256."""
    with path.open("rb") as file:
        return f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"
