#!/usr/bin/env bash
# setup_env.sh ENV [PIN...]: make the environment ENV with Winnow (editable) at the pinned versions.
# Each PIN (name==version) replaces the pin of that name in constraints.txt, or in the file that CONSTRAINTS names.
# EXTRAS names the optional dependencies (default: dev); RESOLUTION is uv's, for the lowest allowed versions.
set -euo pipefail
cd "$(dirname "$0")/.."
env=$1; shift

fail() { echo "setup: $*" >&2; exit 2; }

suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
        if suits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is no Python 3.11 to 3.13 that runs"
    fail "no Python 3.11 to 3.13 found; install one or say PYTHON=/path/to/python"
}

# uv writes `uv 0.x`; a name that is on PATH but does not run (a pyenv shim) counts as missing.
find_uv() {
    if uv --version >/dev/null 2>&1; then
        echo uv
    elif "$python" -m uv --version >/dev/null 2>&1; then
        echo "$python -m uv"
    else
        "$python" -m venv "$env/uv" >&2 || fail "$python cannot make a virtual environment (Debian: apt install python3-venv)"
        "$env/uv/bin/python" -m pip install --quiet uv >&2 || fail "cannot install uv; is a package index reachable?"
        echo "$env/uv/bin/uv"
    fi
}

python=$(find_python)
[ -x "$env/bin/python" ] || rm -rf "$env"
uv=$(find_uv)
[ -x "$env/bin/python" ] || $uv venv --quiet --allow-existing --python "$python" "$env"

pins=$(mktemp)
trap 'rm -f "$pins"' EXIT
cat "${CONSTRAINTS:-constraints.txt}" > "$pins"
for pin in "$@"; do
    sed -i "/^${pin%%==*}==/d" "$pins"
    echo "$pin" >> "$pins"
done
# Where Python may not cache bytecode as it imports, lmms-eval takes 15 s to import unless it is compiled now.
compile=${PYTHONDONTWRITEBYTECODE:+--compile-bytecode}
log=$env/setup.log
$uv pip install $compile --python "$env/bin/python" --resolution "${RESOLUTION:-highest}" --constraint "$pins" \
    --editable ".[${EXTRAS:-dev}]" > "$log" 2>&1 ||
    fail "cannot install the packages; is a package index reachable? The installer's words are in $log"
echo "setup: $env is ready"
