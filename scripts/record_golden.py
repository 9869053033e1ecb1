"""Record the losses that tests/training/test_golden.py holds every stage to.

    python scripts/record_golden.py [--out tests/golden]

Run it after a change that is meant to change numbers, and say so in the commit.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "training")]

from golden import FOLDER, conditions, golden_losses  # noqa: E402
from training_world import KINDS, make_trained_world  # noqa: E402


def main() -> None:
    """Train every stage in a temporary folder and write one JSON file a stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        world = make_trained_world(Path(folder) / "world")
        for kind in KINDS:
            losses = golden_losses(world, Path(folder) / kind, kind)
            record = {"conditions": conditions(), "losses": losses}
            (out / f"{kind}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            print(f"{kind}: {losses[0]:.4f} -> {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
