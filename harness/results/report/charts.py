"""The interactive plot of a report: accuracy against a cost that the reader chooses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from winnow.harness.results.plots.style import look

AXES = ("visual tokens %", "TFLOPs", "KV MB")
SHAPES = {
    "o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down", "P": "cross",
    "X": "triangle-right",
}  # fmt: skip
"""Vega's names of the markers of `winnow.harness.results.plots`."""
LEGEND = {"orient": "top", "columns": 1, "symbolOpacity": 1, "labelLimit": 340}
"""A name is shown to its end, as it is the limit that tells some curves apart; 340 pixels fit a telephone."""
BUNDLE = "import vl_convert; print(vl_convert.javascript_bundle(), end='')"


def chart() -> dict[str, Any]:
    """Specify the plot in Vega-Lite, without its points: those of one task and model; off the Pareto front are pale.

    The page gives it points, see `winnow.harness.results.report.collect.points`, and the looks of their methods.
    """
    by_method = {"field": "method", "legend": LEGEND}
    cost = {"input": "select", "name": "against ", "options": [*AXES]}
    accuracy = _number("accuracy", "accuracy (%)") | {"scale": {"zero": False}}
    numbers = [_number(name) for name in ("accuracy", "low", "high", *AXES)]
    told = [{"field": "method"}, {"field": "asked"}, *numbers, {"field": "run"}]
    pale = {"condition": {"test": "datum.front", "value": 1}, "value": 0.35}
    marks = {"y": accuracy, "shape": by_method, "opacity": pale, "tooltip": told}
    x = _number("x") | {"scale": {"zero": False}, "axis": {"tickCount": 8, "title": None}}
    below = {"text": {"expr": "cost"}, "orient": "bottom", "anchor": "middle", "fontSize": 11}  # follows the choice
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        "height": 320,
        "title": below,
        "data": {"name": "points"},
        "params": [{"name": "cost", "value": AXES[0], "bind": cost}],
        "transform": [
            {"calculate": "datum[cost]", "as": "x"},
            {"calculate": "datum['front ' + cost]", "as": "front"},
        ],
        "encoding": {"x": x, "color": by_method},
        "layer": [
            {"mark": {"type": "line", "opacity": 0.5}, "encoding": {"y": accuracy}},
            {
                "mark": {"type": "rule", "opacity": 0.5},
                "encoding": {"y": _number("low", "accuracy (%)"), "y2": {"field": "high"}},
            },
            {"mark": {"type": "point", "size": 90, "filled": True}, "encoding": marks},
        ],
    }


def _number(field: str, title: str = "") -> dict[str, Any]:
    return {"field": field, "type": "quantitative"} | ({"title": title} if title else {})


def looks(methods: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and shape of each method, the same in all plots of a page."""
    found = {method: look(number) for number, method in enumerate(sorted(set(methods)))}
    return {method: (one["color"], SHAPES[one["marker"]]) for method, one in found.items()}


def vega() -> str:
    """The library that draws them, to stand in the page itself; a process of its own gives its memory back."""
    made = subprocess.run([sys.executable, "-c", BUNDLE], capture_output=True, text=True, check=True)
    return made.stdout
