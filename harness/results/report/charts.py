"""Interactive plots of a report: accuracy against a cost that the reader chooses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from winnow.harness.results.plots.style import look
from winnow.harness.results.plots.tradeoff import pareto

AXES = ("visual tokens %", "TFLOPs", "KV MB")
SHAPES = {
    "o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down", "P": "cross",
    "X": "triangle-right",
}  # fmt: skip
"""Vega's names of the markers of `winnow.harness.results.plots`."""


def chart(points: Sequence[dict[str, Any]], task: str, model: str) -> dict[str, Any]:
    """Specify the plot of one task and model in Vega-Lite; runs off the Pareto front are pale.

    Parameters
    ----------
    points : sequence of dict
        See `winnow.harness.results.report.collect.points`.
    task, model : str
    """
    import altair as alt
    import pandas as pd

    chosen = [dict(point) for point in points if (point["task"], point["model"]) == (task, model)]
    for axis in AXES:
        front = set(pareto([(point[axis], point["accuracy"]) for point in chosen]))
        for point in chosen:
            point[f"front {axis}"] = (point[axis], point["accuracy"]) in front
    cost = alt.param("cost", value=AXES[0], bind=alt.binding_select(options=list(AXES), name="against "))
    methods = sorted({point["method"] for point in chosen})
    looks = [look(number) for number in range(len(methods))]
    legend = alt.Legend(orient="bottom", columns=2, symbolOpacity=1, labelLimit=180)
    base = (
        alt.Chart(pd.DataFrame(chosen))
        .transform_calculate(x="datum[cost]", front="datum['front ' + cost]")
        .encode(
            x=alt.X("x:Q", title="cost, as chosen above", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=8)),
            color=_by_method(alt.Color, methods, [one["color"] for one in looks], legend),
        )
    )
    tip = ["method", "asked", "accuracy", "low", "high", *AXES, "run"]
    y = alt.Y("accuracy:Q", title="accuracy (%)", scale=alt.Scale(zero=False))
    pale = alt.condition("datum.front", alt.value(1), alt.value(0.35))
    tooltip = [alt.Tooltip(name) for name in tip]
    shape = _by_method(alt.Shape, methods, [SHAPES[one["marker"]] for one in looks], legend)
    marks = base.mark_point(size=90, filled=True).encode(y=y, opacity=pale, tooltip=tooltip, shape=shape)
    bars = base.mark_rule(opacity=0.5).encode(y=alt.Y("low:Q", title="accuracy (%)"), y2="high:Q")
    lines = base.mark_line(opacity=0.5).encode(y=y)
    layered = (lines + bars + marks).add_params(cost).properties(width="container", height=320)
    spec: dict[str, Any] = json.loads(layered.to_json(indent=None))
    return spec


def _by_method(channel: Any, methods: Sequence[str], values: Sequence[str], legend: Any) -> Any:
    """Give each method its value of a channel."""
    import altair as alt

    return channel("method:N", legend=legend, scale=alt.Scale(domain=methods, range=values))


def vega() -> str:
    """The library that draws them, to stand in the page itself."""
    import vl_convert

    bundle: Any = vl_convert.javascript_bundle  # its stub asks for an argument that has a default
    code: str = bundle()
    return code
