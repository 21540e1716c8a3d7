"""Parts of a paper's table, made by hand: no preset is read, nothing is composed."""

from typing import Any

from winnow.harness.config.preset import PaperRow, Preset
from winnow.harness.config.printed import Printed
from winnow.harness.results.paper.cell import Entry, Line
from winnow.harness.results.paper.values import Value
from winnow.harness.score.paired import Compared
from winnow.harness.score.stats import Difference

TASK = "QA"


def preset(**tasks: str) -> Preset:
    return Preset("p", "title", None, tasks or {TASK: "qa"}, (), (), (), ())


def line(*words: str, group: str = "", runs: Any = None, overhead: Any = (), **entries: Entry) -> Line:
    """A row of a table by its overrides; it is named by them."""
    key = " ".join(words)
    return Line(PaperRow(key, set=words, overhead=overhead), key, group, entries, runs or {})


def printed(value: float | None) -> Printed:
    return Printed("row", TASK, "%", "" if value is None else f"{value:g}", value, "ok")


def ours(mean: float, half: float | None = None, text: str = "", value: float | None = None) -> Entry:
    """Our value with an interval of this half width, beside a printed one."""
    bounds = (None, None) if half is None else (mean - half, mean + half)
    return Entry(Value(mean, *bounds, text), printed(value))


def compared(p: float, mean: float = -1.0) -> Compared:
    return Compared(Difference(mean, mean - 1, mean + 1, p), 10, 10, 0.9)
