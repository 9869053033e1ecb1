#!/usr/bin/env sh
# Stage 1: train the appearance prior (APM).
#   NUM_PROCESSES=8 sh run_train_stage1.sh --run.seed=1
#   CONFIG=configs/tiny/stage1_prior.yaml sh run_train_stage1.sh
set -eu
cd "$(dirname "$0")"
exec sh scripts/launch.sh train prior --config "${CONFIG:-configs/deepfashion/stage1_prior.yaml}" "$@"
