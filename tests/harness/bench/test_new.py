"""What `winnow new` writes works as it is, as the package of somebody else."""

import importlib
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from winnow.harness.bench.new import new
from winnow.models.check import suite as check
from winnow.models.check.invariants import INVARIANTS
from winnow.models.check.outcomes import outcome
from winnow.models.families import FAMILIES
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.registry import named
from winnow.reducers.core.schedule import K

NAME = "nearest_norm"


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    new(NAME, tmp_path)
    root = tmp_path / NAME
    for folder in (root, root / "tests"):
        monkeypatch.syspath_prepend(folder)
    yield importlib.import_module(f"test_{NAME}")
    for name in [name for name in sys.modules if name.partition(".")[0] in (NAME, f"test_{NAME}")]:
        del sys.modules[name]


def test_the_package(suite: Any, tmp_path: Path) -> None:
    root = tmp_path / NAME
    told = tomllib.loads((root / "pyproject.toml").read_text())
    assert told["project"]["entry-points"]["winnow.reducers"] == {NAME: NAME}
    entry = yaml.safe_load((root / NAME / "reducer" / f"{NAME}.yaml").read_text())
    fields = {key for key in entry if not key.startswith("_") and key != "defaults"}
    method = named(entry["_target_"], {"ratio": 0.5})
    assert fields == set(vars(method)) - {"ratio", "schedule"} and method.name == NAME
    for seed in range(100):
        suite.test_it_is_its_formula(seed)


@pytest.mark.parametrize("family", ["llava", *(pytest.param(name, marks=pytest.mark.full) for name in FAMILIES)])
def test_its_suite_holds_it_to_every_invariant(suite: Any, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tests, held = suite.TestNearestNorm(), []
    monkeypatch.setattr(check, "outcome", lambda invariant, case: held.append(invariant) or outcome(invariant, case))
    for reducer in (suite.NearestNorm(ratio=0.25), suite.NearestNorm(ratio=0.5, schedule=K(2))):
        tests.test_it_does_something(reducer)
        tests.test_invariants(reducer, family)
    assert held == 2 * [*INVARIANTS]


def test_a_method_that_breaks_an_invariant_fails_its_suite(suite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cls: type[Reducer] = suite.NearestNorm
    tests = suite.TestNearestNorm()
    tests.batches = ("image",)
    monkeypatch.setattr(cls, "count", lambda self, site, grid, present: 3)
    with pytest.raises(AssertionError, match="keep_everything: keeping everything changes logits"):
        tests.test_invariants(cls(), "llava")
    monkeypatch.setattr(cls, "count", lambda self, site, grid, present: present)
    with pytest.raises(AssertionError, match="drops nothing"):
        tests.test_it_does_something(cls())


def test_the_fixture_has_to_be_overridden() -> None:
    from winnow.testing import MethodTests

    assert {name for name in vars(MethodTests) if name.startswith("test_")} == {
        "test_invariants",
        "test_it_does_something",
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My-Method", "'My-Method' cannot name a method: choose lower-case letters"),
        ("class", "'class' cannot name a method"),
        ("fastv", "'fastv' is a method of Winnow's own"),
    ],
)
def test_names(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(WinnowError, match=message):
        new(name, tmp_path)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    new("one", tmp_path)
    with pytest.raises(WinnowError, match=r"one exists: choose another name, or another folder with --into"):
        new("one", tmp_path)
