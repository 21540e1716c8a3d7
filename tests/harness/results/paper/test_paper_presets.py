"""The papers' tables as presets: complete, composable, and run in parts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from winnow.harness.cli.commands.tables import tables_of
from winnow.harness.config import preset
from winnow.harness.config import preset_cells as cells
from winnow.harness.config import preset_runs as parts
from winnow.harness.config import printed as published
from winnow.harness.config.choices import options
from winnow.harness.plan.build import build_method
from winnow.harness.run.result import results_below
from winnow.reducers.core.errors import WinnowError

TABLES = preset.names()
MODERN = {"modern_image", "modern_video"}
FINDINGS = {"aim_text_pruning", "vas_frame_check", *MODERN}
GROUPS = {"model", "reducer", "schedule"}


def test_every_published_file_has_a_preset() -> None:
    files = {path.stem for path in published.FOLDER.glob("*.csv")} - {"all", "cost_rows", "misprints"}
    assert {preset.load(name).published for name in TABLES} - {None} == files
    assert set(TABLES) - files == FINDINGS


@pytest.mark.parametrize("name", TABLES)
def test_rows_stand_for_all_printed_rows(name: str) -> None:
    table = preset.load(name)
    assert all(bool(row.set) != bool(row.published) for row in table.rows)
    if table.published:
        wanted = {line["row"] for line in published.read(table.published)}
        assert {str(row.row) for row in table.rows if row.row} == wanted
        tasks = set(table.tasks)
        assert tasks <= set(published.columns(table))
        scores = {cell.column for cell in published.printed(table).values() if cell.unit in published.SCORES}
        assert scores - tasks <= {published.AVERAGE, published.SHARE} or not tasks


FOLLOW = {"aim_table_C", "prumerge_table_4", *(f"vas_table_{number}" for number in range(1, 7))}
"""Tables whose methods stand below the model, or the benchmark, that they are for."""
QUICK = {"aim_poster_pruning", "aim_table_B", "prumerge_table_4", "vas_table_3", "aim_text_pruning", "vas_text_mlvu"}
"""Presets that between them hold every kind of row; the others are composed with the whole matrix."""


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.full) for n in TABLES])
def test_smoke_rows_can_run_on_pico(name: str) -> None:
    found = {each.part.row: each for each in cells.planned(preset.load(name), smoke=True, extra=("limit=4",))}
    assert found or not preset.load(name).tasks
    for each in found.values():
        cell = each.cell
        assert cell.model.name == "pico" and cell.limit == 4 and cell.tasks.data == "fixtures"
        build_method(cell)


def test_misprints_are_of_cells_that_exist() -> None:
    for file, row, metric in published.misprints():
        assert any(line["row"] == row and line["metric"] == metric for line in published.read(file))


def test_a_grid_is_every_method_at_every_budget() -> None:
    words = {"random": ["reducer=random", "ratio={share}"], "none": ["reducer=none"]}
    block = {"set": ["model=pico"], "budgets": {64: {"share": 0.5}, 32: {"share": 0.25}}, "methods": words}
    table = preset.parse("x", {"title": "x", "published": None, "rows": {"own": {}}, "grid": {"a": block}})
    assert [row.key for row in table.rows] == ["own", "a_64_random", "a_64_none", "a_32_random", "a_32_none"]
    assert table.find("a_32_random").set == ("model=pico", "reducer=random", "ratio=0.25")
    assert len(preset.load("modern_image").rows) == 5 + 3 * (16 + 16 + 7)


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(MODERN))
def test_rows_of_today_run(name: str, run: Callable[..., Any]) -> None:
    rows = [row.key for row in preset.load(name).rows][-40::13]
    only = ",".join([*rows, next(iter(preset.load(name).tasks.values()))])
    done = run(f"experiment={name}", "smoke=true", "limit=1", f"only=[{only}]")
    assert done.code == 0, done.err


def test_parts_of_a_table() -> None:
    table = preset.load("aim_poster_video")
    wanted = published.benchmarks(table)
    assert len(wanted["aim"]) == 7 and len(list(parts.parts(table, wanted, [], True, ()))) == 7 * 7
    (part,) = parts.parts(table, wanted, ["fastv", "mvbench"], False, ("limit=9", "ratio=0.5"))
    words = ("tasks=mvbench", "model=llava_ov", "reducer=fastv", "ratio=0.5", "limit=9", "schedule.k=1")
    assert part == parts.Part("fastv", "mvbench", words)
    with pytest.raises(WinnowError, match="only=nope is no part of aim_poster_video: choose rows longva, none"):
        list(parts.parts(table, wanted, ["nope"], False, ()))
    table = preset.load("prumerge_table_6")
    with pytest.raises(WinnowError, match="only=prumerge_lora cannot be run: fine-tuned with LoRA"):
        list(parts.parts(table, published.benchmarks(table), ["prumerge_lora"], False, ()))
    with pytest.raises(WinnowError, match="unknown table 'nope': choose aim_poster_adaptive, "):
        preset.load("nope")


def test_a_part_of_a_table_runs(run: Callable[..., Any], results: Path) -> None:
    done = run("experiment=aim_poster_pruning", "smoke=true", "only=[l14_22,l7_8]", "limit=2")
    assert done.code == 0, done.err
    assert len(list(results.glob("*/DONE"))) == 2 and "aim" in done.out
    assert "l1=4 l2=6" in done.out and "l1=2 l2=3" in done.out
    missing = run("experiment=aim_poster_pruning", "smoke=true", "only=l1")
    assert missing.code == 2 and "only=l1 is no part of aim_poster_pruning" in missing.err


def test_a_modelled_table_says_that_it_runs_nothing(run: Callable[..., Any]) -> None:
    done = run("experiment=aim_table_D")
    assert done.code == 0 and done.out.startswith(
        "aim_table_D is modelled, and there is nothing to run: `winnow tables"
    )


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_told_apart(name: str) -> None:
    table = preset.load(name)
    lines = [(row.label or published.label(table, row), published.group(table, row), row.row) for row in table.rows]
    names = [line if name in FOLLOW else line[:2] for line in lines]
    assert table.pivot or len(set(names)) == len(names)


def test_the_choices_of_every_preset_exist() -> None:
    for name in TABLES:
        table = preset.load(name)
        assert {parts.choice(target) for target in table.tasks.values()} <= set(options("tasks"))
        for row in table.rows:
            for word in parts.overrides(table, row):
                group, _, value = word.partition("=")
                if group in GROUPS:
                    assert value in options(group), f"{name}: {word}"


@pytest.mark.full
@pytest.mark.parametrize("name", [name for name in TABLES if preset.load(name).tasks and name not in MODERN])
def test_every_table_runs_end_to_end(name: str, run: Callable[..., Any], results: Path, tmp_path: Path) -> None:
    done = run(f"experiment={name}", "smoke=true", "limit=1")
    assert done.code == 0, done.err
    (table,) = tables_of(
        [name, "smoke=true", f"results={results}", "limit=1", "batch_size=4"], results_below(results), results
    )
    assert all(entry.ours or not entry.missing for found in table.lines for entry in found.entries.values())
    assert not any("only=" in command and "controls" not in command for command in table.commands.values())
