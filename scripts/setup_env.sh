#!/usr/bin/env bash
# setup_env.sh ENV [PIN...]: make the environment ENV with Winnow (editable) at the pinned versions.
# Each PIN (name==version) replaces the pin of that name in constraints.txt (or in the file that CONSTRAINTS names).
set -euo pipefail
cd "$(dirname "$0")/.."
env=$1; shift

fail() { echo "setup: $*" >&2; exit 2; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.11 found (looked for python3.11, python3, python); install it or say PYTHON=/path/to/python3.11"
}

# uv writes `uv 0.x`; a name that is on PATH but does not run (a pyenv shim) counts as missing.
find_uv() {
    if uv --version >/dev/null 2>&1; then
        echo uv
    elif "$python" -m uv --version >/dev/null 2>&1; then
        echo "$python -m uv"
    else
        "$python" -m venv "$env/uv" || fail "$python cannot make a virtual environment (Debian: apt install python3.11-venv)"
        "$env/uv/bin/python" -m pip install --quiet uv || fail "cannot install uv: no package index is reachable"
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
$uv pip install --quiet --python "$env/bin/python" --constraint "$pins" --editable '.[dev]' ||
    fail "the installation failed (see above); it needs a package index the first time"
echo "setup: $env is ready"
