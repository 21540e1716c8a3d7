"""How a method is called in tables: its name and whatever of its settings is not the default."""

from __future__ import annotations

from typing import Any

from winnow.harness.common.result import OWN
from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.choices import listed


def label(cell: Cell) -> str:
    """Name a cell's method, e.g. ``fastv rows=all`` or ``aim_merge 0.25 + aim_prune``."""
    method = cell.method
    if method.name == "custom":
        words = [method.target.rpartition(":")[2], *_words(method.args, {})]
    elif method.parts:
        words = [" + ".join(_part(part) for part in method.parts)]
    else:
        words = [method.name, *_words(method.args, listed("reducer", method.name))]
    words += [OWN] if cell.model.own_pruning else []
    words += [f"downsample.{name}={by}" for name, by in vars(cell.downsample).items() if by > 1]
    words += [f"stress.{name}={value}" for name, value in cell.stress.words.items()]
    if method.seeded and cell.seed:
        words.append(f"seed={cell.seed}")
    return " ".join(words)


def _part(method: Method) -> str:
    ratio = [] if method.ratio is None else [f"{method.ratio:g}"]
    return " ".join([method.name, *ratio, *_words(method.args, listed("reducer", method.name))])


def _words(args: dict[str, Any], defaults: dict[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in args.items() if name not in defaults or defaults[name] != value]


def headline(
    cell: Cell,
    run: str,
    knobs: dict[str, Any],
    ratio: float | None,
    planned: float | None,
    kept: str = "",
    moved: str = "",
) -> str:
    """The first line of a run: who numbers prompts, the resolved native knobs, and what they are planned to keep."""
    words = [f"{name}={value}" for name, value in knobs.items() if name != "schedule" and value is not None]
    schedule = knobs.get("schedule")
    instead = f" in place of {moved}, where the model has no attention to read" if moved else ""
    at = [f"at {schedule}{instead}"] if schedule else []
    budget = [f"for {cell.asked} (planned {planned:.4g}, ratio {ratio:.4g})"] if planned is not None and ratio else []
    method = " ".join([cell.method.name, *words, *at, *budget])
    keeps = f" · keeps {kept}" if kept else ""
    told = {"positions": cell.model.positions, "own_pruning": cell.model.own_pruning}
    model = " ".join([cell.model.name, *(f"{name}={str(value).lower()}" for name, value in told.items() if value)])
    return f"{model} · {method} · {cell.tasks.name} · run {run}{keeps}"
