#!/usr/bin/env sh
# Start a jcdm command on every visible GPU, or on NUM_PROCESSES processes; used by the launchers.
#   NUM_PROCESSES=8 sh scripts/launch.sh train denoiser --config FILE
# Options of accelerate itself (machines, FSDP, DeepSpeed) come from ACCELERATE_CONFIG=FILE.
set -eu
cd "$(dirname "$0")/.."
. scripts/env.sh

gpus=0
if command -v nvidia-smi >/dev/null 2>&1; then
    gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ' || true)
    if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
        gpus=$(printf '%s' "$CUDA_VISIBLE_DEVICES" | tr ',' '\n' | grep -c . || true)
    fi
fi
processes="${NUM_PROCESSES:-$gpus}"
case "$processes" in
    '' | *[!0-9]*) jcdm_fail "NUM_PROCESSES is '$processes'; expected a whole number such as 1 or 8." ;;
esac

if [ -n "${ACCELERATE_CONFIG:-}" ]; then
    exec "$JCDM_PYTHON" -m accelerate.commands.launch --config_file "$ACCELERATE_CONFIG" -m jcdm "$@"
elif [ "$processes" -le 1 ]; then
    exec "$JCDM_PYTHON" -m jcdm "$@"
fi
if [ "$gpus" -eq 0 ]; then
    # accelerate's --cpu silently starts one process; --multi_gpu with this variable starts them all.
    export ACCELERATE_USE_CPU=true
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
fi
exec "$JCDM_PYTHON" -m accelerate.commands.launch --multi_gpu --num_processes "$processes" \
    --num_machines 1 --mixed_precision no --dynamo_backend no --main_process_port 0 -m jcdm "$@"
