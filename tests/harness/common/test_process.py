"""A process that answers documents sets what libraries read, and leaves what the user has set."""

import os
import subprocess
import sys

import pytest

from winnow.harness.common.process import SETTINGS, settle


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("ARROW_DEFAULT_MEMORY_POOL", raising=False)
    settle()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert os.environ["ARROW_DEFAULT_MEMORY_POOL"] == "system"


def test_a_run_comes_before_what_reads_them() -> None:
    """Arrow looks once, when it is imported."""
    program = "import sys, winnow.harness.cli.run, winnow.harness.sweep.work; print('pyarrow' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
