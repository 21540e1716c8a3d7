"""How long a cell should take, from past runs of the same model and the cost of its plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from winnow.harness.common import files
from winnow.harness.common.run_files import ENV, RESULT
from winnow.harness.config.cell import Cell
from winnow.harness.cost import physical
from winnow.harness.plan.build import Built
from winnow.harness.plan.nominal import nominal
from winnow.harness.run.result import read_result
from winnow.harness.sweep.state import number
from winnow.reducers.core.errors import WinnowError

ASSUMED = 20e12
"""FLOP per second where no past run tells; a guess, and said to be one."""
UNKNOWN = "unknown"
"""Where seconds come from that nothing tells."""


@dataclass(frozen=True)
class Past:
    """What past runs tell.

    Attributes
    ----------
    documents : dict
        By tasks and limit, how many documents there are.
    rates : dict
        By model, seconds per document and per FLOP of its prefill (physical): the median over the runs.
    seconds : dict
        By settings of a run, seconds per document of that very cell.
    """

    documents: dict[tuple[tuple[str, ...], int | None], int]
    rates: dict[str, float]
    seconds: dict[str, float]


def look_back(results: Path) -> Past:
    """Read what the finished runs of a folder took; runs that cannot be read tell nothing."""
    documents: dict[tuple[tuple[str, ...], int | None], int] = {}
    rates: dict[str, list[float]] = defaultdict(list)
    seconds: dict[str, float] = {}
    for path in results.glob(f"*/{RESULT}"):
        try:
            result, spent = read_result(path.parent), files.read_json(path.parent / ENV).get("answering")
        except (WinnowError, OSError):
            continue
        documents[tuple(task["task"] for task in result["tasks"]), result["limit"]] = result["documents"]
        if spent and spent["documents"] and result["cost"]:
            each = spent["seconds"] / spent["documents"]
            seconds[result["settings"]] = each
            if result["cost"]["profile"] == physical.NAME:
                rates[result["model"]].append(each / (result["cost"]["tflops"] * 1e12))
    return Past(documents, {name: median(found) for name, found in rates.items()}, seconds)


def estimate(cell: Cell, settings: str, built: Built, past: Past) -> tuple[float | None, int | None, str]:
    """Seconds and documents of a cell, as far as they are known, and where the seconds come from."""
    names = tuple(cell.tasks.tasks)
    count = past.documents.get((names, cell.limit))
    if count is None and cell.limit is not None:
        count = cell.limit * len(names)
    if count is None:
        return None, None, UNKNOWN
    if settings in past.seconds:
        return count * past.seconds[settings], count, "the same cell before"
    flops = planned_flops(cell, built)
    if cell.model.name in past.rates:
        return count * flops * past.rates[cell.model.name], count, "runs of the same model and the planned FLOPs"
    return count * flops / ASSUMED, count, f"planned FLOPs at an assumed {ASSUMED / 1e12:g} TFLOP/s"


def planned_flops(cell: Cell, built: Built) -> float:
    """FLOPs of the nominal prompt's prefill, counted as results count what was processed."""
    prompt = nominal(cell.seen)
    tokens, mlp = (
        [n + prompt.text for n in counts] for counts in (built.visual, prompt.mlp(built.reducer, built.visual))
    )
    return physical.prefill_flops(prompt.shape, tokens, prompt.attn, mlp)


def basis(sources: Sequence[str]) -> str:
    """Say in one line what the times of a plan rest on."""
    counts: dict[str, int] = defaultdict(int)
    for source in sources:
        counts[source] += 1
    return "; ".join(f"{number(count, 'cell')} {_said(source)}" for source, count in sorted(counts.items(), key=_most))


def _said(source: str) -> str:
    return "without a time, as no run counted the documents" if source == UNKNOWN else f"from {source}"


def _most(item: tuple[str, Any]) -> int:
    return -int(item[1])
