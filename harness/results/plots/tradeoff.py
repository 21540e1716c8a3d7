"""Accuracy against what it costs: visual tokens, FLOPs, KV cache, or the time to the first token."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from winnow.harness.common.plain import visible
from winnow.harness.results.plots.style import Width, check, figure, legend, look
from winnow.harness.run.result import FigureResult, Result
from winnow.harness.score.paired_runs import BASELINE
from winnow.harness.score.pooled import figure_named, figures
from winnow.reducers.core.errors import WinnowError, choose

Axis = Literal["retention", "flops", "kv", "ttft"]
BY_LAYERS = ("vtw",)
"""Methods whose ratio is a share of layers, so that it moves their schedule."""
Curves = dict[str, list[tuple[float, FigureResult]]]


@dataclass(frozen=True)
class Cost:
    """What stands on the horizontal axis: its name, and where a result has it."""

    label: str
    of: Callable[[Result], float | None]


AXES: Mapping[str, Cost] = {
    "retention": Cost(
        "visual tokens kept, mean over the LLM's layers (%)",
        lambda result: 100 * result["shares"]["mean"] if result["shares"] else None,
    ),
    "flops": Cost(
        "TFLOPs of the prefill ({profile})", lambda result: result["cost"]["tflops"] if result["cost"] else None
    ),
    "kv": Cost("KV cache (MB, 16 bit)", lambda result: result["cost"]["kv_bytes"] / 1e6 if result["cost"] else None),
    "ttft": Cost("time to first token, measured (ms)", lambda result: result.get("ttft")),
}


def draw(
    results: Sequence[Result],
    out: Path,
    task: str | None = None,
    model: str | None = None,
    axis: Axis = "retention",
    width: Width = "column",
) -> None:
    """Draw accuracy, with its 95 % interval, against a cost; the Pareto front is a grey line.

    Parameters
    ----------
    results : sequence of dict
        Finished runs; incomplete ones are left out.
    out : Path
        The picture; its suffix decides the format.
    task, model : str or None
        Which to draw; may be left out if there is only one.
    axis : {"retention", "flops", "kv", "ttft"}
    width : {"column", "page"}
        Of a two-column page.

    Raises
    ------
    WinnowError
        If there is a choice and none was made, the format is not known, or no run has that cost.
    """
    check(out)
    results = [result for result in results if result["status"] == "complete"]
    model = only(model, {result["model"] for result in results}, "model")
    results = [result for result in results if result["model"] == model]
    parts = {found["task"] for result in results for found in result["tasks"]}
    task = only(task, {name for result in results for name in figures(result)} | ({task or ""} & parts), "task")
    curves: Curves = defaultdict(list)
    results = [result for result in results if figure_named(result, task) is not None]
    told = apart(results)
    for result in results:
        cost, found = AXES[axis].of(result), figure_named(result, task)
        if found is not None and cost is not None and found["mean"] is not None:
            curves[curve(result) + told[result.get("context", "")]].append((cost, found))
    if not curves:
        hint = "time them with winnow bench" if axis == "ttft" else "choose another --x"
        raise WinnowError(f"--x {axis}: none of these runs has it; {hint}")
    profiles = {result["cost"]["profile"] for result in results if result["cost"]}
    with figure(out, width) as axes:
        _fill(axes, curves, one=len(told) < 2)
        label = AXES[axis].label.format(profile=", ".join(sorted(profiles)))
        axes.set(xlabel=label, ylabel="accuracy (%)", title=f"{model} on {task}")
        axes.grid(alpha=0.3, linewidth=0.5)
        axes.locator_params(axis="x", nbins=5)
        legend(axes)


def only(wanted: str | None, present: set[str], name: str) -> str:
    """Choose the one that is wanted, or the only one that is there; an error lists the choices."""
    if wanted in present:
        return wanted
    if wanted is None and len(present) == 1:
        return present.pop()
    raise WinnowError(f"--{name} {wanted or 'is missing'}: {choose(wanted, sorted(present) or ['other runs'], ' | ')}")


def curve(result: Result) -> str:
    """Name the curve that a result is a point of."""
    if result["knobs"].get("like"):
        return f"{result['reducer']}, equal budget"
    place = None if result["reducer"] in BY_LAYERS else result["knobs"].get("schedule")
    return visible(f"{result['label']} ({place})" if place else result["label"])


def apart(results: Iterable[Result]) -> dict[str, str]:
    """What tells the curves of one model and task apart where documents, settings or versions are not the same.

    Returns
    -------
    dict
        By `Result.context` the words behind the name of a curve; empty ones where there is one context.
    """
    limits = {result.get("context", ""): result.get("limit") for result in results}
    if len(limits) < 2:
        return dict.fromkeys(limits, "")
    words = {context: "" if limit is None else f" limit={limit}" for context, limit in limits.items()}
    return {context: f" ({context[:4]}{word})" for context, word in words.items()}


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points, cost and accuracy, that none beats in one without losing in the other, by rising cost."""
    front: list[tuple[float, float]] = []
    for cost, value in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or value > front[-1][1]:
            front.append((cost, value))
    return front


def _fill(axes: Any, curves: Curves, one: bool) -> None:
    """Draw the curves; a Pareto front only where all are of one context."""
    bases = {name: curves.pop(name) for name in list(curves) if name.split(" (")[0] == BASELINE}
    for name, base in bases.items():
        mean, low, high = (base[0][1][key] for key in ("mean", "low", "high"))
        label = f"all tokens{name.removeprefix(BASELINE)}"
        axes.axhline(mean, color="grey", linestyle="--", linewidth=1, label=label)
        axes.axhspan(low, high, color="grey", alpha=0.12, linewidth=0)
    front = pareto([(cost, found["mean"]) for points in curves.values() for cost, found in points])
    if len(front) > 1 and one:
        axes.step(*zip(*front, strict=True), where="post", color="0.6", linewidth=3, alpha=0.5, label="Pareto front")
    for number, (name, points) in enumerate(sorted(curves.items())):
        points.sort(key=lambda point: point[0])
        costs, means = [cost for cost, _ in points], [found["mean"] for _, found in points]
        spread = [[f["mean"] - f["low"] for _, f in points], [f["high"] - f["mean"] for _, f in points]]
        axes.errorbar(costs, means, spread, label=name, capsize=2, elinewidth=0.8, **look(number))
