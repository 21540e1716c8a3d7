"""The papers' tables with ours beside: values, statistics, gate, footnotes, commands, formats."""

import csv
import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from winnow.harness.cli.commands.tables import tables_of
from winnow.harness.common import files
from winnow.harness.config import preset
from winnow.harness.config import preset_cells as cells
from winnow.harness.plan.identity import settings_of
from winnow.harness.results.paper import show
from winnow.harness.results.paper.cell import Table
from winnow.harness.results.paper.text import sheet
from winnow.harness.results.paper.values import Value, average
from winnow.harness.run.result import results_below
from winnow.reducers.core.errors import WinnowError

NAME = "aim_poster_merging"
Scores = list[int]


def write(folder: Path, run: str, settings: str, scores: Scores, reducer: str, **more: Any) -> None:
    """A finished run on VideoMME; three questions share a video."""
    mean = 100 * sum(scores) / len(scores)
    task = {"task": "videomme", "metric": "score", "mean": mean, "low": mean - 2, "high": mean + 2}
    result = {
        "id": run, "context": "c", "settings": settings, "status": "complete", "finished": f"2026-01-01T00:00:00{run}",
        "model": "llava_ov", "reducer": reducer, "label": reducer, "knobs": {}, "documents": len(scores), "failed": 0,
        "limit": None, "shares": {"entrance": 1.0, "mean": 0.5, "last": 0.1}, "cost": None,
        "budget": None, "ratio": None, "asked": "", "tasks": [task],
    } | more  # fmt: skip
    files.write_json(folder / run / "result.json", result)
    rows = [{"task": "videomme", "doc_id": i, "metric": "score", "score": float(s)} for i, s in enumerate(scores)]
    pq.write_table(pa.Table.from_pylist(rows), folder / run / "scores.parquet")
    media = [{"task": "videomme", "doc_id": i, "media": f"v{i // 3}.mp4"} for i in range(len(scores))]
    pq.write_table(pa.Table.from_pylist(media), folder / run / "traces.parquet")


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {each.part.row: settings_of(each.cell) for each in cells.planned(preset.load(NAME))}


Fill = Callable[..., Table]


@pytest.fixture
def fill(tmp_path: Path, settings: dict[str, str]) -> Fill:
    def go(random: Scores | None = None, **rows: Scores) -> Table:
        for key, scores in rows.items():
            write(tmp_path, f"run_{key}", settings[key], scores, "none" if key == "none" else "aim_merge")
        if random:
            write(tmp_path, "control", "other", random, "random", knobs={"like": "run_merge_50"})
        (table,) = tables_of([NAME], results_below(tmp_path), tmp_path)
        return table

    return go


BASE, GOOD, BAD = [1] * 174 + [0] * 126, [1] * 171 + [0] * 129, [1] * 60 + [0] * 240


def line(table: Table, key: str) -> Any:
    return next(found for found in table.lines if found.row.key == key)


def test_ours_stands_beside_printed(fill: Fill) -> None:
    table = fill(none=BASE, merge_50=GOOD, merge_25=BAD)
    assert table.columns == ["FLOPs", "FLOPs as executed", "Prefill Time", "VideoMME_wo_sub"]
    entry = line(table, "merge_50").entries["VideoMME_wo_sub"]
    assert entry.ours.mean == 57 and entry.printed.text == "58.5" and entry.difference == pytest.approx(-1.5)
    assert entry.best and not line(table, "merge_25").entries["VideoMME_wo_sub"].best
    assert line(table, "merge_50").retained == pytest.approx(100 * 57 / 58) and line(table, "none").retained is None
    assert table.gates == []


def test_verdicts_are_paired_clustered_and_adjusted(fill: Fill) -> None:
    table = fill(none=BASE, merge_50=GOOD, merge_25=BAD, random=GOOD)
    good, bad = (line(table, key).entries["VideoMME_wo_sub"] for key in ("merge_50", "merge_25"))
    assert good.base.difference.mean == pytest.approx(-1) and (good.base.samples, good.base.videos) == (300, 100)
    assert bad.lost and not good.lost and good.like_random and not bad.like_random
    assert bad.p_base == pytest.approx(2 * bad.base.difference.p) and bad.random is None
    found = sheet(table)
    texts = {label: words[-2] for _, rows in found.groups for label, words in rows}
    assert texts["50.0%"].marks == "~" and texts["25.0%"].marks == "*"
    (command,) = [word for word in found.commands.values() if "controls=true" in word]
    assert command.startswith("python run.py experiment=aim_poster_merging only=[merge_25] controls=true results=")


def test_gate_speaks_up_where_the_unreduced_run_is_off(fill: Fill) -> None:
    table = fill(none=[1] * 190 + [0] * 110, merge_50=GOOD)
    (gate,) = table.gates
    assert gate.startswith("100.0% on VideoMME_wo_sub: 63.3 [61.3, 65.3] here, 58.2 printed. The rows below it are not")
    assert show.render(table, "md").splitlines()[2].startswith("> GATE: 100.0%")


def test_missing_cells_are_empty_with_their_command(fill: Fill, tmp_path: Path) -> None:
    here = f"results={tmp_path}"
    assert fill().commands == {"the whole table": f"python run.py experiment=aim_poster_merging {here}"}
    (elsewhere,) = tables_of([NAME, "results=x"], [], Path("results/runs"))
    assert list(elsewhere.commands.values()) == ["python run.py experiment=aim_poster_merging results=x"]
    table = fill(none=BASE, merge_50=GOOD)
    assert table.commands["merge_25: videomme"] == f"python run.py experiment=aim_poster_merging only=merge_25 {here}"
    entry = line(table, "merge_25").entries["VideoMME_wo_sub"]
    assert entry.missing and entry.ours is None
    rows = {row["row"]: row for row in csv.DictReader(io.StringIO(show.render(table, "csv")))}
    assert rows["merge_25"]["VideoMME_wo_sub"] == "" and rows["merge_25"]["VideoMME_wo_sub printed"] == "58.0"
    assert "only=merge_25" in rows["merge_25"]["command"] and float(rows["merge_50"]["VideoMME_wo_sub"]) == 57


GOLDEN = [
    "aim_poster_video",
    "aim_poster_long_video",
    "aim_poster_adaptive",
    "aim_poster_pruning",
    "aim_table_C",
    "aim_table_D",
]
SLIPS = {"adaptive": {"aim_12", "aim_6", "aim_3", "aim_1"}}


@pytest.mark.parametrize("name", GOLDEN)
def test_modelled_columns_are_the_printed_ones(name: str, tmp_path: Path) -> None:
    (table,) = tables_of([name], [], tmp_path)
    wrong = SLIPS.get(name.removeprefix("aim_poster_"), set())
    for found in table.lines:
        for column in ("FLOPs", "Prefill Time"):
            entry = found.entries[column]
            near = entry.ours.mean == pytest.approx(entry.printed.value, rel=0.005)
            assert near != (found.row.key in wrong), f"{found.row.key} {column}"
        if "reducer=aim" in found.row.set and "schedule.l1=28" not in found.row.set:
            assert found.entries["FLOPs as executed"].ours.mean > found.entries["FLOPs"].ours.mean


def test_overhead_is_the_methods_own(tmp_path: Path) -> None:
    (table,) = tables_of(["aim_poster_overhead"], [], tmp_path)
    ours = {found.row.key: found.entries["FLOPs"].ours.mean for found in table.lines}
    assert ours["merging"] == pytest.approx(2.89, abs=0.005) and ours["pruning"] == pytest.approx(4.18, abs=0.005)
    assert ours["total"] == pytest.approx(ours["merging"] + ours["pruning"])
    assert ours["llm"] == pytest.approx(14757, rel=1e-4)
    executed = {found.row.key: found.entries.get("FLOPs as executed") for found in table.lines}
    assert executed["merging"] is None and executed["pruning"].ours.mean > ours["pruning"]
    assert executed["llm"].ours.mean == pytest.approx(15528, rel=1e-4)
    found = sheet(table)
    assert found.columns == ["FLOPs (GB)", "FLOPs as executed (GB)"]
    notes = [cells[0].note for _, rows in found.groups for _, cells in rows]
    assert notes == ["a", "b", "c", ""] and "inside each frame" in found.notes["a"]


def test_printed_numbers_never_stand_in_our_place(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    show.show(fill(none=BASE), "rich")
    text = capsys.readouterr().out.splitlines()
    at = next(number for number, row in enumerate(text) if row.strip().startswith("25.0%"))
    assert "58.0" not in text[at] and "58.0" in text[at + 1]


def test_failed_cells_have_neither_marks_nor_a_mean(fill: Fill, tmp_path: Path) -> None:
    fill(none=BASE, merge_50=BAD)
    path = tmp_path / "run_merge_50" / "result.json"
    result = files.read_json(path)
    result["tasks"][0]["verdict"] = "Failed"
    files.write_json(path, result)
    table = fill()
    entry = line(table, "merge_50").entries["VideoMME_wo_sub"]
    assert entry.base is None and not entry.lost and "Failed: too many" in show.render(table, "md")
    assert average([Value(40), Value(60)]) == Value(50)
    assert average([Value(40), Value(60, text="Failed")]) is None is average([Value(40), None])


def test_misprints_are_footnotes_in_every_format(tmp_path: Path) -> None:
    (table,) = tables_of(["aim_poster_adaptive"], [], tmp_path)
    assert "11.14<sup>a</sup>" in show.render(table, "md") and r"\textsuperscript{a}" in show.render(table, "latex")
    assert "<sup>a</sup> labelled l1=14 l2=22, which gives 7.75" in show.render(table, "html")
    assert sheet(table).below[-1].startswith("A letter marks a number that is printed wrongly")


def test_settings_of_one_printed_row_stand_side_by_side(tmp_path: Path) -> None:
    (table,) = tables_of(["aim_table_B"], [], tmp_path)
    (group,) = sheet(table).groups
    temporal, spatial = group[1]
    assert [cell.printed for cell in temporal[1]] == ["57.9", "55.8", "54.5", "50.4", "47.4"]
    assert [cell.printed for cell in spatial[1]] == ["58.5", "58.0", "56.6", "53.6", "52.3"]


def test_a_table_says_which_methods_leave_another_order_than_their_code(tmp_path: Path) -> None:
    (merging,) = tables_of(["aim_poster_merging"], [], tmp_path)
    assert any(note.startswith("aim_merge: what is left stands in raster order here") for note in sheet(merging).below)
    (towers,) = tables_of(["prumerge_table_7"], [], tmp_path)
    assert towers.sorted_by_place == ["evit"]
    assert "evit: what is left stands in raster order" in show.render(towers, "md")


def test_words(tmp_path: Path) -> None:
    with pytest.raises(WinnowError, match="name a table, or all: aim_poster_adaptive, "):
        tables_of(["limit=4"], [], tmp_path)
    with pytest.raises(WinnowError, match="only=fastv is for runs"):
        tables_of(["aim_table_B", "only=fastv"], [], tmp_path)


def test_text_from_data_is_escaped(fill: Fill) -> None:
    table = fill(none=BASE)
    table.commands["<script>"] = "a & b_%"
    table.lines[0] = preset_replace(table.lines[0], label="<script>alert(1)</script> 5%_&")
    page = show.render(table, "html")
    assert "<script>" not in page and "&lt;script&gt;alert(1)" in page
    assert r"alert(1)\textless{}/script\textgreater{} 5\%\_\&" in show.render(table, "latex")


def preset_replace(found: Any, **values: Any) -> Any:
    from dataclasses import replace

    return replace(found, **values)


@pytest.mark.parametrize(
    "name", [NAME, *(pytest.param(name, marks=pytest.mark.full) for name in ("aim_poster_image", "vas_table_1"))]
)
def test_latex_compiles(name: str, tmp_path: Path) -> None:
    (table,) = tables_of([name], [], tmp_path)
    text = show.render(table, "latex")
    rows = [row for row in text.splitlines() if row.endswith(r"\\") and not row.startswith(r"\multicolumn")]
    assert text.count("{") == text.count("}") and len({row.count(" & ") for row in rows}) == 1
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed: the structure alone was checked")
    body = rf"\documentclass{{article}}\usepackage{{booktabs,multirow}}\begin{{document}}{text}\end{{document}}"
    (tmp_path / "t.tex").write_text(body.replace("% \\usepackage{booktabs,multirow}\n", ""))
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
