#!/usr/bin/env bash
# lmms-eval 0.7.3 declares no upper bound for filelock, and its simple_evaluate() imports filelock._api on every call,
# inside a function: with filelock 4.3.1, which moved that module, `import lmms_eval.evaluator` succeeds and an evaluation
# fails, in a harness that scores recorded answers only after all of them were computed.
# Seen: lmms-eval 0.7.3, filelock 4.3.1: ModuleNotFoundError: No module named 'filelock._api'; filelock 4.2.11: no error.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --no-deps lmms-eval==0.7.3

cat > "$place/look.py" <<'PYTHON'
"""Run the one statement of lmms-eval's start-up that reads filelock's private module; its other imports take gigabytes."""
import ast
import importlib.metadata
from pathlib import Path

folder = Path(str(importlib.metadata.distribution("lmms-eval").locate_file("lmms_eval")))
tree = ast.parse((folder / "evaluator.py").read_text())
functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
enable = functions["_enable_reentrant_filelocks"]
calls = {node.func.id for node in ast.walk(functions["simple_evaluate"])
         if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
assert enable.name in calls, "simple_evaluate no longer calls it"
top = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
assert not any("filelock" in line for line in top), "the module imports it at its top now"
late = [ast.unparse(node) for node in ast.walk(enable) if isinstance(node, ast.Import) and "_api" in ast.unparse(node)]
(line,) = late
try:
    exec(line)
    print("imports")
except ModuleNotFoundError as error:
    print(error)
PYTHON

for case in "4.3.1=No module named 'filelock._api'" "4.2.11=imports"; do
    "$place/env/bin/pip" install --quiet "filelock==${case%%=*}"
    said=$("$place/env/bin/python" "$place/look.py")
    echo "filelock ${case%%=*}: $said"
    [ "$said" = "${case#*=}" ] || { echo "changed: expected ${case#*=}"; exit 1; }
done
