"""Tables start at once, methods plan without torch, which takes seconds to import; once it is used, it is torch."""

import subprocess
import sys

PLAN = """
import importlib, importlib.util, pathlib, sys
import winnow.harness.cli.main, winnow.harness.results.tables.runs
heavy = {"hydra", "numpy", "pandas", "pyarrow", "torch"} & {*sys.modules}
assert not heavy, f"a table of runs waits for {heavy}"
from winnow import reducers
from winnow.harness.common.lazy_import import import_later
import_later("torch")
assert importlib.util.find_spec("torch").origin
for file in sorted(pathlib.Path(reducers.__file__).parent.glob("[a-z]*.py")):
    importlib.import_module(f"winnow.reducers.{file.stem}")
from winnow.reducers.aim import AIM
assert AIM().plan([(32, 196)], 28)[14:17] == [1568, 1372, 1176]
from winnow.harness.plan.family import family_facts
assert family_facts("qwen2_vl").mrope
assert "torch._C" not in sys.modules and "transformers" not in sys.modules
import torch.distributed
import torch
assert torch.ones(2).sum() == 2 and sys.modules["torch"].__file__ and torch.distributed.__spec__.origin
import torch.nn.functional as F
assert float(F.relu(torch.tensor(-1.0))) == 0
later = [name for name, module in sys.modules.items() if type(vars(module).get("torch")).__name__ == "_Later"]
assert not later, later
"""


def test_tables_and_planning_wait_for_nothing_heavy_and_torch_still_works() -> None:
    subprocess.run([sys.executable, "-c", PLAN], check=True)


def test_what_is_imported_already_stays() -> None:
    import json

    from winnow.harness.common.lazy_import import import_later

    import_later("json")
    assert sys.modules["json"] is json
