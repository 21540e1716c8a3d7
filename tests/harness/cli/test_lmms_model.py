"""Winnow inside lmms-eval: the same answers as `run.py`, and a response cache that never mixes methods."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from runs import FASTV, Run, counted, only, samples_of

ROOT = Path(__file__).resolve().parents[3]
ARGS = "model=pico,reducer=fastv,ratio=0.25,schedule=pico_k,schedule.k=5"


@pytest.fixture
def task(benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a task file for pico's videos, as somebody who lives in lmms-eval would write it."""
    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))
    from winnow.harness.tasks.pico.data import override

    folder = tmp_path / "mine"
    folder.mkdir()
    pico = ROOT / "harness/tasks/pico/pico_video.yaml"
    rows = override("pico_video")["dataset_kwargs"]["data_files"]["test"]
    (folder / "mine.yaml").write_text(
        f"include: {pico}\ntask: mine\ndataset_kwargs:\n  data_files:\n    test: {rows}\n"
    )
    return folder


def evaluate(folder: Path, **more: Any) -> dict[str, Any]:
    from lmms_eval.evaluator import simple_evaluate

    from winnow.harness.tasks.lmms_eval import prepare, quiet, task_manager

    prepare()
    with quiet():
        found: dict[str, Any] = simple_evaluate(
            tasks=["mine"], task_manager=task_manager([folder]), limit=8, batch_size=4, log_samples=True, **more
        )
    return found


def said(found: dict[str, Any]) -> list[str]:
    return [sample["filtered_resps"][0] for sample in sorted(found["samples"]["mine"], key=lambda s: s["doc_id"])]


@pytest.fixture
def registered() -> None:
    from winnow.harness.tasks.lmms_eval import prepare

    prepare()
    from lmms_eval.models import MODEL_REGISTRY_V2

    from winnow.harness.cli.lmms_model import manifests

    MODEL_REGISTRY_V2.register_manifest(manifests(), overwrite=True)


@pytest.mark.usefixtures("registered")
def test_answers_are_those_of_a_run(task: Path, run: Run, results: Path) -> None:
    assert run(*FASTV).code == 0
    ours = [sample["answer"] for sample in samples_of(only(results))]
    assert said(evaluate(task, model="winnow", model_args=ARGS)) == ours


@pytest.mark.usefixtures("registered")
def test_response_cache_never_mixes_methods(task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from winnow.harness.cli import lmms_model

    asked = counted(monkeypatch, lmms_model, "answer")
    cache = {"use_cache": str(tmp_path / "cache")}
    whole = said(evaluate(task, model="winnow", model_args="model=pico,reducer=none", **cache))
    assert len(asked) == 2
    blind = said(evaluate(task, model="winnow", model_args="model=pico,reducer=blind", **cache))
    assert len(asked) == 4 and blind != whole
    assert said(evaluate(task, model="winnow", model_args="model=pico,reducer=none", **cache)) == whole
    assert len(asked) == 4
    models = [lmms_model.Winnow(batch_size=4, model="pico", reducer=name) for name in ("none", "blind")]
    assert [said(evaluate(task, model=model, **cache)) for model in models] == [whole, blind]
    assert len({repr(model) for model in models}) == 2 and len(asked) == 8


def test_refusals() -> None:
    from winnow.harness.tasks.lmms_eval import prepare
    from winnow.reducers.core.errors import WinnowError

    prepare()
    from winnow.harness.cli.lmms_model import Winnow

    with pytest.raises(WinnowError, match="unknown reducer 'nope'"):
        Winnow(reducer="nope")
    model = Winnow(model="pico")
    model.clean()
    for method in (model.loglikelihood, model.generate_until_multi_round):
        with pytest.raises(WinnowError, match="cannot be run: choose one"):
            method([])


@pytest.mark.full
def test_command_line(task: Path, tmp_path: Path) -> None:
    """Lmms-eval's own command finds the model by the entry point that the package declares."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["lmms_eval.models"]
    made = tmp_path / "site" / "made-0.dist-info"
    made.mkdir(parents=True)
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: made\nVersion: 0\n")
    lines = "".join(f"{name} = {target}\n" for name, target in declared.items())
    (made / "entry_points.txt").write_text(f"[lmms_eval.models]\n{lines}")
    words = ["--model", "winnow", "--model_args", ARGS, "--tasks", "mine", "--include_path", str(task), "--limit", "8"]
    done = subprocess.run(
        [sys.executable, "-m", "lmms_eval", *words, "--batch_size", "4", "--output_path", str(tmp_path / "out")],
        cwd=tmp_path, capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{made.parent}"},
    )  # fmt: skip
    (path,) = (tmp_path / "out").rglob("*results.json")
    assert json.loads(path.read_text())["results"]["mine"]["pico_accuracy,none"] > 0, done.stdout
