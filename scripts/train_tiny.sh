#!/usr/bin/env sh
# Train the prior, the denoiser and the motion modules of assets/tiny from scratch on drawn people,
# with the frozen encoders that lie there: about 2.5 hours on 2 CPU cores. What was cut goes on.
#   sh scripts/train_tiny.sh [PIPELINE [RUNS]]
# PIPELINE: folder to write, default outputs/tiny/pipeline. RUNS: where it trains, default
# outputs/tiny. NUM_PROCESSES: how many processes share every batch, default 2; no loss depends on it.
set -eu
cd "$(dirname "$0")/.."
. scripts/env.sh

out="${2:-outputs/tiny}"
pipeline="${1:-$out/pipeline}"
[ ! -e "$pipeline" ] || jcdm_fail "$pipeline exists; name a new folder for the pipeline, or remove it."
export NUM_PROCESSES="${NUM_PROCESSES:-2}"

say() { printf '\n== %s\n' "$1"; }

# cache FILE_OF_A_FINISHED_ONE CONFIG OPTIONS: what the frozen parts make of all people, once.
cache() {
    finished="$1" config="configs/tiny/$2.yaml"
    shift 2
    [ -f "$finished" ] || sh scripts/launch.sh cache --config "$config" --dtype float16 "$@"
}

# train STAGE CONFIG BATCH OPTIONS: BATCH is the configuration's, shared out over the processes.
train() {
    stage="$1" config="configs/tiny/$2.yaml" batch=$(($3 / NUM_PROCESSES)) run="$out/$2"
    [ $((batch * NUM_PROCESSES)) -eq "$3" ] \
        || jcdm_fail "NUM_PROCESSES is $NUM_PROCESSES, which does not divide $2's batch of $3; use 1, 2, 4 or 8."
    shift 3
    sh scripts/launch.sh train "$stage" --config "$config" --run.out "$run" \
        --train.batch_size "$batch" "$@"
}

# Each adds options to the command behind it.
still() { "$@" --data.index "$out/people/index.json" --encoders.cache "$out/encoded"; }
moving() { "$@" --data.index "$out/people/sequences.json" --encoders.cache "$out/encoded_sequences"; }
on_prior() { "$@" --prior.weights "$out/stage1_prior/final" --prior.predictions "$out/$predicted"; }
on_denoiser() { on_prior "$@" --unet.weights "$out/stage2_denoiser/final"; }

say "1/3  appearance prior"
still cache "$out/encoded/cache.json" stage2_denoiser
still train prior stage1_prior 32

say "2/3  U-Net, pose guider and JCI, on the frozen prior"
predicted=predicted
still on_prior cache "$out/predicted/predictions.json" stage2_denoiser --predictions denoiser
still on_prior train denoiser stage2_denoiser 32

say "3/3  motion modules, all else frozen"
predicted=predicted_sequences
moving cache "$out/encoded_sequences/cache.json" stage2_motion
moving on_denoiser cache "$out/predicted_sequences/predictions.json" stage2_motion \
    --predictions motion
moving on_denoiser train motion stage2_motion 8

"$JCDM_PYTHON" -m jcdm convert pipeline --run "$out/stage2_motion" --out "$pipeline" --dtype float16
cp assets/tiny/sampling.json "$pipeline/"
