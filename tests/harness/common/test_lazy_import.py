"""Every method plans without torch, which takes seconds to import."""

import subprocess
import sys

PLAN = """
import importlib, pathlib, sys
from winnow import reducers
from winnow.harness.common.lazy_import import import_later
import_later("torch")
for file in sorted(pathlib.Path(reducers.__file__).parent.glob("[a-z]*.py")):
    importlib.import_module(f"winnow.reducers.{file.stem}")
from winnow.reducers.aim import AIM
assert AIM().plan([(32, 196)], 28)[14:17] == [1568, 1372, 1176]
assert "torch._C" not in sys.modules
import torch
assert torch.ones(2).sum() == 2 and sys.modules["torch"].__file__
import torch.nn.functional as F
assert float(F.relu(torch.tensor(-1.0))) == 0
"""


def test_planning_waits_with_torch_and_torch_still_works() -> None:
    subprocess.run([sys.executable, "-c", PLAN], check=True)


def test_what_is_imported_already_stays() -> None:
    import json

    from winnow.harness.common.lazy_import import import_later

    import_later("json")
    assert sys.modules["json"] is json
