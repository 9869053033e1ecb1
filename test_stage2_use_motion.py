"""Generate and score frames of a sequence with the motion module. Options: --help."""

import sys
from pathlib import Path

from jcdm.cli.environment import use_environment

if __name__ == "__main__":
    use_environment(__file__)
    from jcdm.cli.sample import launch

    config = Path(__file__).parent / "configs" / "tiny" / "sample_use_motion.yaml"
    sys.exit(launch("sequence", default_config=str(config)))
