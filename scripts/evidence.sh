#!/usr/bin/env sh
# The evidence of docs/evidence.md: train what a row needs, try it on unseen drawn people, write its
# figures to docs/evidence/ROW.json. Trainings that were cut go on; finished rows stay.
#   sh scripts/evidence.sh --row base
#   sh scripts/evidence.sh --row all --people_seed 20271 --results docs/evidence/other_people
set -eu
cd "$(dirname "$0")/.."
. scripts/env.sh
exec "$JCDM_PYTHON" -m jcdm evidence run "$@"
