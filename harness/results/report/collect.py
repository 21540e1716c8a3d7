"""Gathers what a report shows: rows of runs, their details, and what each run answered to each question."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from winnow.harness.common import files
from winnow.harness.common.run_files import CONFIG, ENV, read_samples
from winnow.harness.results.plots.tradeoff import apart, curve
from winnow.harness.results.tables.runs import rows as run_rows
from winnow.harness.run.result import Result
from winnow.harness.score.paired_runs import BASELINE
from winnow.harness.score.pooled import figures
from winnow.reducers.core.errors import WinnowError

PIXELS, RUNS = 1000, 4
"""Width of a token picture, and how many runs of a sample have one."""


def table(results: Sequence[Result], folder: Path) -> list[dict[str, str]]:
    """The rows of the table of runs, without its empty columns."""
    found = run_rows(results, folder)
    kept = [name for name in found[0] if any(row[name] for row in found)] if found else []
    return [{name: row[name] for name in kept} for row in found]


def points(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One point per run and benchmark: accuracy with its interval, and every cost."""
    found = []
    alike: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        whole = result["shares"] and result["cost"] and result["status"] == "complete"
        for name, figure in figures(result).items() if whole else ():
            if figure["mean"] is not None:
                alike.setdefault((result["model"], name), []).append(result)
    for (model, name), group in alike.items():
        told = apart(group)
        for result in group:
            figure = figures(result)[name]
            point: dict[str, Any] = {
                "model": model,
                "method": curve(result) + told[result.get("context", "")],
                "asked": result["asked"],
            }
            point |= {"run": result["id"], "task": name, "accuracy": figure["mean"]}
            found.append(point | {"low": figure["low"], "high": figure["high"]} | _costs(result))
    return found


def _costs(result: Result) -> dict[str, float]:
    shares, cost = result["shares"], result["cost"]
    assert shares is not None and cost is not None
    return {"visual tokens %": 100 * shares["mean"], "TFLOPs": cost["tflops"], "KV MB": cost["kv_bytes"] / 1e6}


def details(result: Result, folder: Path) -> dict[str, str]:
    """What a run was and where it ran, as text."""
    here = folder / result["id"]
    config, env = here / CONFIG, here / ENV
    text = {"settings": config.read_text(encoding="utf-8") if config.exists() else ""}
    if env.exists():
        text["environment"] = yaml.safe_dump(files.read_json(env), sort_keys=False, allow_unicode=True)
    return text


def samples(results: Sequence[Result], folder: Path, most: int) -> list[dict[str, Any]]:
    """What each run answered to the first questions of each task; the unreduced run first.

    Parameters
    ----------
    results : sequence of dict
    folder : Path
    most : int
        Questions per task and model.
    """
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for result in sorted(results, key=_order):
        for task in result["tasks"]:
            for said in read_samples(folder / result["id"], task["task"], most):
                key = (result["model"], task["task"], said["doc_id"])
                known = {"question": said["prompt"], "target": str(said.get("target")), "answers": []}
                sample = found.setdefault(key, {"model": key[0], "task": key[1], "doc_id": key[2], **known})
                score = said["scores"].get(task["metric"]) if said.get("scores") else None
                words = f"{result['label']} {result['asked']}".strip()
                answer = {"run": result["id"], "method": words, "answer": said["answer"], "score": score}
                answer |= {"label": result["label"]}
                sample["answers"].append(answer | {"base": result["reducer"] == BASELINE})
    return list(found.values())


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
