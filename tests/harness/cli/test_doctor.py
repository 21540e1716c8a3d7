"""`winnow doctor` looks at everything and names what is amiss."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from winnow.harness.cli.commands import doctor
from winnow.harness.cli.main import app


def test_everything_is_looked_at(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", "--results", str(tmp_path / "new" / "runs")])
    for what in ("python", "torch", "gpu", "results", "weights, data", "frames", "slurm"):
        assert what in done.stdout
    assert done.exit_code in (0, 1) and "Traceback" not in done.output


def test_what_is_amiss_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "access", lambda *args: False)
    found = {what: (well, text) for what, well, text in doctor.storage(tmp_path)}
    well, text = found["results"]
    assert not well and "cannot be written, say --results FOLDER" in text
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/sbatch" if name == "sbatch" else None)
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    assert ("slurm", False, "pip install 'winnow-vlm[slurm]'") in list(doctor.extras(tmp_path))
