"""A paper's table in words, from parts made by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest
from papers import line, preset

from winnow.harness.config.printed import Printed
from winnow.harness.results.paper.cell import EXECUTED, Entry, Line, Table
from winnow.harness.results.paper.text import LEGEND, MODEL_LEGEND, RETAINED, WRONG, flat, sheet
from winnow.harness.results.paper.values import Value
from winnow.harness.results.tables.sheet import CellText


def shown(text: str, value: float | None = None, unit: str = "%", note: str = "") -> Printed:
    return Printed("row", "QA", unit, text, value, "ok", note)


def words(name: str, entry: Entry, smoke: bool = False) -> CellText:
    table = Table(preset(), [name], [line("reducer=x", **{name: entry})], smoke)
    ((_, (cell,)),) = flat(sheet(table).groups)
    return cell


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("QA", Value(57.25, 55.25, 59.25), "57.2 ± 2.0"),
        ("QA", Value(57.0), "57.0"),
        ("QA", Value(57.0, math.nan, math.nan), "57.0"),
        ("QA", Value(57.0, 50.0, 60.0, "Failed"), "Failed"),
        ("QA", None, ""),
        ("FLOPs", Value(1.0), "1.00"),
        ("FLOPs", Value(99.6464), "99.65"),
        ("FLOPs", Value(0.99951), "1"),
        ("FLOPs", Value(0.0123456), "0.0123"),
        (EXECUTED, Value(3.14159), "3.14"),
        ("Prefill Time", Value(560.8, 560, 561), "560.80"),
    ],
)
def test_our_value(name: str, value: Value | None, said: str) -> None:
    assert words(name, Entry(value)).ours == said


@pytest.mark.parametrize(
    ("name", "ours", "printed", "said"),
    [("QA", 57.0, 58.5, "-1.5"), ("QA", 58.5, 57.0, "+1.5"), ("QA", 57.01, 57.0, "+0.0"), ("QA", 56.99, 57.0, "+0.0"),
     ("FLOPs", 7.75, 7.744, "+0.01"), (EXECUTED, 7.0, 7.5, "-0.50")],
)  # fmt: skip
def test_the_difference_has_the_digits_of_its_column_and_no_minus_zero(
    name: str, ours: float, printed: float, said: str
) -> None:
    entry = Entry(Value(ours), shown(f"{printed}", printed))
    assert words(name, entry).difference == said and words(name, entry, smoke=True).difference == ""
    assert words(name, entry).printed == f"{printed}"


def test_marks() -> None:
    def marks(**known: Any) -> str:
        return words("QA", Entry(Value(1.0), **known)).marks

    assert (marks(p_base=0.01), marks(p_random=0.5), marks(p_base=0.01, p_random=0.5), marks()) == ("*", "~", "*~", "")
    assert words("QA", Entry(Value(1.0), best=True)).best and not words("QA", Entry(Value(1.0))).best


def test_rows_stand_below_their_group_in_order_and_groups_may_come_again() -> None:
    lines = [line("a", group="g"), line("b", group="g"), line("c", group="h"), line("d", group="g")]
    found = sheet(Table(preset(), ["QA"], lines))
    assert [(name, [label for label, _ in rows]) for name, rows in found.groups] == [
        ("g", ["a", "b"]), ("h", ["c"]), ("g", ["d"]),
    ]  # fmt: skip
    assert [label for label, _ in flat(found.groups)] == ["a", "b", "c", "d"]
    assert all(cells == [CellText()] for _, cells in flat(found.groups))


def test_retained_is_a_column_where_a_row_has_it() -> None:
    first, second = line("a"), replace(line("b"), retained=98.276)
    plain, kept = (sheet(Table(preset(), ["QA"], lines)) for lines in ([first], [first, second]))
    assert plain.columns == ["QA (%)"] and kept.columns == ["QA (%)", RETAINED]
    assert [cells[-1].ours for _, cells in flat(kept.groups)] == ["", "98.3"]


def test_headings_have_the_printed_unit() -> None:
    entries = {"QA": Entry(printed=shown("1", unit="score")), "FLOPs": Entry(printed=shown("1", unit="TB"))}
    found = sheet(Table(preset(), ["QA", "FLOPs", EXECUTED, "Other"], [line("a"), line("b", **entries)]))
    assert found.columns == ["QA (score)", "FLOPs (TB)", f"{EXECUTED} (TB)", "Other (%)"]


def test_footnotes_are_lettered_in_the_order_in_which_they_are_read_and_shared() -> None:
    def row(name: str, *notes: str) -> Line:
        return line(name, **{f"c{at}": Entry(printed=shown("1", note=note)) for at, note in enumerate(notes)})

    table = Table(preset(), ["c0", "c1"], [row("a", "", "late"), row("b", "other", "late"), row("c", "", "")])
    found = sheet(table)
    assert found.notes == {"a": "late", "b": "other"} and found.below[-1] == WRONG
    assert [[cell.note for cell in cells] for _, cells in flat(found.groups)] == [["", "a"], ["b", "a"], ["", ""]]
    many = Table(preset(), ["c0"], [row(f"{n}", f"note {n}") for n in range(28)])
    assert [*sheet(many).notes][24:] == ["y", "z", "aa", "ab"]
    assert WRONG not in sheet(Table(preset(), ["c0"], [row("a", "")])).below


def test_rows_that_cannot_be_run_say_so_and_why() -> None:
    lines = [line("a"), line("b"), line(), line()]
    for at, label in ((2, "Q-Former"), (3, "other")):
        lines[at] = replace(lines[at], label=label, row=replace(lines[at].row, published="needs training"))
    lines[1] = replace(lines[1], row=replace(lines[1].row, published="we run another"))
    found = sheet(Table(preset(), ["QA"], lines))
    assert [label for label, _ in flat(found.groups)] == ["a", "b", "Q-Former (as printed)", "other (as printed)"]
    said = [text for text in found.below if text.startswith("As printed only")]
    assert said == ["As printed only: b: we run another.", "As printed only: Q-Former, other: needs training."]


def test_what_stands_above_and_below() -> None:
    plain = Table(preset(), ["QA"], [line("a")], gates=["off", "far off"])
    assert sheet(plain).above == ["GATE: off", "GATE: far off"]
    (smoke,) = sheet(replace(plain, smoke=True)).above
    assert smoke.startswith("SMOKE: pico")
    assert sheet(plain).below == [LEGEND]
    untested = replace(preset(), tasks={}, notes=("first note", "second"))
    modelled = Table(untested, ["FLOPs"], [line("a")], sorted_by_place=["aim_merge", "evit"])
    legend, raster, *notes = sheet(modelled).below
    assert legend == MODEL_LEGEND and raster.startswith("aim_merge, evit: what is left") and notes == [*untested.notes]
    assert sheet(Table(untested, [EXECUTED], [])).below[0] == MODEL_LEGEND
    assert sheet(Table(untested, ["Img-Memory"], [])).below[0].startswith("Img-Memory: mean share")
    failed = Table(preset(), ["QA"], [line("a", QA=Entry(Value(1, text="Failed")))])
    assert sheet(failed).below[1].startswith("Failed: too many of the answers")


def test_settings_of_a_printed_row_are_put_side_by_side() -> None:
    def at(row: int | None, name: str) -> Line:
        made = line(name, **{name: Entry(Value(float(row or 0)))})
        return replace(made, row=replace(made.row, row=row))

    lines = [at(1, "x"), at(2, "x"), at(1, "y"), at(2, "y")]
    pivoted = sheet(Table(replace(preset(), pivot="k"), ["x", "y"], lines))
    assert [[cell.ours for cell in cells] for _, cells in flat(pivoted.groups)] == [["1.0", "1.0"], ["2.0", "2.0"]]
    assert [label for label, _ in flat(pivoted.groups)] == ["x", "x"]
    assert len(flat(sheet(Table(preset(), ["x", "y"], lines)).groups)) == 4
