"""`python -m jcdm COMMAND`."""

import sys

from jcdm.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
