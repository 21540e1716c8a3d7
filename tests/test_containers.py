"""The container definitions build from the wheel that `make wheel` makes, with what the pages say of them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCKER, APPTAINER = (ROOT / "containers" / name for name in ("Dockerfile", "winnow.def"))
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")


def shell_of(path: Path) -> str:
    """What a definition runs while it is built."""
    text = path.read_text()
    if path == DOCKER:
        (run, _) = re.findall(r"^RUN ((?:.*\\\n)*.*)$", text, re.MULTILINE)
        return str(run)
    return text.partition("%post\n")[2].partition("\n%")[0]


@pytest.mark.skipif(HADOLINT is None, reason="no hadolint here")
def test_the_dockerfile_lints() -> None:
    done = subprocess.run([str(HADOLINT), "--no-color", DOCKER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [DOCKER, APPTAINER], ids=lambda path: path.name)
def test_a_build_installs_the_wheel_with_the_pinned_versions(path: Path, tmp_path: Path) -> None:
    """The shell of the definition itself, with programs that note what they are given."""
    place, said = tmp_path / "winnow", tmp_path / "said"
    (place / "dist").mkdir(parents=True)
    for folder in (place, place / "dist"):
        (folder / "winnow_vlm-0.1.0-py3-none-any.whl").touch()
    (tmp_path / "bin").mkdir()
    for name in ("pip", "useradd", "chown", "mkdir"):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {said}\n')
        (tmp_path / "bin" / name).chmod(0o755)
    shell = shell_of(path).replace("/tmp/winnow", str(place)).replace("/opt/winnow", str(place))
    subprocess.run(["sh", "-euc", shell], env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}, check=True)
    first = said.read_text().splitlines()[0]
    assert re.fullmatch(
        r"pip install --no-cache-dir --constraint \S+/constraints.txt \S+-py3-none-any.whl\[slurm\]", first
    )
    assert not place.exists()


def test_what_a_build_copies_is_let_through() -> None:
    copied = re.findall(r"^COPY (.*) \S+$", DOCKER.read_text(), re.MULTILINE)[0].split()
    assert {f"!{name}" for name in copied} == set((ROOT / ".dockerignore").read_text().split()) - {"*"}
    assert (ROOT / "constraints.txt").exists() and "'dist'" in (ROOT / "Makefile").read_text()


def test_apptainer_has_its_sections() -> None:
    text = APPTAINER.read_text()
    assert {"%files", "%post", "%environment", "%runscript", "%test", "%help"} == set(
        re.findall(r"^%\w+", text, re.MULTILINE)
    )
    (base,) = re.findall("^From: (.*)$", text, re.MULTILINE)
    assert text.splitlines()[4] == "Bootstrap: docker" and f"FROM {base}\n" in DOCKER.read_text()
