"""Pages that are made from the code say what the code says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from winnow.models.families import SINCE, missing

ROOT = Path(__file__).parents[1]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(any(map(missing, SINCE)), reason="it lists families that this version of transformers lacks")
def test_the_support_matrix_is_current() -> None:
    made = script("support_matrix").page()
    assert (ROOT / "docs" / "support.md").read_text() == made, "run: python scripts/support_matrix.py"


def test_the_page_of_methods_is_current() -> None:
    made = script("methods_page").page()
    assert (ROOT / "docs" / "methods.md").read_text() == made, "run: python scripts/methods_page.py"


def test_every_method_file_has_its_yaml_and_stands_in_the_matrix() -> None:
    listed = set(script("support_matrix").methods())
    assert {"none", "random", "fastv", "vas", "aim", "prumerge", "pdrop", "vtw", "vcc", "tome"} <= listed
    assert all((ROOT / "reducers" / f"{name}.py").exists() for name in listed)
