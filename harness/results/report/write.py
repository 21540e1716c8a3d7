"""Writes the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.results.paper.cell import Table
from winnow.harness.results.report import collect
from winnow.harness.results.report.charts import chart, vega
from winnow.harness.run.result import Result


def write(
    results: Sequence[Result],
    folder: Path,
    out: Path,
    papers: Sequence[Table] = (),
    most: int = 200,
    shown: int = 6,
    trust: bool = False,
) -> None:
    """Write the report of some runs as one HTML file that needs nothing else.

    Parameters
    ----------
    results : sequence of dict
    folder : Path
        Where the runs lie.
    out : Path
    papers : sequence of Table
        Tables of the papers to hold.
    most : int
        Questions per task and model in the sample browser.
    shown : int
        Samples with token pictures.
    trust : bool
        Whether code may be executed that runs name and Winnow does not register, as pictures load documents.
    """
    from jinja2 import Environment
    from markupsafe import Markup

    from winnow.harness.results.paper.text import sheet
    from winnow.harness.results.tables.sheet import html

    points, samples = collect.points(results), collect.samples(results, folder, most)
    collect.pictures(samples, folder, shown, trust)
    kinds = sorted({(point["task"], point["model"]) for point in points})
    charts = [{"title": f"{model} on {task}", "spec": chart(points, task, model)} for task, model in kinds]
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(
        resources("winnow.harness.results.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    )
    text = page.render(
        runs=collect.table(results, folder),
        # `html` escapes what it is given, and the library is no data
        papers=[Markup(html(sheet(table))) for table in papers],
        charts=charts,
        details=[(result, collect.details(result, folder)) for result in results],
        data=_json({"charts": charts, "samples": samples}),
        vega=Markup(vega().replace("</script", "<\\/script")) if charts else "",
    )
    files.write_text(out, text)


def _json(value: object) -> Any:
    """JSON that cannot end the script element that it stands in."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    return Markup(text.replace("\u2029", "\\u2029"))
