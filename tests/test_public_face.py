"""``import winnow`` is quick and offers every method, by its class and by its name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import winnow
from winnow import configs
from winnow.harness.config.compose_parts import OTHERS
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.registry import METHODS, build, named
from winnow.reducers.core.schedule import K

TARGETS = {
    path.stem: target
    for path in sorted((configs.FOLDER / "reducer").glob("*.yaml"))
    if (target := yaml.safe_load(path.read_text()).get("_target_")) and path.stem not in OTHERS
}


def test_every_method_with_a_yaml_is_offered() -> None:
    for name, target in TARGETS.items():
        module, _, cls = target.partition(":")
        assert getattr(winnow, cls).__module__ == module and cls in winnow.__all__
        assert METHODS[name] == cls
    assert set(METHODS) - set(TARGETS) == {"compose"}  # whose two parts stand in its YAML instead


def test_every_name_is_one_and_known_to_type_checkers() -> None:
    source = Path(winnow.__file__).read_text()
    told = set(re.findall(r"import (\w+) as \1\n", source))
    assert told == set(winnow.__all__)
    assert all(getattr(winnow, name) is not None for name in winnow.__all__)


def test_import_is_quick_and_without_torch() -> None:
    """Under 0.3 s of its own; the best of three, since tests share the machine."""
    seconds = []
    for _ in range(3):
        command = [sys.executable, "-X", "importtime", "-c", "import winnow"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
        times = {line.rpartition("|")[2].strip(): line.split("|") for line in lines if line.startswith("import time:")}
        assert "winnow" in times and not set(times) & {"torch", "numpy", "transformers", "yaml"}
        seconds.append(int(times["winnow"][1]) / 1e6)
    assert min(seconds) < 0.3


def test_a_name_and_parameters_make_the_method() -> None:
    assert named("fastv", {"ratio": 0.25, "schedule": K(3)}) == winnow.FastV(ratio=0.25, schedule=K(3))
    assert named("winnow.reducers.vtw:VTW", {}) == winnow.VTW()


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("fastvv", {}, r"unknown method 'fastvv': did you mean fastv\? choose aim, "),
        ("zzz", {}, r"unknown method 'zzz': choose aim, "),
        ("fastv", {"ratoi": 0.5}, r"has no parameter 'ratoi': did you mean ratio\? choose R, "),
        ("fastv", {"ratio": "half"}, "fastv: ratio=half is not allowed: choose a value of type float"),
        ("fastv", {"rows": "first"}, r"fastv: rows=first is not allowed: choose last \| text \| all"),
        ("fastv", {"schedule": 2}, "fastv: schedule=2 is not allowed: choose a value of type K"),
        ("fastv", {"ratio": 2.0}, "ratio=2.0 is not allowed: choose a share"),
        ("compose", {}, "needs its parameter 'entrance'"),
        ("nowhere.to:Be", {}, "cannot be imported"),
    ],
)
def test_mistakes_are_one_line(name: str, values: dict[str, object], message: str) -> None:
    with pytest.raises(WinnowError, match=message) as caught:
        named(name, values)
    assert "\n" not in str(caught.value)


def test_building_names_a_missing_parameter() -> None:
    with pytest.raises(WinnowError, match=r"needs its parameter 'llm': say reducer\.llm=…"):
        build("winnow.reducers.compose:Compose", {"entrance": winnow.Blind()})
