#!/usr/bin/env bash
# lmms-eval 0.7.3 counts right answers as wrong in two benchmarks, whatever the model. MMMU: an open question with several
# labels has them as the text of a list, "['24', 'twenty-four']", which is compared as one text, so that no answer is
# right. MathVista: the data set's `precision` is a float (1.0), to which Python does not round; the error is caught and
# the number is gone.
# Seen: lmms-eval 0.7.3: 24 against "['24', 'twenty-four']" is wrong, against "24" right; 1.5 at precision 1.0 is None, at
# precision 1 it is 1.5.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --no-deps lmms-eval==0.7.3

cat > "$place/look.py" <<'PYTHON'
"""Run the functions that judge these answers; the other imports of their modules take gigabytes."""
import ast
import importlib.metadata
import re
from pathlib import Path

folder = Path(str(importlib.metadata.distribution("lmms-eval").locate_file("lmms_eval"))) / "tasks"


def functions(path, wanted):
    names = {"re": re}
    found = [node for node in ast.walk(ast.parse((folder / path).read_text()))
             if isinstance(node, ast.FunctionDef) and node.name in wanted]
    exec(compile(ast.Module(found, []), path, "exec"), names)
    return [names[name] for name in wanted]


eval_open, *_ = functions("mmmu/utils.py", ["eval_open", "normalize_str", "check_is_number"])
(round_to,) = functions("mathvista/mathvista_evals.py", ["normalize_extracted_answer"])
print(eval_open("['24', 'twenty-four']", [24.0]), eval_open("24", [24.0]))
print(*(round_to(None, "1.5", None, "free_form", "float", precision) for precision in (1.0, 1)))
PYTHON

said=$("$place/env/bin/python" "$place/look.py" | tr '\n' ' ')
echo "$said"
[ "$said" = "False True None 1.5 " ] || { echo "changed"; exit 1; }
