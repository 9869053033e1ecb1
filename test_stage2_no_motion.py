"""Generate and score target views without the motion module. Options: --help."""

import sys

from jcdm.cli.sample import launch

if __name__ == "__main__":
    sys.exit(launch("images", default_config="configs/tiny/sample_no_motion.yaml"))
