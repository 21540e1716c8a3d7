"""What ``winnow plot`` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from winnow.harness.common.find_run import meant
from winnow.harness.common.run_files import CONFIG
from winnow.harness.common.yaml_text import load as load_yaml
from winnow.harness.results.plots.layers import draw_layers, draw_schedules
from winnow.harness.results.plots.style import Width, check
from winnow.harness.results.plots.tradeoff import draw
from winnow.harness.results.tables.measured import method_key, times
from winnow.harness.run.result import Result
from winnow.reducers.core.errors import WinnowError


def plot(
    results: Sequence[Result],
    folder: Path,
    out: Path,
    runs: Sequence[str],
    task: str | None,
    model: str | None,
    what: str,
    width: Width,
) -> None:
    """Draw some runs, or all."""
    chosen = [result for result in results if not runs or result["id"].startswith(tuple(runs))]
    for name in runs:
        if not any(result["id"].startswith(name) for result in chosen):
            near = meant(name, [result["id"] for result in results])
            raise WinnowError(f"{name} is no run in {folder}: {near}`winnow tables` lists them")
    if what == "layers":
        return draw_layers(chosen, folder, out, model, width)
    if what == "ttft":
        for result in chosen:
            result["ttft"] = _measured(result, folder / result["id"] / CONFIG)
    return draw(chosen, out, task, model, what, width)  # type: ignore[arg-type]


def _measured(result: Result, config: Path) -> float | None:
    """What `winnow bench` measured of a run's model and method; None for an imported run."""
    if not config.exists():
        return None
    inputs = load_yaml(config.read_text(encoding="utf-8"))["inputs"]
    time = times().get((result["model"], method_key(inputs["answers"]["method"])))
    return time.ms if time else None


def schedules(overrides: Sequence[str], out: Path, model: str | None, width: Width) -> None:
    """Draw what methods are planned to keep in each layer; overrides as ``run.py -m`` takes them, or of a table."""
    from winnow.harness.config.expand import expand
    from winnow.harness.sweep.cells import cells_of

    check(out)
    wrong = next((word for word in overrides if "=" not in word), None)
    if wrong or not overrides:
        but = f", not {wrong}" if wrong else ""
        raise WinnowError(f"--x schedules draws plans, not runs: say reducer=fastv,aim ratio=0.25{but}")
    draw_schedules(cells_of(expand(overrides)), out, model, width)
