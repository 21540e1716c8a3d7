"""Nothing that stands in data is obeyed by a terminal, Markdown or a spreadsheet."""

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from winnow.harness.common import console
from winnow.harness.common.console import as_csv, blocks_of, print_table, render
from winnow.harness.common.plain import markdown, sheet_cell, visible

EVIL = "\x1b]0;title\x07[red]x[/] \x1b[31m<script>|`a`* \u202eabc\r\n=1"


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028]", visible(text))


def test_what_is_harmless_stays() -> None:
    assert visible("60.0 ± 6.0 Δ → 中文") == "60.0 ± 6.0 Δ → 中文" and visible("a\nb", keep="\n") == "a\nb"


@given(st.text())
def test_a_cell_of_markdown_is_one_cell(text: str) -> None:
    line = markdown(text)
    assert "\n" not in line and "<" not in line and not re.search(r"(?<!\\)(\\\\)*\|", line)


@pytest.mark.parametrize("text", ["=1+1", "+cmd|x", "-2+3+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", '=HYPERLINK("x")'])
def test_formulas_are_defused(text: str) -> None:
    (row,) = csv.DictReader(io.StringIO(as_csv([{"a": text}], ["a"])))
    assert row["a"] == f"'{text}"


def test_numbers_stay_numbers() -> None:
    assert [sheet_cell(value) for value in (-1.5, "-30.0 ± 4.0", "+1e-05", "a=b")] == [
        -1.5,
        "-30.0 ± 4.0",
        "+1e-05",
        "a=b",
    ]


def test_markup_in_a_value_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"a": EVIL, "b": "[/nope]"}], "rich", title="[bold]t\x1b")
    said = capsys.readouterr().out
    assert (
        "[/nope]" in said and "[bold]t\\x1b" in said and "[red]x[/]" in said and "\x1b" not in said and r"\x1b" in said
    )
    assert "\x1b" not in render([{"a": EVIL}], "md")


TEXTS = st.sampled_from(["", "0.5", "中文 x", "12 ± 3", "\x1b[31m"])


@given(st.data(), st.lists(st.sampled_from(["run", "TFLOPs (p)", "x: y", "mean"]), min_size=1, unique=True))
@settings(max_examples=30, deadline=None)
def test_large_tables_are_written_as_small_ones_are(data: st.DataObject, names: list[str]) -> None:
    rows = [{name: data.draw(TEXTS) for name in names} for _ in range(data.draw(st.integers(1, 4)))]
    left = data.draw(st.lists(st.sampled_from(names)))
    drawn = Console(file=io.StringIO(), width=200, highlight=False)
    drawn.print(console._drawn(rows, names, left, {}))
    assert drawn.file.getvalue() == "\n".join(console.plain_lines(rows, names, left, 200)) + "\n"  # type: ignore[attr-defined]
    assert console.plain_lines(rows, names, left, 2) == []


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(20, 120))
def test_blocks_fit_the_terminal_and_lose_no_column(widths: list[int], room: int) -> None:
    columns = [("run", 12), *((f"c{number}", width) for number, width in enumerate(widths))]
    blocks = blocks_of(columns, ["run"], room)
    assert [name for block in blocks for name in block if name != "run"] == [name for name, _ in columns[1:]]
    sizes = dict(columns)
    for block in blocks:
        assert "run" in block
        assert len(block) == 2 or sum(sizes[name] + 3 for name in block) - 1 <= room


@pytest.mark.parametrize("room", [50, 60, 80])
def test_figures_and_names_of_runs_stay_whole(
    room: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Text breaks between words instead, and headings do."""
    row = {"reducer": "fastv rows=all scope=span", "ratio": "0.5", "entrance": "100.0"}
    row |= {"quiz": "100.0 ± 12.1 (3 unread)", "Δ random mvbench (a-long-profile)": "-10.0 ± 12.1"}
    row |= {"run": "0123456789ab incomplete: 3 failed"}
    monkeypatch.setattr(console, "output", lambda: Console(highlight=False, width=room))
    for rows in ([row], [row] * (console.MANY + 1)):
        print_table(rows, "rich", left=("reducer", "run"), keys=("reducer", "ratio"))
        text = capsys.readouterr().out
        for whole in ("entrance %", "100.0 ± 12.1 (3 unread)", "-10.0 ± 12.1", "0123456789ab"):
            assert whole in text
        assert max(map(len, text.splitlines())) <= room
