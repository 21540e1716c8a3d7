"""A paper's table from presets, runs and printed cells made by hand; nothing is composed."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from papers import preset

from winnow.harness.config.preset import PaperRow, Preset
from winnow.harness.config.printed import Printed
from winnow.harness.results.paper import table as module
from winnow.harness.results.paper.cell import EXECUTED, Entry, Line
from winnow.harness.results.paper.modelled import Modelled
from winnow.harness.results.paper.table import _by_place, _cost, _line, _ordered, _speedup
from winnow.harness.results.paper.values import Value

ROW = PaperRow("half", 1, set=("reducer=fastv",))
RUN: Any = {"tasks": [{"task": "qa", "mean": 40.0, "low": 38.0, "high": 42.0}], "shares": {"mean": 0.25}}


def cell(name: str, unit: str = "%", value: float | None = 1.0) -> Printed:
    return Printed("half", name, unit, f"{value}", value, "ok")


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> dict[bool, Modelled | None]:
    """What a row costs as the paper schedules it, and as it is executed."""
    found: dict[bool, Modelled | None] = {True: Modelled(2.0, 30.0, 4.0, 0.5), False: Modelled(2.0, 31.0, 5.0, 0.6)}
    monkeypatch.setattr(module, "cost_of_row", lambda preset, row, smoke, extra, scheduled: found[scheduled])
    monkeypatch.setattr(module, "_speedup", lambda *_: Value(1.5))
    return found


def made(
    monkeypatch: pytest.MonkeyPatch, *names: str, row: PaperRow = ROW, runs: Any = None, units: Any = None,
    wanted: Any = (("half", "qa"),), table: Preset | None = None, without: str = "",
) -> Line:  # fmt: skip
    monkeypatch.setattr(module, "columns", lambda preset: [*names])
    monkeypatch.setattr(module, "label", lambda preset, row: "as printed")
    monkeypatch.setattr(module, "group", lambda preset, row: "a group")
    units = units or {}
    numbers = {("half", name): cell(name, units.get(name, "%")) for name in names if name != without}
    return _line(table or preset(), row, {"half": runs or {}}, numbers, {*wanted}, False, ())


def test_each_kind_of_column_has_its_source(monkeypatch: pytest.MonkeyPatch, costs: Any) -> None:
    names = ("QA", "FLOPs", "Prefill Time", "Total Memory", "Storing Activation", "Img-Memory", "TTFT speedup", "Odd")
    found = made(monkeypatch, *names, runs={"qa": RUN}).entries
    assert {name: entry.ours for name, entry in found.items()} == {
        "QA": Value(40, 38, 42), "FLOPs": Value(2), "Prefill Time": Value(30), "Total Memory": Value(4),
        "Storing Activation": Value(0.5), "Img-Memory": Value(25), "TTFT speedup": Value(1.5),
    }  # fmt: skip
    assert [entry.printed for entry in found.values()] == [cell(name) for name in found]
    assert not any(entry.missing for entry in found.values())


@pytest.mark.parametrize(
    ("runs", "row", "wanted", "missing"),
    [
        ({}, ROW, (("half", "qa"),), (True, True)),
        ({}, ROW, (), (False, True)),  # the paper does not run it on this
        ({"qa": RUN}, ROW, (("half", "qa"),), (False, False)),
        ({"other": RUN}, ROW, (("half", "qa"),), (True, False)),  # shares are those of any of its runs
        ({}, replace(ROW, set=()), (), (False, False)),  # it cannot be run
    ],
)
def test_what_a_run_would_fill_is_missing(
    monkeypatch: pytest.MonkeyPatch, costs: Any, runs: Any, row: PaperRow, wanted: Any, missing: tuple[bool, bool]
) -> None:
    found = made(monkeypatch, "QA", "Img-Memory", runs=runs, row=row, wanted=wanted).entries
    assert (found["QA"].missing, found["Img-Memory"].missing) == missing


def test_what_is_executed_stands_beside_where_it_is_another_number(monkeypatch: pytest.MonkeyPatch, costs: Any) -> None:
    assert EXECUTED not in made(monkeypatch, "FLOPs").entries
    costs[False] = Modelled(2.0 * (1 + 1e-10))
    assert EXECUTED not in made(monkeypatch, "FLOPs").entries
    for tflops in (2.5, 1.5, 2.0 * (1 + 1e-8)):
        costs[False] = Modelled(tflops)
        assert made(monkeypatch, "FLOPs").entries[EXECUTED] == Entry(Value(tflops))
    costs[True] = None
    found = made(monkeypatch, "FLOPs").entries
    assert EXECUTED not in found and found["FLOPs"].ours is None
    costs.update({True: Modelled(2.0), False: None})
    assert EXECUTED not in made(monkeypatch, "FLOPs").entries
    costs[False] = Modelled(3.0)
    assert made(monkeypatch, "FLOPs", units={"FLOPs": "GB"}).entries[EXECUTED] == Entry(Value(3000))


def test_a_table_without_modelled_columns_models_nothing(monkeypatch: pytest.MonkeyPatch, costs: Any) -> None:
    costs.clear()
    assert set(made(monkeypatch, "QA").entries) == {"QA"}


@pytest.mark.parametrize(
    ("found", "name", "unit", "value"),
    [
        (Modelled(2.0, 30.0), "FLOPs", "TB", 2.0), (Modelled(2.0, 30.0), "FLOPs", "GB", 2000.0),
        (Modelled(2.0, 30.0), "Prefill Time", "ms", 30.0), (Modelled(2.0, 30.0, 4.0), "Total Memory", "GB", 4.0),
        (Modelled(2.0), "Prefill Time", "ms", None), (None, "FLOPs", "TB", None),
    ],
)  # fmt: skip
def test_a_cost_in_its_printed_unit(found: Modelled | None, name: str, unit: str, value: float | None) -> None:
    assert _cost(name, found, unit) == (None if value is None else Value(value))


def test_an_average_is_that_of_shares_alone(monkeypatch: pytest.MonkeyPatch, costs: Any) -> None:
    """A score of 0 to 5 is no share; a benchmark that the paper does not print counts in per cent."""
    table, runs = preset(QA="qa", VQA="vqa", Score="s:score"), dict.fromkeys(("qa", "vqa", "s"), RUN)
    names, units = ("QA", "VQA", "Score", "FLOPs", "Avg"), {"Score": "0-5", "QA": "%"}
    own = RUN | {"tasks": [{"task": "vqa", "mean": 60.0}]}
    found = made(monkeypatch, *names, table=table, runs=runs | {"vqa": own}, units=units, without="VQA").entries
    assert found["Avg"] == Entry(Value(50), cell("Avg"))
    lacking = made(monkeypatch, *names, table=table, runs={"qa": RUN}, units=units).entries
    assert lacking["Avg"].ours is None and "Avg" not in made(monkeypatch, "QA").entries


def test_of_a_pivoted_table_a_row_has_its_own_columns_alone(monkeypatch: pytest.MonkeyPatch, costs: Any) -> None:
    pivoted = replace(preset(QA="qa", VQA="vqa"), pivot="way")
    assert set(made(monkeypatch, "QA", "VQA", table=pivoted, without="VQA").entries) == {"QA"}
    assert set(made(monkeypatch, "QA", "VQA", table=preset(QA="qa", VQA="vqa"), without="VQA").entries) == {"QA", "VQA"}


def test_a_row_is_called_as_its_preset_says_or_as_printed(monkeypatch: pytest.MonkeyPatch, costs: Any) -> None:
    runs = {"qa": RUN}
    plain, named = (made(monkeypatch, "QA", row=row, runs=runs) for row in (ROW, replace(ROW, label="ours")))
    assert (plain.label, named.label, plain.group) == ("as printed", "ours", "a group")
    assert plain.runs == runs and plain.runs is not runs


def test_rows_of_ours_stand_at_the_end_and_settings_of_a_row_behind_it() -> None:
    rows = [PaperRow("ours"), PaperRow("c", 3), PaperRow("a", 1), PaperRow("more of a", 1), PaperRow("b", 2)]
    assert [row.key for row in _ordered(replace(preset(), rows=tuple(rows)))] == ["a", "more of a", "b", "c", "ours"]
    last = [PaperRow("ours"), PaperRow("b", 2)]
    assert [row.key for row in _ordered(replace(preset(), rows=tuple(last)))] == ["b", "ours"]


@pytest.mark.parametrize(("base", "speedup"), [(False, 1.7), (True, 1.0)])
def test_a_speedup_is_measured_or_not_told(monkeypatch: pytest.MonkeyPatch, base: bool, speedup: float) -> None:
    found: Any = SimpleNamespace(model=SimpleNamespace(name="m"), method="method")
    row = replace(ROW, set=("reducer=none",)) if base else ROW
    monkeypatch.setattr(module, "cell_of_row", lambda *_: found)
    monkeypatch.setattr(module, "method_inputs", lambda method: method)
    monkeypatch.setattr(module, "method_key", lambda inputs: f"key of {inputs}")
    known = {("m", "key of method"): SimpleNamespace(speedup=1.7)}
    monkeypatch.setattr(module, "times", lambda: known)
    assert _speedup(preset(), row, False, ()) == Value(speedup)
    known.clear()
    assert _speedup(preset(), row, False, ()) is None
    monkeypatch.setattr(module, "cell_of_row", lambda *_: None)
    assert _speedup(preset(), row, False, ()) is None


@pytest.mark.parametrize(
    ("args", "sorts"),
    [
        ({}, False), ({"variant": "mended"}, False), ({"order": "raster", "variant": "official"}, True),
        ({"order": None, "variant": "mended"}, True), ({"order": None, "variant": "official"}, False),
        ({"order": "official", "variant": "mended"}, False), ({"order": "raster"}, True),
    ],
)  # fmt: skip
def test_an_order_about_which_nothing_is_said_is_the_variants(args: dict[str, Any], sorts: bool) -> None:
    assert _by_place(args) is sorts
