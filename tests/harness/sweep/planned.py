"""Sweeps of cells that are never run, with runs on disk as they are left by those that are."""

from pathlib import Path

from winnow.harness.common import files
from winnow.harness.common.finished import seal
from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import BudgetConfig, ModelConfig, NominalConfig, TasksConfig
from winnow.harness.run.journal import signed
from winnow.harness.run.store import mark_failed
from winnow.harness.sweep.manifest import Manifest, SweepCell


def sweep(root: Path, *ids: str, seconds: float | None = None, documents: int | None = None) -> Manifest:
    """A manifest of one group of such cells."""
    model = ModelConfig(name="m", family="f", repo="r", frames=8, has_cls=False, nominal=NominalConfig(8, 25, 20))
    cell = Cell(model, Method("fastv", "x:Y", {}), TasksConfig("t", ["t"]), BudgetConfig(), root / "runs")
    group = [SweepCell(name, f"label {name}", seconds, documents, cell) for name in ids]
    return Manifest(root / "plan" / "manifest.json", root / "runs", [group])


def finish(manifest: Manifest, run: str) -> Path:
    folder = manifest.results / run
    files.write_json(folder / "result.json", {"id": run})
    seal(folder, "", "")
    return folder


def fail(manifest: Manifest, run: str, why: str = "broken") -> Path:
    folder = manifest.results / run
    folder.mkdir(parents=True, exist_ok=True)
    mark_failed(folder, why)
    return folder


def answer(manifest: Manifest, run: str, rows: int) -> Path:
    folder = manifest.results / run
    files.write_text(folder / "journal" / "00001-x.jsonl", (signed(b"row").decode() + "\n") * rows)
    return folder
