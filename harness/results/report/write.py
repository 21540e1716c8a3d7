"""Writes the page."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.results.paper.cell import Table
from winnow.harness.results.report import collect
from winnow.harness.results.report.charts import chart, looks, vega
from winnow.harness.run.result import Result

WIDEST = 3
"""So many tasks have their columns from the start; of more, the first one has, and the reader chooses."""
COLUMNS = ("model", "reducer", "ratio", "mean")
"""What stands before the figures, so that these are seen without scrolling."""


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
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(_own("page.html.j2")).render(
        count=len(results),
        questions=len(samples),
        # `html` escapes what it is given; styles and libraries are no data
        papers=[Markup(html(sheet(table))) for table in papers],
        styles=[Markup(_own(name)) for name in ("vendor/tabulator.min.css", "page.css")],
        scripts=[_script(_own("vendor/tabulator.min.js")), _script(vega()) if points else "", _script(_own("page.js"))],
        runs=_json(_runs(results, folder)),
        spec=_json(chart() | {"looks": looks(point["method"] for point in points)} if points else None),
        points=folded(points),
        samples=folded(samples),
        details=folded(collect.details(result, folder) for result in results),
    )
    files.write_text(out, text)


def _runs(results: Sequence[Result], folder: Path) -> dict[str, Any]:
    """The table of runs: its columns, where each belongs to all tasks or to one, and its rows as lists."""
    rows, tasks = collect.table(results, folder), collect.tasks(results)
    names = [*rows[0]] if rows else []
    figures = [f"{prefix}{task}" for task in tasks for prefix in ("", "Δ ", "Δ random ")]
    head = [*COLUMNS, *figures]
    names = [name for name in head if name in names] + [name for name in names if name not in head]
    of = {f"{prefix}{task}": task for task in tasks for prefix in ("", "Δ ", "Δ random ")}
    columns = [{"name": name, "task": of.get(name, "")} for name in names]
    first = "" if len(tasks) <= WIDEST else tasks[0]
    return {"columns": columns, "tasks": tasks, "first": first, "rows": [[row[name] for name in names] for row in rows]}


def _own(name: str) -> str:
    return resources("winnow.harness.results.report").joinpath(name).read_text(encoding="utf-8")


def _script(code: str) -> Any:
    """Code of a library or of ours, which must not end the element that it stands in."""
    from markupsafe import Markup

    return Markup(code.replace("</script", "<\\/script"))


def folded(values: Iterable[object]) -> str:
    """Lines of JSON, packed: a browser unfolds what is looked at, and a thousand runs differ in little."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0) as file:
        for value in values:
            file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    return base64.b64encode(packed.getvalue()).decode()


def _json(value: object) -> Any:
    """JSON that cannot end the script element that it stands in."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for letter, escaped in (("<", "\\u003c"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(letter, escaped)
    return Markup(text)
