#!/usr/bin/env sh
# Start a jcdm command on every visible GPU, or on NUM_PROCESSES processes; used by the launchers.
#   NUM_PROCESSES=8 sh scripts/launch.sh train denoiser --config FILE
#   ACCELERATE_CONFIG=fsdp sh scripts/launch.sh train denoiser --config FILE
# NUM_PROCESSES:     how many processes, one a GPU; without GPUs they share the CPU.
# ACCELERATE_CONFIG: a file for accelerate, or the name of one in configs/accelerate: cpu, fsdp,
#                    single_gpu, multi_gpu, multi_node, deepspeed_zero2. NUM_PROCESSES, where it is
#                    set, takes the place of the file's number.
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
    file="$ACCELERATE_CONFIG"
    [ -f "$file" ] || file="configs/accelerate/$ACCELERATE_CONFIG.yaml"
    [ -f "$file" ] ||
        jcdm_fail "ACCELERATE_CONFIG is '$ACCELERATE_CONFIG'; expected a file or a name in configs/accelerate."
    if grep -q '^use_cpu: true' "$file"; then
        export ACCELERATE_USE_CPU=true  # accelerate does not hand this key on to several processes
        export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
    fi
    if [ -n "${NUM_PROCESSES:-}" ]; then
        set -- --num_processes "$NUM_PROCESSES" -m jcdm "$@"
    else
        set -- -m jcdm "$@"
    fi
    exec "$JCDM_PYTHON" -m accelerate.commands.launch --config_file "$file" "$@"
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
