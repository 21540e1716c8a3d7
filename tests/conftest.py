"""Settings that all tests share."""

import gc
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's library is imported; no test asks the network

import hypothesis
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from shard import ROOT, Record, Shard, versions

torch.set_num_threads(1)  # tiny models are faster on one thread, and the tests run side by side
hypothesis.settings.register_profile("busy", deadline=None)  # how long an example takes says how busy the machine is
hypothesis.settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shard", metavar="i/n", help="run one part of the tests, resume where it ended, record it")


def pytest_configure(config: pytest.Config) -> None:
    if shard := config.getoption("shard"):
        config.pluginmanager.register(Shard(config, shard, Record(ROOT / "build" / "full", versions())))


def pytest_collection() -> None:
    """Nothing that is imported or collected is garbage."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Families that the installed transformers lacks, and their models, are passed over."""
    from winnow.models.families import SINCE, missing

    for family in filter(missing, SINCE):
        files = (ROOT / "configs" / "model").glob("*.yaml")
        lacking = {family, *(path.stem for path in files if f"family: {family}\n" in path.read_text())}
        for item in items:
            values = getattr(item, "callspec", None)
            if values is not None and lacking & {x for x in values.params.values() if isinstance(x, str)}:
                item.add_marker(pytest.mark.skip(f"{family} needs transformers>={SINCE[family]}"))


def pytest_collection_finish() -> None:
    """Nor will it ever be: looking at it again and again was a fifth of the tests' time."""
    gc.freeze()
    gc.set_threshold(7000, 10, 10)  # ten times as seldom as usual
    gc.enable()


@pytest.fixture(scope="session")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder with the pico benchmark, shared by the workers of a parallel session."""
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "winnow-cache"
    before = os.environ.get("WINNOW_CACHE")
    from winnow.harness.tasks.pico.data import ensure

    ensure(cache)
    os.environ.pop("WINNOW_CACHE") if before is None else os.environ.update(WINNOW_CACHE=before)
    return cache
