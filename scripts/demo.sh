#!/usr/bin/env sh
# The whole method on drawn people: train the three stages for a short while from scratch, run the
# three tests with the shipped weights, and write outputs/demo/report.html.
#   sh scripts/demo.sh
set -eu
cd "$(dirname "$0")/.."
echo "jcdm demo: about 10 minutes on 2 CPU cores, environment included; no GPU needed."
. scripts/env.sh

out=outputs/demo
rm -rf "$out"
mkdir -p "$out"
people="$out/people/index.json"
moving="$out/people/sequences.json"
unseen="$out/unseen"

say() { printf '\n== %s\n' "$1"; }

train() {
    say "$1"
    shift
    config=$1
    shift
    "$JCDM_PYTHON" -m jcdm train "$@" --config "configs/micro/$config.yaml" --run.out "$out/$config"
}

train "1/6  draw people and train the appearance prior (about 1 minute)" \
    stage1_prior prior --data.index "$people"
train "2/6  train U-Net, pose guider and JCI on the frozen prior (about 1 minute)" \
    stage2_denoiser denoiser --data.index "$people" --prior.weights "$out/stage1_prior/final"
train "3/6  train the motion module, everything else frozen (about 5 minutes)" \
    stage2_motion motion --data.index "$moving" --prior.weights "$out/stage1_prior/final" \
    --unet.weights "$out/stage2_denoiser/final"

say "4/6  stage 1 test, shipped weights: predicted embeddings of unseen people"
sh test_stage1.sh --run.out "$out/test_prior" --data.index "$unseen/index.json"
say "5/6  stage 2 test, shipped weights: paint unseen people (seconds)"
"$JCDM_PYTHON" test_stage2_no_motion.py --run.out "$out/test_images" --data.index "$unseen/index.json"
say "6/6  motion test, shipped weights: sequences of unseen people (seconds)"
"$JCDM_PYTHON" test_stage2_use_motion.py --run.out "$out/test_sequence" \
    --data.index "$unseen/sequences.json"

say "report"
"$JCDM_PYTHON" -m jcdm report --out "$out" --title "JCDM on drawn people" \
    --runs "$out/stage1_prior" "$out/stage2_denoiser" "$out/stage2_motion" \
    --tests "$out/test_prior" "$out/test_images" "$out/test_sequence"
