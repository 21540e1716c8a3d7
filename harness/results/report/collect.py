"""Gathers what a report shows: rows of runs, their details, and what each run answered to each question."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.common.errors import leave_out
from winnow.harness.common.run_files import CONFIG, ENV, TRACES, read_samples, rows_of
from winnow.harness.common.yaml_text import dump as dump_yaml
from winnow.harness.results.plots.tradeoff import apart, curve, pareto
from winnow.harness.results.report.charts import AXES
from winnow.harness.results.tables.runs import rows as run_rows
from winnow.harness.run.result import Result
from winnow.harness.score.paired_runs import BASELINE
from winnow.harness.score.pooled import figures
from winnow.reducers.core.errors import WinnowError

PIXELS, RUNS = 1000, 4
"""Width of a token picture, and how many runs of a sample have one."""
ANSWERS = 40_000
"""Answers that a page holds at most."""
COSTS = ("entrance", "last", "TFLOPs", "FLOPs %", "KV MB")
"""Columns behind what a run is and how far it came, which fit 1400 pixels."""


def table(results: Sequence[Result], folder: Path) -> list[dict[str, str]]:
    """The rows of the table of runs, without its empty columns, with what they can be filtered by."""
    found, known = run_rows(results, folder), {result["id"]: result for result in results}
    kept = [name for name in found[0] if any(row[name] for row in found)] if found else []
    rows = [{name: row[name] for name in kept} | _filters(known[row["run"].split()[0]]) for row in found]
    return [{name: row[name] for name in sorted(row, key=lambda name: name.startswith(COSTS))} for row in rows]


def _filters(result: Result) -> dict[str, str]:
    limit = result.get("limit")
    return {"limit": "none" if limit is None else str(limit), "status": result["status"], "id": result["id"]}


def tasks(results: Sequence[Result]) -> list[str]:
    """Tasks, and groups of tasks in their place, that the runs have figures of."""
    return list(dict.fromkeys(name for result in results for name in figures(result)))


def points(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One point per run and figure: accuracy with its interval, every cost, and whether it is on the Pareto front.

    A front is that of runs that can be compared: of the same documents, limit, settings and versions.
    """
    found = []
    alike: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        for name, figure in figures(result).items() if _drawn(result) else ():
            if figure["mean"] is not None:
                alike.setdefault((result["model"], name), []).append(result)
    for (model, name), group in alike.items():
        told = apart(group)
        made = [_point(result, name) | {"model": model} for result in group]
        for point, result in zip(made, group, strict=True):
            point["method"] = curve(result) + told[result.get("context", "")]
        for context in told:
            _mark([point for point, one in zip(made, group, strict=True) if one.get("context", "") == context])
        found += made
    return found


def _mark(points: Sequence[dict[str, Any]]) -> None:
    """Say of each point whether none of these beats it."""
    for axis in AXES:
        front = set(pareto([(point[axis], point["accuracy"]) for point in points]))
        for point in points:
            point[f"front {axis}"] = (point[axis], point["accuracy"]) in front


def _drawn(result: Result) -> bool:
    return bool(result["shares"] and result["cost"] and result["status"] == "complete")


def _point(result: Result, name: str) -> dict[str, Any]:
    figure, shares, cost = figures(result)[name], result["shares"], result["cost"]
    assert shares is not None and cost is not None
    costs = (100 * shares["mean"], cost["tflops"], cost["kv_bytes"] / 1e6)
    point = {"run": result["id"], "task": name, "asked": result["asked"], "accuracy": figure["mean"]}
    point |= {"low": figure.get("low"), "high": figure.get("high")}
    return point | {axis: float(f"{value:.5g}") for axis, value in zip(AXES, costs, strict=True)}


def details(result: Result, folder: Path) -> dict[str, Any]:
    """What a run was and where it ran, as text."""
    here = folder / result["id"]
    config, env = here / CONFIG, here / ENV
    found: dict[str, Any] = {"run": result["id"]}
    found["title"] = " ".join(filter(None, [result["model"], "·", result["label"], result["asked"]]))
    if config.is_file():
        found["settings"] = config.read_text(encoding="utf-8", errors="replace")
    with suppress(WinnowError, OSError):  # nothing rests on it
        found["environment"] = dump_yaml(files.read_json(env), width=120)
    return found


def samples(results: Sequence[Result], folder: Path, most: int) -> list[dict[str, Any]]:
    """What each run answered to the first questions of each task; the unreduced run first.

    Parameters
    ----------
    results : sequence of dict
    folder : Path
    most : int
        Questions per task and model; fewer where there are so many runs that the page would become too large.
    """
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    most = min(most, max(1, ANSWERS // max(1, sum(len(result["tasks"]) for result in results))))
    for result in sorted(results, key=_order):
        words, here = f"{result['label']} {result['asked']}".strip(), folder / result["id"]
        known = {"run": result["id"], "method": words, "label": result["label"], "base": result["reducer"] == BASELINE}
        try:
            said = [(task, one) for task in result["tasks"] for one in read_samples(here, task["task"], most)]
            tokens = layers(here, [(task["task"], one["doc_id"]) for task, one in said])
        except WinnowError as error:
            leave_out(error)
            continue
        for task, one in said:
            key = (result["model"], task["task"], one["doc_id"])
            empty = {"model": key[0], "task": key[1], "doc_id": key[2], "answers": []}
            question = one.get("prompt", "")
            sample = found.setdefault(key, empty | {"question": question, "target": str(one.get("target"))})
            score = one["scores"].get(task["metric"]) if one.get("scores") else None
            sample["answers"].append(
                known | {"answer": one.get("answer", ""), "score": score, "tokens": tokens.get(key[1:], "")}
            )
    return list(found.values())


def layers(folder: Path, documents: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """Visual tokens that a run's layers processed of some documents, as ``25 in 0-4, 6 in 5-7``."""
    if not (folder / TRACES).exists():
        return {}
    rows = rows_of(folder / TRACES, ["visual_per_layer"], documents)
    return {(row["task"], row["doc_id"]): _stages(row.get("visual_per_layer") or ()) for row in rows}


def _stages(counts: Sequence[int]) -> str:
    found, start = [], 0
    for count, same in groupby(counts):
        end = start + sum(1 for _ in same) - 1
        found.append(f"{count} in {start}-{end}" if end > start else f"{count} in {start}")
        start = end + 1
    return ", ".join(found)


def _order(result: Result) -> tuple[bool, str, float]:
    return result["reducer"] != BASELINE, result["label"], -(result["shares"] or {"mean": 0.0})["mean"]


def pictures(found: Sequence[dict[str, Any]], folder: Path, most: int, trust: bool = False) -> None:
    """Add token pictures to the first samples, of a few reduced runs of as many methods; or why there is none."""
    from winnow.harness.results.plots.sample import load
    from winnow.harness.results.plots.tokens import draw

    for sample in list(found)[:most]:
        for answer in _varied([found for found in sample["answers"] if not found["base"]])[:RUNS]:
            try:
                with tempfile.TemporaryDirectory() as place:
                    out = Path(place) / "tokens.png"
                    draw(load(folder / answer["run"], f"{sample['task']}/{sample['doc_id']}", trust), out)
                    answer["picture"] = _small(out)
            except (WinnowError, OSError) as error:
                answer["why"] = f"no token picture: {error}"


def _varied(answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One of each method first, in the middle of its budgets, then the others."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for answer in answers:
        groups.setdefault(answer["label"], []).append(answer)
    first = [group[len(group) // 2] for group in groups.values()]
    return [*first, *(answer for answer in answers if answer not in first)]


def _small(path: Path) -> str:
    """Shrink a picture for the page: a tenth of the bytes."""
    from PIL import Image

    picture, small = Image.open(path).convert("RGB"), io.BytesIO()
    picture.thumbnail((PIXELS, PIXELS))
    picture.save(small, "JPEG", quality=80)
    return base64.b64encode(small.getvalue()).decode()
