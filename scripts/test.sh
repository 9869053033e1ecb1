#!/usr/bin/env sh
# Format, lint, types and tests. Options are handed to pytest:  sh scripts/test.sh -k grid
set -eu
cd "$(dirname "$0")/.."
. scripts/env.sh
echo "jcdm: format, lint and types ..."
"$JCDM_PYTHON" -m ruff format --check .
"$JCDM_PYTHON" -m ruff check .
"$JCDM_PYTHON" -m mypy jcdm
echo "jcdm: tests (about 12 minutes on 2 cores) ..."
exec "$JCDM_PYTHON" -m pytest -n 2 --dist loadfile "$@"
