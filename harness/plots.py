"""Pictures of finished runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.drop import BASELINE
from reducers.errors import WinnowError

Result = dict[str, Any]
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito (2008): distinct for all common kinds of colour blindness."""
MARKERS = "osD^vPX"
SUFFIXES = {".png", ".svg", ".pdf"}


def draw(results: Sequence[Result], out: Path, task: str | None = None, model: str | None = None) -> None:
    """Draw accuracy, with its 95 % interval, against the mean share of visual tokens over the LLM's layers.

    Parameters
    ----------
    results : sequence of dict
        Finished runs; incomplete ones are left out.
    out : Path
        The picture; its suffix decides the format.
    task, model : str or None
        Which to draw; may be left out if there is only one.

    Raises
    ------
    WinnowError
        If there is a choice and none was made, or the format is not known.
    """
    if out.suffix not in SUFFIXES:
        raise WinnowError(f"--out {out} is not allowed: choose a name that ends in {', '.join(sorted(SUFFIXES))}")
    results = [result for result in results if result["status"] == "complete"]
    model = _only(model, {result["model"] for result in results}, "model")
    results = [result for result in results if result["model"] == model]
    task = _only(task, {found["task"] for result in results for found in result["tasks"]}, "task")
    curves: dict[str, list[tuple[float, dict[str, float]]]] = defaultdict(list)
    for result in results:
        for found in result["tasks"]:
            if found["task"] == task and result["shares"]:
                curves[_curve(result)].append((100 * result["shares"]["mean"], found))
    _figure(curves, f"{model} on {task}", out)


def _only(wanted: str | None, present: set[str], name: str) -> str:
    if wanted in present:
        return wanted
    if wanted is None and len(present) == 1:
        return present.pop()
    raise WinnowError(f"--{name} {wanted or 'is missing'}: choose {' | '.join(sorted(present)) or 'other runs'}")


def _curve(result: Result) -> str:
    place = result["knobs"].get("schedule")
    return f"{result['label']} ({place})" if place else str(result["label"])


def _figure(curves: dict[str, list[tuple[float, dict[str, float]]]], title: str, out: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "winnow"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    base = curves.pop(BASELINE, None)
    if base:
        mean, low, high = (base[0][1][key] for key in ("mean", "low", "high"))
        axes.axhline(mean, color="grey", linestyle="--", linewidth=1, label="all tokens")
        axes.axhspan(low, high, color="grey", alpha=0.12, linewidth=0)
    for number, (name, points) in enumerate(sorted(curves.items())):
        points.sort(key=lambda point: point[0])
        shares, means = [share for share, _ in points], [found["mean"] for _, found in points]
        spread = [[f["mean"] - f["low"] for _, f in points], [f["high"] - f["mean"] for _, f in points]]
        style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
        axes.errorbar(shares, means, spread, label=name, capsize=3, markersize=5, linewidth=1.5, **style)
    axes.set(xlabel="visual tokens kept, mean over the LLM's layers (%)", ylabel="accuracy (%)", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150, metadata={"Date": None} if out.suffix == ".svg" else None)
    plt.close(figure)
