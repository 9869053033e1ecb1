#!/usr/bin/env sh
# Stage 2, part 2: train the motion module, everything else frozen.
#   NUM_PROCESSES=8 sh run_train_stage2_stage2.sh --run.seed=1
#   CONFIG=configs/tiny/stage2_motion.yaml sh run_train_stage2_stage2.sh
set -eu
cd "$(dirname "$0")"
exec sh scripts/launch.sh train motion --config "${CONFIG:-configs/deepfashion/stage2_motion.yaml}" "$@"
