"""Closes a run: samples and scores to disk, then the result, then DONE."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from winnow.harness.common import files
from winnow.harness.common.run_files import RESULT, SCORES, Score, samples_path
from winnow.harness.config.cell import Cell
from winnow.harness.config.label import label
from winnow.harness.cost import kv_bytes, llm_viewer, physical
from winnow.harness.cost.behind import mlp_tokens
from winnow.harness.plan.build import Built
from winnow.harness.plan.identity import Identity
from winnow.harness.plan.nominal import cost_of, llm_shape, nominal, vision_tower
from winnow.harness.plan.prefill import METHOD, whole
from winnow.harness.run.cell_run import CellRun
from winnow.harness.run.record import Row, mean_shares
from winnow.harness.run.result import CostResult, Result
from winnow.harness.score.judge_verdicts import keep_verdict
from winnow.harness.score.pooled import means_of
from winnow.harness.score.scoring import Scored
from winnow.reducers.core.layout import Grid


def finish(work: CellRun, rows: Sequence[Row], scored: Sequence[Scored], spent: Mapping[str, float]) -> Result:
    """Write what was measured; mark the run as done if every document was answered.

    Parameters
    ----------
    work : CellRun
    rows : sequence of Row
        One per document, by task and in document order.
    scored : sequence of Scored
        One per task.
    spent : mapping
        Where the time of this process went, with that of the cells that shared it.
    """
    folder = work.run.folder
    for task in scored:
        keep_verdict(folder, task)
        files.write_lines(samples_path(folder, task.summary["task"]), task.samples)
    _write_table(folder / SCORES, [row for task in scored for row in task.scores])
    result = summarise(work.run.cell, work.run.identity, work.built, rows, scored)
    result["spent"] = dict(spent)
    files.write_json(folder / RESULT, result)
    if result["status"] == "complete":
        work.run.finish(rows)
    return result


def summarise(cell: Cell, identity: Identity, built: Built, rows: Sequence[Row], scored: Sequence[Scored]) -> Result:
    """Gather one row of a table."""
    failed = sum(row.status != "ok" for row in rows)
    made: Result = {
        "id": identity.run,
        "context": identity.context,
        "settings": identity.settings,
        "status": "incomplete" if failed else "complete",
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": cell.model.name,
        "reducer": cell.method.name,
        "label": label(cell),
        "knobs": built.knobs,
        "asked": cell.asked,
        "ratio": built.ratio,
        "budget": _budget(cell, built, rows),
        "downsample": vars(cell.downsample),
        "seed": cell.seed,
        "limit": cell.limit,
        "dtype": cell.model.dtype,
        "attn": cell.model.attn,
        "documents": len(rows),
        "failed": failed,
        "damaged": sum(bool(row.damage) for row in rows),
        "shares": _shares(rows),
        "cost": _cost(cell, built, rows),
        "tasks": [task.summary for task in scored],
        "means": means_of({task.summary["task"]: (task.summary, _main_scores(task)) for task in scored}),
    }
    if cell.stress.words:
        made["stress"] = cell.stress.words
    return made


def _main_scores(task: Scored) -> list[Score]:
    metric = task.summary["metric"]
    return [Score(row["score"], row["stratum"], row["media"]) for row in task.scores if row["metric"] == metric]


def _shares(rows: Sequence[Row]) -> dict[str, float] | None:
    if all(row.status != "ok" for row in rows):
        return None
    return dict(zip(("entrance", "mean", "last"), (round(x, 6) for x in mean_shares(rows)), strict=True))


def _cost(cell: Cell, built: Built, rows: Sequence[Row]) -> CostResult | None:
    """Mean over the answered documents of what each of them cost; never the cost of the mean prompt."""
    answered = [row for row in rows if row.status == "ok"]
    if not answered:
        return None
    shape, attn, add = llm_shape(cell.model), cell.model.attn, cell.model.mlp_add
    cache = sum(kv_bytes(shape, row.tokens_per_layer) for row in answered)
    behind = partial(_mlp, cell, built, answered)
    found = _flops(answered, behind(), lambda tokens, mlp: physical.prefill_flops(shape, tokens, attn, mlp))
    papers = _flops(answered, behind(), lambda tokens, mlp: llm_viewer.prefill_flops(shape, tokens, add, mlp))
    return {
        "profile": physical.NAME,
        "tflops": found["tflops"],
        "flops_share": found["flops_share"],
        "kv_bytes": cache / len(answered),
        "compat": {"profile": llm_viewer.NAME} | papers,
        "parts": _parts(cell),
    }


def _parts(cell: Cell) -> dict[str, float]:
    """TFLOPs of an unreduced prefill of the model's nominal prompt, by part: what a method can win at most."""
    prompt = nominal(cell.seen)
    parts = whole(prompt, [prompt.visual] * prompt.shape.layers).parts
    return {name: sum(op.flops for op in ops) / 1e12 for name, ops in parts.items() if name != METHOD}


def _mlp(cell: Cell, built: Built, rows: Iterable[Row]) -> Iterator[list[int]]:
    """Tokens that each layer's MLP processed, per document."""
    tower = vision_tower(cell.model)
    for row in rows:
        spans = [Grid(frames, tall * wide, wide) for frames, tall, wide in row.grids]
        yield mlp_tokens(built.reducer, row.tokens_per_layer, spans, tower)


def _flops(
    rows: Sequence[Row], behind: Iterable[list[int]], count: Callable[[Sequence[int], Sequence[int]], float]
) -> dict[str, float]:
    """Mean TFLOPs of the documents, and their share of the unreduced prefills."""
    flops = sum(count(row.tokens_per_layer, mlp) for row, mlp in zip(rows, behind, strict=True))
    full = sum(count(whole, whole) for whole in ([row.length] * len(row.tokens_per_layer) for row in rows))
    return {"tflops": flops / len(rows) / 1e12, "flops_share": flops / full}


def _budget(cell: Cell, built: Built, rows: Sequence[Row]) -> dict[str, Any] | None:
    """What was asked for, planned and achieved, in the budget's unit."""
    if cell.budget.asked is None:
        return None
    shape, attn = llm_shape(cell.model), cell.model.attn
    answered = [row for row in rows if row.status == "ok"]
    measured = [
        cost_of(cell.budget, shape, row.tokens_per_layer, mlp, row.visual_per_layer, row.visual, attn)
        for row, mlp in zip(answered, _mlp(cell, built, answered), strict=True)
    ]
    achieved = [value for value in measured if value is not None]
    kind, asked = cell.budget.asked
    mean = sum(achieved) / len(achieved) if achieved else None
    profile = {"profile": physical.NAME} if kind == "flops" else {}
    return {"kind": kind, "asked": asked, "planned": built.planned, "achieved": mean} | profile


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    files.write(path, lambda draft: pq.write_table(pa.Table.from_pylist(rows), draft, compression="zstd"))
