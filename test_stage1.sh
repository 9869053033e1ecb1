#!/usr/bin/env sh
# Stage 1: predict appearance embeddings of unseen people and score them, in one process.
#   CONFIG=configs/deepfashion/sample_prior.yaml sh test_stage1.sh
set -eu
cd "$(dirname "$0")"
export NUM_PROCESSES=1
exec sh scripts/launch.sh sample prior --config "${CONFIG:-configs/tiny/sample_prior.yaml}" "$@"
