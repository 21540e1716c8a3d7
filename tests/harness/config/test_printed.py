"""Printed numbers, from lines made by hand."""

from dataclasses import replace

import pytest
from values import usual

from winnow.harness.config import printed as module
from winnow.harness.config.preset import PaperRow, Preset
from winnow.harness.config.printed import Printed, benchmarks, columns, facts, group, label, lines, printed


def cell(row: str, metric: str, value: str, way: str = "time", status: str = "ok") -> dict[str, str]:
    number = value if status == "ok" else ""
    return {"row": row, "row_label": f"row {row}", "group": f"group {row}", "metric": metric, "unit": "%", "way": way,
            "value": value, "value_num": number, "status": status, "l1": "14"}  # fmt: skip


FILES = {
    "t": [cell("1", "A", "50"), cell("1", "B", "-", status="missing"), cell("2", "B", "7.50"),
          cell("2", "B", "8", way="space")],
    "misprints": [{"file": "t", "row": "2", "metric": "B", "note": "should be 7"}],
}  # fmt: skip
ROWS = (PaperRow("first", 1), PaperRow("second", 2, at={"way": "time"}), PaperRow("ours"))
TABLE = Preset("t", "title", "t", {"A": "a", "B": "b"}, (), (), ROWS, ())


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    module.misprints.cache_clear()
    monkeypatch.setattr(module, "read", FILES.__getitem__)


def test_lines_are_those_of_the_row_and_of_its_further_columns() -> None:
    assert lines(TABLE, ROWS[0]) == FILES["t"][:2] and lines(TABLE, ROWS[1]) == [FILES["t"][2]]
    assert lines(TABLE, ROWS[2]) == [] == lines(replace(TABLE, published=None), ROWS[0])


def test_what_is_meant_where_nothing_is_said() -> None:
    assert usual(Printed) == {"note": ""}


def test_cells() -> None:
    assert printed(TABLE) == {
        ("first", "A"): Printed("first", "A", "%", "50", 50.0, "ok"),
        ("first", "B"): Printed("first", "B", "%", "-", None, "missing"),
        ("second", "B"): Printed("second", "B", "%", "7.50", 7.5, "ok", "should be 7"),
    }
    other = {"misprints": [dict(FILES["misprints"][0], file="u")]}
    module.misprints.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "read", (FILES | other).__getitem__)
        assert printed(TABLE)["second", "B"].note == ""
    module.misprints.cache_clear()


def test_columns_in_the_printed_order_and_of_a_finding_without_print_its_tasks() -> None:
    assert columns(TABLE) == ["A", "B"]
    assert columns(replace(TABLE, rows=ROWS[1:])) == ["B"]
    assert columns(replace(TABLE, rows=ROWS[2:], tasks={"C": "c"})) == ["C"]
    pivoted = replace(TABLE, pivot="way", rows=(ROWS[0], PaperRow("both", 2)))
    assert columns(pivoted) == ["A time", "B time", "B space"]


def test_benchmarks_of_a_row() -> None:
    assert benchmarks(TABLE) == {"first": ["A", "B"], "second": ["B"], "ours": ["A", "B"]}
    assert benchmarks(replace(TABLE, tasks={"B": "b"}))["first"] == ["B"]
    assert benchmarks(replace(TABLE, rows=(replace(ROWS[0], tasks=("B", "FLOPs")),))) == {"first": ["B"]}


def test_what_the_paper_calls_a_row() -> None:
    assert (group(TABLE, ROWS[1]), label(TABLE, ROWS[1])) == ("group 2", "row 2")
    assert (group(TABLE, ROWS[2]), label(TABLE, ROWS[2])) == ("", "ours")
    assert facts(TABLE, ROWS[0], ["l1", "l2"]) == {"l1": "14", "l2": ""} and facts(TABLE, ROWS[2], ["l1"]) == {"l1": ""}
