#!/usr/bin/env sh
# Stage 2, part 1: train U-Net, PoseGuider and JCI on the frozen prior.
#   NUM_PROCESSES=8 sh run_train_stage2_stage1.sh --run.seed=1
#   CONFIG=configs/tiny/stage2_denoiser.yaml sh run_train_stage2_stage1.sh
set -eu
cd "$(dirname "$0")"
exec sh scripts/launch.sh train denoiser --config "${CONFIG:-configs/deepfashion/stage2_denoiser.yaml}" "$@"
