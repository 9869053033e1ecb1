"""The commands' tests use small networks of other rooms."""

import sys
from pathlib import Path

for room in ("poses", "training"):
    sys.path.append(str(Path(__file__).resolve().parents[1] / room))
