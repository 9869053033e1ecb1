# Sourced by the other scripts: finds or builds the Python environment and sets $JCDM_PYTHON.
#
# The environment lives in the user's cache folder under the hash of the requirement files and the
# Python version, so that every clone on a computer shares it and a changed requirement builds a
# new one. Set JCDM_PYTHON to use an interpreter of your own.

jcdm_fail() {
    printf 'jcdm: %s\n' "$1" >&2
    exit 1
}

jcdm_find_python() {
    for name in python3.11 python3.12 python3.13 python3 python; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

# A build that was cut off leaves only a folder with another name; the final name means complete.
jcdm_build() {
    building="$2.building.$$"
    trap 'rm -rf "$building"' EXIT
    trap 'exit 130' HUP INT PIPE TERM
    echo "jcdm: building the Python environment in $2 (1 to 5 minutes, once) ..."
    "$1" -m venv "$building" || jcdm_fail "cannot create a virtual environment with $1; on Debian: apt-get install python3-venv."
    "$building/bin/python" -m pip install --quiet --disable-pip-version-check \
        -r requirements.txt -r requirements-dev.txt ||
        jcdm_fail "pip could not install requirements.txt; check the network and run the command again."
    # A CPU build of torch cannot load the registry's torchvision, and one that fails to import
    # breaks transformers. It is needed only by controlnet-aux's detectors.
    if ! "$building/bin/python" -c 'import torchvision' >/dev/null 2>&1; then
        "$building/bin/python" -m pip uninstall --quiet --yes torchvision >/dev/null 2>&1 || true
        echo "jcdm: note: torchvision does not load with this build of torch and was left out;" \
            "only pose detection by controlnet-aux needs it."
    fi
    mv "$building" "$2"
    trap - EXIT HUP INT PIPE TERM
}

if [ -z "${JCDM_PYTHON:-}" ]; then
    jcdm_base=$(jcdm_find_python) || jcdm_fail "no Python >= 3.11 found; install one or set JCDM_PYTHON."
    jcdm_hash=$(
        {
            cat requirements.txt requirements-dev.txt scripts/env.sh
            "$jcdm_base" -V
        } | cksum | tr -d ' '
    )
    jcdm_cache="${XDG_CACHE_HOME:-${HOME:-$PWD}/.cache}/jcdm"
    jcdm_env="$jcdm_cache/env-$jcdm_hash"
    mkdir -p "$jcdm_cache" || jcdm_fail "cannot write to $jcdm_cache; set XDG_CACHE_HOME or JCDM_PYTHON."
    if [ ! -x "$jcdm_env/bin/python" ]; then
        # The lock goes with the process that holds it, so a killed build never blocks the next.
        if command -v flock >/dev/null 2>&1; then
            (
                flock 9
                rm -rf "$jcdm_cache"/env-*.building.* # what a killed build left
                [ -x "$jcdm_env/bin/python" ] || jcdm_build "$jcdm_base" "$jcdm_env"
            ) 9>"$jcdm_cache/lock" || exit 1
        else
            (jcdm_build "$jcdm_base" "$jcdm_env") || exit 1
        fi
    fi
    JCDM_PYTHON="$jcdm_env/bin/python"
fi
export JCDM_PYTHON
PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH
