"""What is installed is complete, pinned, and starts at once."""

import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("configs", "harness", "models", "reducers")
COMMANDS = {"run.py": ["run.py", "--help"], "winnow": [str(Path(sys.executable).with_name("winnow")), "--help"]}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy so that no build folder is left in the repository."""
    copy = tmp_path_factory.mktemp("source")
    for folder in ("winnow", *PACKAGES, "results/published"):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy / file)
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    return zipfile.ZipFile(next((copy / "dist").glob("*.whl")))


def shipped(*patterns: str) -> set[str]:
    """Files of the source tree that a wheel must hold, where they lie in it."""
    files = [file.relative_to(ROOT) for pattern in patterns for file in ROOT.glob(pattern)]
    return {f"winnow/{file.name if file.parts[0] in ('results', 'winnow') else file}" for file in files}


@pytest.mark.parametrize(
    ("what", "patterns"),
    [
        ("modules", [f"{package}/**/*.py" for package in PACKAGES]),
        ("configs", ["configs/**/*.yaml", "harness/results/paper/*.yaml"]),
        ("weights", ["models/pico/weights/*.safetensors", "models/pico/weights/*.json"]),
        ("tasks", ["harness/tasks/**/*.yaml"]),
        ("type mark", ["winnow/py.typed"]),
        ("report", ["harness/results/report/*.j2"]),
    ],
)
def test_wheel_is_complete(wheel: zipfile.ZipFile, what: str, patterns: list[str]) -> None:
    expected = shipped(*patterns)
    assert expected, f"the source tree holds no {what}"
    assert expected <= set(wheel.namelist())


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" not in name}
    assert tops == {"winnow"}
    inside = {name.split("/")[1] for name in wheel.namelist() if name.startswith("winnow/")}
    assert inside == {*PACKAGES, "published", "__init__.py", "py.typed"}


def test_console_script_points_at_the_cli(wheel: zipfile.ZipFile) -> None:
    entry = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "winnow = winnow.harness.cli.main:main" in wheel.read(entry).decode()


def test_printed_numbers_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    names = {Path(name).name for name in wheel.namelist() if name.startswith("winnow/published/")}
    assert names == {file.name for file in (ROOT / "results" / "published").glob("*.csv")}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_starts_at_once(name: str) -> None:
    """Under 2 s on an idle machine; the best of three, since tests share the machine."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, *COMMANDS[name]], cwd=ROOT, capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - start)
    assert "python run.py" in done.stdout
    assert min(seconds) < 2


@pytest.mark.parametrize("name", COMMANDS)
def test_help_imports_nothing_heavy(name: str) -> None:
    command = [sys.executable, "-X", "importtime", *COMMANDS[name]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "winnow.harness" in imported
    assert not imported & {"torch", "transformers", "lmms_eval", "pandas", "scipy", "matplotlib"}


def test_pins_are_exact_and_meet_the_declared_ranges() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()[1:]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.+!]+", line)] == []
    pins = dict(line.split("==") for line in lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = map(Requirement, project["dependencies"] + project["optional-dependencies"]["dev"])
    unmet = [str(need) for need in declared if need.name not in pins or pins[need.name] not in need.specifier]
    assert unmet == []


def test_setup_without_python_says_so_in_one_line(tmp_path: Path) -> None:
    for tool in ("bash", "dirname"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    command = [ROOT / "scripts" / "setup_env.sh", tmp_path / "env"]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"setup: no Python 3\.11 found .* say PYTHON=/path/to/python3\.11\n", done.stderr)
