"""Where faults are made: copies of the tree, in a folder named after its content."""

from __future__ import annotations

import compileall
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "mutants"
RUN = {"configs", "harness", "models", "reducers", "results", "tests", "winnow", "pyproject.toml"}
"""What tests run; a change elsewhere leaves results as they are."""


@dataclass(frozen=True)
class Shop:
    """The folder of one content of the tree, for some rooms and tests, and that of what tests were seen to run."""

    folder: Path
    measured: Path
    rooms: Sequence[str]
    tests: Sequence[str]

    def tree(self, worker: int) -> Path:
        """A worker's own copy."""
        return self.folder / f"tree-{worker}"

    def modules(self) -> list[Path]:
        """The modules of the rooms, as paths in any copy."""
        tree = self.tree(0)
        return [path.relative_to(tree) for room in self.rooms for path in sorted((tree / room).rglob("*.py"))]

    def test_files(self) -> list[Path]:
        """The files of tests, the largest first, so that workers end at about the same time."""
        tree = self.tree(0)
        named = [tree / name.partition("::")[0] for name in self.tests or ["tests"]]
        found = {path for top in named for path in ([top] if top.is_file() else top.rglob("test_*.py"))}
        return [path.relative_to(tree) for path in sorted(found, key=lambda path: (-path.stat().st_size, path))]

    def kept(self, tests: Path) -> Path:
        """Where it is kept what a file of tests ran, until it, or anything that is no file of tests, is another."""
        content = hashlib.sha256((self.tree(0) / tests).read_bytes()).hexdigest()[:12]
        return self.measured / f"{'-'.join(tests.with_suffix('').parts)}-{content}.json"


def opened(rooms: Sequence[str], tests: Sequence[str], workers: int) -> Shop:
    """Open the shop of today's tree, with a fresh copy for each worker."""
    files = _tracked()
    others = [path for path in files if not path.match("test_*.py")]
    measured = BUILD / "measured" / _digest(others, rooms)
    shop = Shop(BUILD / _digest(files, [*rooms, *tests]), measured, rooms, tests)
    for worker in range(workers):
        _copy(files, shop.tree(worker))
    return shop


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).exists()]


def _digest(files: Sequence[Path], words: Sequence[str]) -> str:
    found = hashlib.sha256(repr(words).encode())
    for path in files:
        if path.parts[0] in RUN and (ROOT / path).is_file():
            found.update(str(path).encode() + (ROOT / path).read_bytes())
    return found.hexdigest()[:12]


def _copy(files: Sequence[Path], tree: Path) -> None:
    """Copy the tree anew, since a process that was killed may have left a fault in it, and compile it.

    Compiled code that is held to the content of its source, not to its time, can never stand for a fault.
    """
    shutil.rmtree(tree, ignore_errors=True)
    for path in files:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, tree / path, follow_symlinks=False)
    compileall.compile_dir(tree, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
