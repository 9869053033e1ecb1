"""Generate and score target views with the motion module: frames of a sequence. Options: --help."""

import sys

from jcdm.cli.sample import launch

if __name__ == "__main__":
    sys.exit(launch("sequence", default_config="configs/tiny/sample_use_motion.yaml"))
