"""`winnow doctor` looks at everything and names what is amiss."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from winnow.harness.cli.commands import doctor
from winnow.harness.cli.main import app


def test_everything_is_looked_at(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", "--results", str(tmp_path / "new" / "runs")])
    for what in ("python", "torch", "gpu", "results", "hub cache", "frames", "slurm"):
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


def test_named_weights_and_data_are_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: None)
    found = {what: (well, text) for what, well, text in doctor.asked(["model=llava_ov,pico", "tasks=pope,pico"])}
    well, text = found["model=llava_ov"]
    assert not well and "is not in the hub's cache: hf download llava-hf/" in text
    well, text = found["pope"]
    assert not well and text.startswith("no questions (") and text.endswith("winnow data fetch pope")
    assert found["model=pico"][0] and found["model=pico"][1].startswith("there (")
    assert found["pico_video"] == (True, "makes its documents itself, or is your own: nothing to look for")


def test_half_a_download_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "a.safetensors").write_text("")
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}'
    )
    ((_, well, text), *_) = doctor.asked([f"model.repo={tmp_path}"])
    assert not well and "lacks 1 of 2 files of weights, b.safetensors first" in text
