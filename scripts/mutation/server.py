"""A process that has imported what is heavy, and forks a pytest for each line of JSON that it reads.

Importing torch, transformers and lmms-eval takes longer than most tests. Nothing of Winnow is imported here, so that
each fork imports it as it then stands. A fork has a process group of its own, and an end: seconds of the CPU, seconds
of the clock, and memory.
"""

import contextlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

HEAVY = """
    torch torchvision transformers transformers.models.auto.modeling_auto transformers.models.qwen2.modeling_qwen2
    transformers.generation.utils accelerate safetensors.torch tokenizers huggingface_hub
    numpy.testing pandas pyarrow.parquet scipy.stats sklearn.metrics statsmodels.api patsy formulaic datasets
    av cv2 decord PIL.Image altair matplotlib.pyplot
    hydra hydra.core.override_parser.overrides_parser hypothesis.strategies rich.console typer yaml jinja2 loguru
    aiohttp chardet evaluate httpx Levenshtein nltk openpyxl requests sacrebleu
"""
"""What tests import that takes long. Not lmms-eval itself, which imports Winnow, but what that imports."""
MEMORY = 8 << 30
"""Bytes of data that a process may hold: a fault may ask for any number."""
DATA = ("pico/*/*", "fixtures/*")
"""What tests write into their cache and never change: videos, pictures and rows of benchmarks."""


class Watch:
    """What pytest did: seconds of each test, those that failed, and files that could not be imported."""

    def __init__(self, chosen: list[str]) -> None:
        self.chosen = {test: place for place, test in enumerate(chosen)}
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self.broken: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the chosen tests in their order; names that a fault has changed are not run."""
        if self.chosen:
            kept = sorted((one for one in items if one.nodeid in self.chosen), key=lambda one: self.chosen[one.nodeid])
            config.hook.pytest_deselected(items=[one for one in items if one.nodeid not in self.chosen])
            items[:] = kept

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that cannot be imported."""
        if report.failed:
            self.broken.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration
        if report.failed:
            self.failed.append(report.nodeid)


def main() -> None:
    """Import, then answer until there is no further line."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.environ["HF_HUB_OFFLINE"] = "1"  # as in the tests, which set it before these imports
    for name in HEAVY.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert not any(name.partition(".")[0] == "winnow" for name in sys.modules)
    with tempfile.TemporaryDirectory(prefix="winnow-mutants-") as folder:
        for line in sys.stdin:
            answers.write(json.dumps(_answer(json.loads(line), Path(folder))) + "\n")
            answers.flush()


def _answer(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    said, seen = folder / "said", folder / "seen"
    for path in (said, seen):
        path.unlink(missing_ok=True)
    cache, data = folder / "winnow-cache", request["data"] and Path(request["data"])
    shutil.rmtree(cache, ignore_errors=True)
    if data:
        _lend(data, cache)
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _run(request, folder, said, seen)
    code = _wait(child, started + request["limit"])
    if data and request["keep"] and code == 0:
        _lend(cache, data)
    return {
        "code": code,
        "took": time.monotonic() - started,
        "output": said.read_text(errors="replace")[-4000:] if said.exists() else "",
        **(json.loads(seen.read_text()) if seen.exists() else {"seconds": {}, "failed": [], "broken": []}),
    }


def _run(request: dict[str, Any], folder: Path, said: Path, seen: Path) -> NoReturn:
    """Be the fork: pytest, and its exit code."""
    os.setsid()
    for target, path in ((0, Path(os.devnull)), (1, said), (2, said)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), target)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (request["cpu"], request["cpu"] + 5))
    os.environ.update(request["env"], PYTEST_XDIST_WORKER="gw0")  # then the cache lies beside a session's folder
    watch = Watch(request["chosen"])
    words = ["-q", "-p", "no:cacheprovider", "-n", "0", f"--basetemp={folder / 'tests'}", *request["words"]]
    code = 3
    try:
        code = int(pytest.main(words, plugins=[watch]))
        seen.write_text(json.dumps({key: getattr(watch, key) for key in ("seconds", "failed", "broken")}))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _lend(source: Path, target: Path) -> None:
    """Let a cache have the data of another, as links where that can be; each folder whole or not at all."""
    found = [path for pattern in DATA for path in source.glob(pattern) if not path.name.startswith(".")]
    for path in found:
        place = target / path.relative_to(source)
        if not place.exists():
            whole = place.with_name(f".{place.name}-{os.getpid()}")
            shutil.copytree(path, whole, copy_function=_link)
            with contextlib.suppress(OSError):  # another worker was first
                whole.rename(place)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _wait(child: int, until: float) -> int:
    """Return the exit code of a fork, minus its signal, or 124 behind its time; leave none of its kind alive.

    Nor does it outlive the one that asked.
    """
    code, asking = 124, os.getppid()
    try:
        while time.monotonic() < until and os.getppid() == asking:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                break
            time.sleep(0.02)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        if code == 124:
            os.waitpid(child, 0)
    return code


if __name__ == "__main__":
    main()
