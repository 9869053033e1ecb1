"""Import OpenPose's modules of controlnet-aux without the rest of that package.

Importing `controlnet_aux` itself imports twenty other detectors, and fails where torchvision or
timm is missing or does not fit; the body's and the hands' modules need neither, the face's needs
torchvision. So the folder of the modules is imported as a package of its own, whose `__init__` is
never run.
"""

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from jcdm.errors import ConfigError

_DISTRIBUTION, _FOLDER = "controlnet_aux", "open_pose"
_PACKAGE = "controlnet_aux_open_pose"


def load_part(name: str) -> ModuleType:
    """Import `body`, `hand`, `face` or `util`. Errors: ConfigError naming what is not installed."""
    if _PACKAGE not in sys.modules:
        _make_package()
    try:
        importlib.import_module(f"{_PACKAGE}.util")  # first: it and `body` import each other
        return importlib.import_module(f"{_PACKAGE}.{name}")
    except ImportError as error:
        raise ConfigError(
            f"OpenPose's {name} needs {error.name or 'a package'}, which cannot be imported "
            f"({' '.join(str(error).split())[:200]}); install it, or go without the {name}."
        ) from None


def _make_package() -> None:
    found = importlib.util.find_spec(_DISTRIBUTION)
    places = [] if found is None else list(found.submodule_search_locations or [])
    folder = Path(places[0], _FOLDER) if places else None
    if folder is None or not folder.is_dir():
        raise ConfigError(
            "OpenPose needs controlnet-aux, which is not installed; run: "
            "pip install --no-deps controlnet-aux."
        )
    spec = ModuleSpec(_PACKAGE, loader=None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
