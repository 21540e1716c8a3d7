"""A paper's table in its formats, from cells made by hand."""

import csv
import io
from dataclasses import replace
from typing import Any

import pytest
from papers import TASK, compared, line, ours, preset

from winnow.harness.results.paper.cell import Entry, Table
from winnow.harness.results.paper.show import render, show
from winnow.harness.results.tables.sheet import CellText, Sheet


def rows(table: Table) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(render(table, "csv")))]


def test_every_number_of_a_row_has_a_column() -> None:
    entry = replace(
        ours(50, 2, value=53.5), base=compared(0.01, -3.0), random=compared(0.2, 1.0), p_base=0.02, p_random=0.4
    )
    made = replace(line("a", group="g", runs={"x": {"id": "r1"}, "y": {"id": "r2"}, "z": {"id": "r1"}}, QA=entry))
    table = Table(preset(), [TASK], [replace(made, retained=98.5), line("b")])
    first, second = rows(table)
    assert {name: value for name, value in first.items() if not name.startswith(TASK)} == {
        "row": "a", "label": "a", "group": "g", "retained %": "98.5", "runs": "r1 r2", "command": "",
    }  # fmt: skip
    assert {name.removeprefix(TASK).strip(): value for name, value in first.items() if name.startswith(TASK)} == {
        "": "50", "low": "48", "high": "52", "printed": "53.5", "difference": "-3.5",
        "vs unreduced": "-3.0", "vs unreduced low": "-4.0", "vs unreduced high": "-2.0",
        "vs random": "1.0", "vs random low": "0.0", "vs random high": "2.0",
        "p unreduced (Holm)": "0.02", "p random (Holm)": "0.4",
    }  # fmt: skip
    assert {value for name, value in second.items() if name.startswith(TASK)} == {""} and second["retained %"] == ""


def test_a_row_says_the_command_that_fills_it() -> None:
    lines = [line("a", QA=Entry(missing=True)), line("ab", QA=Entry(missing=False))]
    table = Table(
        preset(), [TASK], lines, commands={"a: t": "run a", "a: u": "run u", "ab: t": "run ab", "scores": "judge"}
    )
    assert [row["command"] for row in rows(table)] == ["run a; run u", "run ab"]
    whole = replace(table, commands={"the whole table": "run all"})
    assert [row["command"] for row in rows(whole)] == ["run all", ""]


CELLS: Any = [
    (CellText(), ""),
    (CellText("57.0"), "57.0"),
    (CellText("57.0", best=True), "**57.0**"),
    (CellText("", "58.5", best=True), "(58.5)"),
    (CellText("57.0", "58.5", "-1.5", "*~", "a", True), "**57.0**\\*\\~ (58.5<sup>a</sup>, -1.5)"),
    (CellText("a|b", "c|d"), "a\\|b (c\\|d)"),
    (CellText("57.0", "", "-1.5"), "57.0 (-1.5)"),
]


@pytest.mark.parametrize(("cell", "said"), CELLS)
def test_a_cell_of_markdown(cell: CellText, said: str) -> None:
    from winnow.harness.results.paper.show import _md_cell

    assert _md_cell(cell) == said


def test_markdown() -> None:
    from winnow.harness.results.paper.show import _markdown

    groups = [("", [("a", [CellText("1"), CellText()])]), ("g|h", [("b", [CellText(), CellText("2")])])]
    found = Sheet("title", ["X", "Y"], groups, ["up"], ["down"], {"a": "note"}, {"row": "run it"})
    assert _markdown(found).split("\n") == [
        "**title**", "", "> up", "", "|  | X | Y |", "| --- | ---: | ---: |", "| a | 1 |  |",
        "| *g\\|h* | | |", "| b |  | 2 |", "", "down", "",
        "<sup>a</sup> note", "", "Missing, and what fills it:", "", "- row: `run it`",
    ]  # fmt: skip
    bare = Sheet("title", ["X"], [], [], [], {}, {})
    assert _markdown(bare).split("\n") == ["**title**", "", "|  | X |", "| --- | ---: |"]


def test_on_a_terminal_ours_stands_above_printed(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(preset(), [TASK], [line("a", group="heading", QA=replace(ours(50, 2, value=53.5), p_base=0.01))],
                  gates=["off"], commands={"b: t": "run b"})  # fmt: skip
    show(table, "rich")
    text = [row.strip() for row in capsys.readouterr().out.splitlines()]
    at = next(number for number, row in enumerate(text) if row.startswith("a "))
    assert text[at].endswith("50.0 ± 2.0*") and text[at + 1] == "53.5 -3.5" and text[at - 1] == "heading"
    assert text[0] == "GATE: off" and "title" in text[1]
    assert text[text.index("Missing, and what fills it:") + 1] == "b: t: run b"
    show(table, "md")
    assert capsys.readouterr().out.startswith("**title**")


def test_words_keep_to_a_readable_line_and_commands_to_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal a table is as wide as it needs: no name is broken, and numbers stand to the right."""
    name, command = "a long name of a row " * 6, "run " + "word " * 60
    wide = Table(preset(), [TASK], [replace(line("a"), label=name.strip()), line("b", QA=ours(50, 2))],
                 commands={"b: t": command.strip()})  # fmt: skip
    show(wide, "rich")
    text = capsys.readouterr().out.splitlines()
    assert any(row.strip() == name.strip() for row in text) and f"  b: t: {command.strip()}" in [*map(str.rstrip, text)]
    words = [row for row in text if row.strip() and not row.startswith(("  b: t", " "))]
    assert len(words) > 2 and 100 < max(map(len, words)) <= 170
    (number,) = (row for row in text if row.lstrip().startswith("b ") and "50.0" in row)
    assert number.rstrip().endswith("50.0 ± 2.0") and len(number.rstrip()) > len(name)
