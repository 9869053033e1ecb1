"""Start a script again in the project's own environment when its packages are missing here."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

_IN_ENVIRONMENT = 'cd "$0" && . scripts/env.sh && cd "$1" && shift && exec "$JCDM_PYTHON" "$@"'


def use_environment(script: str) -> None:
    """Return where torch can be imported, or when JCDM_PYTHON names an interpreter; else start.

    The environment is the one of `scripts/env.sh`, built on its first use. Never returns after
    a start: this process becomes the new one.
    """
    if find_spec("torch") is not None or "JCDM_PYTHON" in os.environ:
        return
    path = Path(script).resolve()
    words = [str(path.parent), os.getcwd(), str(path), *sys.argv[1:]]
    os.execvp("sh", ["sh", "-c", _IN_ENVIRONMENT, *words])
