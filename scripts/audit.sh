#!/usr/bin/env bash
# audit.sh ENV: hold the pinned versions against known vulnerabilities; without a network it says so in one line.
set -euo pipefail
cd "$(dirname "$0")/.."
env=$1

skip() { echo "audit: not done, $1"; exit 0; }

uv=$(command -v uv || echo "$env/uv/bin/uv")
"$uv" --version >/dev/null 2>&1 || skip "there is no uv to run pip-audit with"
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
"$uv" tool run --quiet pip-audit==2.9.0 --version >"$log/tool" 2>&1 || skip "no package index has pip-audit"
"$uv" tool run --quiet pip-audit==2.9.0 --requirement constraints.txt --no-deps --disable-pip --timeout 15 \
    --progress-spinner off --format json --output "$log/found.json" >"$log/said" 2>&1 || true
[ -s "$log/found.json" ] || skip "no database of vulnerabilities is reachable ($(tail -n 1 "$log/said" | cut -c 1-120))"
"$env/bin/python" - "$log/found.json" <<'PYTHON'
import json
import sys
from pathlib import Path

listed = json.loads(Path(sys.argv[1]).read_text())["dependencies"]
known = [one for one in listed if "skip_reason" not in one]
if not known:
    print("audit: not done, the index tells nothing of vulnerabilities")
    sys.exit(0)
bad = [(one["name"], one["version"], each["id"], each["fix_versions"]) for one in known for each in one["vulns"]]
for name, version, what, mended in bad:
    print(f"audit: {name} {version}: {what}, mended in {', '.join(mended) or 'no version yet'}")
print(f"audit: {len(known)} of {len(listed)} packages are known to the index, with {len(bad)} known vulnerabilities")
sys.exit(1 if bad else 0)
PYTHON
