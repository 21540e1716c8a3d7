#!/usr/bin/env bash
# lock.sh [PIN...]: resolve the dependencies anew, with the given pins, and write constraints.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

rm -rf .venv-lock
CONSTRAINTS=/dev/null EXTRAS=mutants scripts/setup_env.sh .venv-lock "$@"
.venv-lock/bin/python - > constraints.new <<'PYTHON'
from importlib.metadata import distributions

print("# The full set that the tests ran on (Linux, Python 3.11). Renew with `make lock`.")
found = {dist.name.lower().replace("_", "-").replace(".", "-"): dist.version for dist in distributions()}
print("\n".join(f"{name}=={version}" for name, version in sorted(found.items()) if name != "winnow-vlm"))
PYTHON
mv constraints.new constraints.txt
rm -rf .venv-lock
