"""The cards of some methods as one HTML page that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from winnow.harness.audit.card import Card, Curve
from winnow.harness.audit.show.text import MARKS, notes, rows
from winnow.harness.common import files
from winnow.harness.common.plain import visible
from winnow.harness.results.plots.style import COLOURS
from winnow.harness.results.report.charts import vega


def write(cards: Sequence[Card], out: Path) -> None:
    """Write the page."""
    from jinja2 import Environment
    from markupsafe import Markup

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["visible"] = visible
    text = resources("winnow.harness.audit.show").joinpath("card.html.j2").read_text(encoding="utf-8")
    charts = [section.curves for card in cards for section in card.sections if section.curves]
    drawn = json.dumps([chart(curves) for curves in charts], ensure_ascii=False).replace("<", "\\u003c")
    page = environment.from_string(text).render(
        cards=cards,
        marks=MARKS,
        rows=rows,
        notes=notes,
        charts=Markup(drawn),  # JSON without a "<" cannot end the element that it stands in
        vega=Markup(vega().replace("</script", "<\\/script")) if charts else "",
    )
    files.write_text(out, page)


def chart(curves: Sequence[Curve]) -> dict[str, Any]:
    """Specify the plot of a section's curves in Vega-Lite."""
    import altair as alt
    import pandas as pd

    points = [
        {"curve": one.name, "x": x, "value": value, "low": low, "high": high}
        for one in curves
        for x, value, low, high in one.points
    ]
    names = [one.name for one in curves]
    colour = alt.Color("curve:N", title=None, scale=alt.Scale(domain=names, range=_colours(len(names))))
    base = alt.Chart(pd.DataFrame(points)).encode(x=alt.X("x:Q", title=curves[0].x), color=colour)
    y = alt.Y("value:Q", title=curves[0].y, scale=alt.Scale(zero=False))
    bars = base.mark_rule(opacity=0.5).encode(y=alt.Y("low:Q", title=curves[0].y), y2="high:Q")
    layered = bars + base.mark_line(point=True).encode(y=y, tooltip=["curve", "x", "value", "low", "high"])
    spec: dict[str, Any] = json.loads(layered.properties(width="container", height=260).to_json(indent=None))
    return spec


def _colours(count: int) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(count)]
