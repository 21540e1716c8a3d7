"""One Slurm for all tests of the session; without it they are skipped, and say so."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cluster import Cluster, missing


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    absent = missing()
    if absent:
        pytest.skip(
            f"Slurm is not installed here (no {', '.join(absent)}): apt install slurmctld slurmd slurm-client munge"
        )
    if os.geteuid() != 0:
        pytest.skip("a private Slurm needs root to start its daemons")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the pico benchmark."""
    folder = tmp_path_factory.mktemp("winnow-cache")
    from winnow.harness.tasks.pico.data import ensure

    ensure(folder)
    return folder
