"""Tables, pictures and the command that makes them."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from winnow.harness.cli.commands import look as cli
from winnow.harness.common import console, files
from winnow.harness.results import plots
from winnow.harness.results.exchange.compare import rows as pairs_of
from winnow.harness.results.tables import runs as tables
from winnow.harness.run.result import results_below
from winnow.harness.score import paired_runs as drop
from winnow.harness.score.paired import compare
from winnow.reducers.core.errors import WinnowError

ROOT = Path(__file__).resolve().parents[4]


def add(folder: Path, name: str, scores: list[int], media: Sequence[str] = (), **more: Any) -> Any:
    """Write a finished run with these scores on one task."""
    mean = 100 * sum(scores) / len(scores)
    task = {
        "task": "quiz",
        "metric": "right",
        "mean": mean,
        "low": mean - 5,
        "high": mean + 7,
        "documents": len(scores),
    }
    result: dict[str, Any] = {
        "id": name, "context": "context", "settings": name, "status": "complete", "finished": "2026-01-01T00:00:00",
        "model": "pico", "reducer": "fastv", "label": "fastv", "knobs": {"schedule": "k=5"}, "asked": "0.25",
        "ratio": 0.25, "budget": None, "documents": len(scores), "failed": 0,
        "shares": {"entrance": 1.0, "mean": 0.71875, "last": 0.25},
        "cost": {"profile": "llm-viewer-compat", "tflops": 0.000544, "flops_share": 0.712, "kv_bytes": 312000.0},
        "tasks": [task | {"failed": 0, "lmms_eval": mean / 100}],
    } | more  # fmt: skip
    files.write_json(folder / name / "result.json", result)
    rows: list[dict[str, Any]] = [
        {"task": "quiz", "doc_id": i, "metric": "right", "score": float(s)} for i, s in enumerate(scores)
    ]
    rows = [row | {"media": name} for row, name in zip(rows, media, strict=True)] if media else rows
    pq.write_table(pa.Table.from_pylist(rows), folder / name / "scores.parquet")
    return result


def baseline(folder: Path, name: str = "base", scores: Sequence[int] = (1,) * 9 + (0,), **more: Any) -> Any:
    whole = {"shares": {"entrance": 1.0, "mean": 1.0, "last": 1.0}, "asked": "", "knobs": {}, "ratio": None}
    return add(folder, name, [*scores], reducer="none", label="none", **whole | more)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    baseline(tmp_path)
    add(tmp_path, "fast", [1] * 6 + [0] * 4)
    return tmp_path


def test_row(results: Path) -> None:
    base, fast = tables.rows(results_below(results), results)
    assert base["reducer"] == "none" and base["Δ quiz"] == "" and base["at"] == ""
    assert fast == {
        "model": "pico", "reducer": "fastv", "at": "k=5", "ratio": "0.25", "entrance": "100.0", "mean": "71.9",
        "last": "25.0", "quiz": "60.0 ± 6.0", "Δ quiz": fast["Δ quiz"], "Δ random quiz": "",
        "TFLOPs (llm-viewer-compat)": "0.000544", "FLOPs % (llm-viewer-compat)": "71.2",
        "KV MB": "0.312", "n": "10", "run": "fast",
    }  # fmt: skip
    assert fast["Δ quiz"].startswith("-30.0 ± ")


def test_drop_is_paired_and_kept_with_the_result(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {result["id"]: result for result in results_below(results)}
    (kept,) = drop.drops(found["fast"], found["base"], results).values()
    assert kept["mean"] == -30 and kept["low"] < -30 < kept["high"] and 0 < kept["p"] < 1
    assert drop.drops(found["base"], found["base"], results) == {} == drop.drops(found["fast"], None, results)
    drop.settle(list(found.values()), results)
    monkeypatch.setattr("winnow.harness.score.paired.compare", lambda *args: pytest.fail("compared again"))
    again = {result["id"]: result for result in results_below(results)}
    assert drop.drops(again["fast"], again["base"], results) == {"quiz": kept}
    monkeypatch.undo()
    newer = baseline(results, finished="2026-01-02T00:00:00")
    assert drop.drops(again["fast"], newer, results) == {"quiz": kept}


def test_runs_on_different_documents_are_not_compared(results: Path) -> None:
    fast = add(results, "other", [1] * 7)
    with pytest.raises(WinnowError, match="other and base hold different documents of task 'quiz'"):
        drop.drops(fast, results_below(results)[0], results)


def test_other_contexts_have_other_baselines(results: Path) -> None:
    add(results, "elsewhere", [1] * 10, context="another")
    rows = tables.rows(results_below(results), results)
    assert [row["Δ quiz"] == "" for row in rows if row["run"] == "elsewhere"] == [True]


def test_incomplete_run_says_so_and_is_no_baseline(tmp_path: Path) -> None:
    baseline(tmp_path, status="incomplete", failed=3, shares=None, cost=None)
    add(tmp_path, "fast", [1] * 10)
    base, fast = tables.rows(results_below(tmp_path), tmp_path)
    assert base["run"] == "base incomplete: 3 failed" and base["mean"] == "" and fast["Δ quiz"] == ""


def test_budget_is_shown_beside_what_was_achieved(tmp_path: Path) -> None:
    add(
        tmp_path,
        "fast",
        [1],
        asked="mean 0.7",
        budget={"kind": "mean", "asked": 0.7, "planned": 0.7, "achieved": 0.7188},
    )
    (row,) = tables.rows(results_below(tmp_path), tmp_path)
    assert row["ratio"] == "mean 0.7 → 0.719"


def test_outdated_runs_are_left_out(results: Path) -> None:
    add(results, "newer", [1] * 10, settings="fast", finished="2026-01-02T00:00:00")
    assert {result["id"] for result in results_below(results)} == {"base", "newer"}
    assert len(results_below(results, outdated=True)) == 3


def test_the_command_says_what_it_hides(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(1, 3):
        add(results, f"newer{number}", [1] * 10, settings="fast", finished=f"2026-01-0{number + 1}T00:00:00")
        cli.tables(form="csv", results=results)
        said = capsys.readouterr()
        runs, them = ("run", "it") if number == 1 else ("runs", "them")
        assert (
            said.err == f"{number} {runs} of older code hidden, --all shows {them}\n"
            and len(said.out.splitlines()) == 3
        )
    cli.tables(form="csv", results=results, outdated=True)
    said = capsys.readouterr()
    assert said.err == "" and len(said.out.splitlines()) == 5


def test_tables_and_compare_say_the_same_of_questions_about_one_video(tmp_path: Path) -> None:
    media = [f"v{i // 3}.mp4" for i in range(30)]
    baseline(tmp_path, scores=[1] * 30, media=media)
    fast = add(tmp_path, "fast", [0] * 6 + [1] * 24, media=media)
    drop.settle(results_below(tmp_path), tmp_path)
    stored = results_below(tmp_path)[1]["drop"]["tasks"]["quiz"]
    found = compare(tmp_path / "fast", tmp_path / "base", fast, ["quiz"])
    assert stored == found.plain() and (found.samples, found.videos) == (30, 10)
    assert found.difference.p == pytest.approx(0.5)  # two videos of three questions lost: two coins agree
    (row,) = pairs_of([(tmp_path / "fast", tmp_path / "base")])
    interval = f"{stored['mean']:+.1f} [{stored['low']:+.1f}, {stored['high']:+.1f}]"
    assert row["A - B"] == interval and row["videos"] == "10"


def test_a_comparison_by_another_method_is_made_anew(results: Path) -> None:
    found = {result["id"]: result for result in results_below(results)}
    old = {"baseline": ["base", found["base"]["finished"]], "tasks": {"quiz": {"mean": 1, "low": 0, "high": 2, "p": 0}}}
    stale = found["fast"] | {"drop": old}
    assert drop.drops(stale, found["base"], results)["quiz"]["mean"] == -30


def test_a_damaged_result_is_one_line(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "fast" / "scores.parquet").unlink()
    tables.show(results_below(results), results, "csv")
    assert "fast/scores.parquet is missing: run fast again with force=true" in capsys.readouterr().out
    (results / "fast" / "result.json").write_text('{"id": "fast"}')
    assert "fast" not in {result["id"] for result in results_below(results)}
    assert re.search(r"fast/result\.json is damaged, it lacks context, .*: run it again", capsys.readouterr().err)


@pytest.mark.parametrize("change", [{"finished": None}, {"id": 3}, {"id": "../base"}, {"tasks": None}, {"cost": "x"}])
def test_a_result_of_other_types_stops_no_table(
    results: Path, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = results / "fast" / "result.json"
    files.write_json(path, files.read_json(path) | change)
    tables.show(results_below(results), results, "csv")
    said = capsys.readouterr()
    assert "base" in said.out and "fast" not in said.out
    assert said.err.startswith(f"left out: {path} is ") and said.err.count("\n") == 1


def test_formats_hold_the_same(results: Path) -> None:
    table = tables.rows(results_below(results), results)
    read = list(csv.DictReader(io.StringIO(console.render(table, "csv"))))
    assert read == [{name: row[name] for name in read[0]} for row in table]
    lines = console.render(table, "md").splitlines()
    assert len(lines) == 4 and re.fullmatch(r"\| (--- \| )*--- \|", lines[1])
    assert len({line.count("|") for line in lines}) == 1


def command(*args: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    path = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    return subprocess.run(
        [sys.executable, "-m", "winnow.harness.cli.main", *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=path,
    )


def test_command_prints_every_column_whole(results: Path) -> None:
    done = command("tables", "--results", str(results))
    assert done.returncode == 0 and done.stderr == ""
    for word in ("entrance %", "Δ quiz", "KV MB", "60.0 ± 6.0", "fast"):
        assert word in done.stdout
    assert "…" not in done.stdout
    assert command("tables", "--results", str(results), "--format", "md").stdout.startswith("| model | reducer |")


def test_command_without_runs(tmp_path: Path) -> None:
    done = command("tables", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: there are no runs in results/runs: make some with run.py, or say --results FOLDER\n"


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plot(results: Path, tmp_path: Path, suffix: str) -> None:
    add(results, "slow", [1] * 8 + [0] * 2, asked="0.5", shares={"entrance": 1.0, "mean": 0.8125, "last": 0.5})
    out = tmp_path / "docs" / f"curve.{suffix}"
    plots.draw(results_below(results), out)
    first = out.read_bytes()
    assert len(first) > 5000
    plots.draw(results_below(results), out)
    assert out.read_bytes() == first


def test_plot_asks_where_there_is_a_choice(results: Path, tmp_path: Path) -> None:
    add(results, "another", [1], model="llava_ov")
    with pytest.raises(WinnowError, match=r"--model is missing: choose llava_ov \| pico"):
        plots.draw(results_below(results), tmp_path / "curve.png")
    plots.draw(results_below(results), tmp_path / "curve.png", model="pico", task="quiz")
    with pytest.raises(WinnowError, match="--task nope: choose quiz"):
        plots.draw(results_below(results), tmp_path / "curve.png", model="pico", task="nope")
    with pytest.raises(WinnowError, match=r"curve\.gif is not allowed: choose a name that ends in \.pdf, \.png, \.svg"):
        plots.draw(results_below(results), tmp_path / "curve.gif", model="pico")


def test_commands_in_this_process(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.tables(form="csv", results=results)
    assert capsys.readouterr().out.splitlines()[0].startswith("run,model,reducer,label,at,asked,ratio")
    cli.plot(out=tmp_path / "curve.png", results=results)
    assert capsys.readouterr().out.strip() == str(tmp_path / "curve.png")
    assert json.loads((results / "fast" / "result.json").read_text())["drop"]["tasks"]["quiz"]["mean"] == -30
