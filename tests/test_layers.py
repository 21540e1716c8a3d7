"""The import-layer check holds for this repository, and it can fail."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def load_check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_layers", ROOT / "scripts" / "check_layers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_layers = load_check()


def test_repository_is_clean() -> None:
    assert check_layers.check(ROOT) == []


@pytest.mark.parametrize(
    ("file", "source", "offence"),
    [
        ("reducers/bad.py", "import numpy as np", "reducers/bad.py:1: reducers may not import numpy"),
        ("reducers/bad.py", "from models.engine import attach", "reducers/bad.py:1: reducers may not import models"),
        ("models/bad.py", "def f():\n    import hydra", "models/bad.py:2: models may not import hydra"),
        ("models/a/bad.py", "from harness.score.stats import x", "models/a/bad.py:1: models may not import harness"),
        ("winnow.py", "import harness.cli.main", "winnow.py:1: winnow.py may not import harness"),
        ("run.py", "import models", "run.py:1: run.py may not import models"),
        ("reducers/bad.py", "def f(", "reducers/bad.py:1: '(' was never closed"),
    ],
)
def test_leftward_or_heavy_import_is_found(tmp_path: Path, file: str, source: str, offence: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert check_layers.check(tmp_path) == [offence]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("reducers/good.py", "import math\nimport torch.nn.functional as F\nfrom reducers.base import Reducer"),
        ("models/good.py", "import numpy, PIL.Image, safetensors\nfrom reducers import base"),
        ("harness/good.py", "import pandas, hydra\nfrom models import load"),
    ],
)
def test_allowed_imports_pass(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert check_layers.check(tmp_path) == []
