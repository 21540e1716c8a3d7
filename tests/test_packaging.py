"""What is installed is complete, pinned, and starts at once."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from winnow.harness.config.overrides import cell_from
from winnow.harness.plan.identity import identify

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("configs", "harness", "models", "reducers")
Elsewhere = Callable[..., str]
HELP = {"run.py": ["run.py", "--help"], "winnow": [str(Path(sys.executable).with_name("winnow")), "--help"]}


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
        ("report", ["harness/results/report/page.*", "harness/results/report/vendor/*"]),
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
    assert inside == {*PACKAGES, "published", "__init__.py", "py.typed", "testing.py"}


def test_console_script_points_at_the_cli(wheel: zipfile.ZipFile) -> None:
    entry = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "winnow = winnow.harness.cli.main:main" in wheel.read(entry).decode()


def test_printed_numbers_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    names = {Path(name).name for name in wheel.namelist() if name.startswith("winnow/published/")}
    assert names == {file.name for file in (ROOT / "results" / "published").glob("*.csv")}


@pytest.fixture(scope="module")
def elsewhere(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """A folder with packages of its own that have the names of ours, and the wheel installed; no checkout in sight."""
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("users")
    wheel.extractall(site)
    for name in PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('the wrong package was imported')\n")

    def go(*words: object) -> str:
        command = [sys.executable, *map(str, words)]
        environment = os.environ | {"PYTHONPATH": str(site)}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return go


SCRIPT = """
import sys
lacking = "hydra omegaconf lmms_eval datasets pandas pyarrow scipy statsmodels av decord typer rich"
sys.modules |= dict.fromkeys(lacking.split())
import torch, winnow
from transformers import AutoModelForImageTextToText, AutoProcessor
from pathlib import Path
from PIL import Image

weights = Path(winnow.__file__).parent / "models/pico/weights"
model, processor = AutoModelForImageTextToText.from_pretrained(weights), AutoProcessor.from_pretrained(weights)
inputs = processor(text="<image> what color", images=[Image.new("RGB", (60, 60))], return_tensors="pt")
with winnow.attach(model, winnow.FastV(ratio=0.25)) as trace:
    model.generate(**inputs, max_new_tokens=1)
print(winnow.__file__, trace.prompts[0].visual_per_layer)
"""


def test_a_script_beside_packages_of_the_same_names(elsewhere: Elsewhere) -> None:
    """On a bare machine: torch and transformers with what they bring, and nothing that only the harness needs."""
    said = elsewhere("-c", SCRIPT)
    assert "[25, 25, 6, 6, 6, 6, 6, 6]" in said and str(ROOT) not in said


END = "-- end of a command --"
COMMANDS = f"""
import json, sys
from winnow.harness.cli.main import app

for words in map(json.loads, sys.argv[1:]):
    app(words, standalone_mode=False)
    print("{END}")
"""
"""Several commands in one process, whose imports take seconds."""


def test_commands_need_no_checkout(elsewhere: Elsewhere, benchmark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`winnow eval` makes the run of the checkout; presets, printed numbers and hardware tables are there."""
    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))
    words = ("reducer=fastv", "ratio=0.25", "schedule=pico_k", "schedule.k=2", "limit=2", "results=wheel")
    asked = {
        f"run {identify(cell_from(words)).run}": ("eval", *words),
        "VideoMME": ("tables", "aim_poster_video", "--format", "md"),
        "misprint": ("cost", "--published", "--format", "md"),
        "TFLOP": ("cost", "model=llava_ov", "reducer=aim", "hardware=h200", "--format", "md"),
    }
    said = elsewhere("-c", COMMANDS, *map(json.dumps, asked.values())).split(END)
    for expected, text in zip(asked, said[:-1], strict=True):
        assert expected in text


@pytest.mark.full
def test_lmms_evals_own_command_finds_the_model(elsewhere: Elsewhere) -> None:
    """By the entry point of the installed package."""
    find = "import lmms_eval.models as m; print(m.get_model('winnow', force_simple=True))"
    assert "winnow.harness.cli.lmms_model.Winnow" in elsewhere("-c", find)


def test_another_projects_winnow_is_refused_in_one_line(tmp_path: Path) -> None:
    """Installed into the same folder it replaces our face, while the packages behind it stay."""
    theirs = tmp_path / "winnow"
    theirs.mkdir()
    (theirs / "__init__.py").write_text("")
    for package in PACKAGES:
        (theirs / package).symlink_to(ROOT / package)
    done = subprocess.run(
        [sys.executable, "-m", "winnow.harness.cli.main", "--version"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert re.fullmatch(r"error: .*another project's package: pip uninstall winnow, .* winnow-vlm\n", done.stderr)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_imported_under_two_names(package: str) -> None:
    """From the checkout's folder `import models` would find our files a second time."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {package}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and f"say winnow.{package}" in done.stderr


@pytest.mark.parametrize("name", HELP)
def test_help_starts_at_once(name: str) -> None:
    """Under 1.5 s on an idle machine; here by the processor's time, as tests share the machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *HELP[name]], cwd=ROOT, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "python run.py" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


@pytest.mark.parametrize("name", HELP)
def test_help_imports_nothing_heavy(name: str) -> None:
    command = [sys.executable, "-X", "importtime", *HELP[name]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "winnow.harness" in imported
    assert not imported & {"torch", "transformers", "lmms_eval", "pandas", "scipy", "matplotlib"}


def test_pins_are_exact_and_meet_the_declared_ranges() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()[1:]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.+!]+", line)] == []
    pins = dict(line.split("==") for line in lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [need for needs in project["optional-dependencies"].values() for need in needs]
    declared = [need for need in map(Requirement, project["dependencies"] + extras) if need.name != project["name"]]
    unmet = [str(need) for need in declared if need.name not in pins or pins[need.name] not in need.specifier]
    assert unmet == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "no Python 3.11 to 3.13 found; install one or say PYTHON=/path/to/python"),
        ({"PYTHON": "python3.99"}, "PYTHON=python3.99 is no Python 3.11 to 3.13 that runs"),
    ],
)
def test_setup_without_python_says_so_in_one_line(tmp_path: Path, asked: dict[str, str], said: str) -> None:
    """What is asked for by name is never replaced by another that happens to be there."""
    for tool in ("bash", "dirname", *(["python3.11"] if asked else [])):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    command = [ROOT / "scripts" / "setup_env.sh", tmp_path / "env"]
    done = subprocess.run(command, env={"PATH": str(tmp_path), **asked}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"setup: {said}\n"
