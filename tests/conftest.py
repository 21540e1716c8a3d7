"""Settings that all tests share."""

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's library is imported; no test asks the network

import pytest
import torch

torch.set_num_threads(1)  # tiny models are faster on one thread, and the tests run side by side


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
