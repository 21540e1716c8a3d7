"""Numbers of runs: one row a run and task, the same in CSV, Parquet and pandas; chosen, sorted, explained."""

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import winnow
from winnow.harness.common import files
from winnow.harness.results.tables import runs, tidy
from winnow.harness.results.tables.folded import keys_of
from winnow.harness.run.result import results_below
from winnow.reducers.core.errors import WinnowError


def add(folder: Path, name: str, reducer: str, mean: float, context: str = "c", tasks: int = 1, **more: object) -> None:
    listed = [
        {"task": f"quiz{i}", "metric": "right", "mean": mean + i, "low": mean - 5, "high": mean + 5, "documents": 10}
        for i in range(tasks)
    ]
    result = {
        "id": name, "context": context, "settings": name, "status": "complete", "finished": name, "model": "pico",
        "reducer": reducer, "label": reducer, "knobs": {}, "asked": "", "ratio": None, "budget": None, "documents": 10,
        "failed": 0, "shares": {"entrance": 1.0, "mean": 0.5, "last": 0.25}, "cost": None, "tasks": listed,
    } | more  # fmt: skip
    if reducer != "none" and context == "c":
        gap = {"mean": mean - 90, "low": mean - 95, "high": mean - 85, "p": 0.01}
        names = [task["task"] for task in listed]
        result["drop"] = {"baseline": ["base", "base", "clustered by video"], "tasks": dict.fromkeys(names, gap)}
    files.write_json(folder / name / "result.json", result)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    add(tmp_path, "base", "none", 90, tasks=2)
    add(tmp_path, "fast", "fastv", 60, tasks=2)
    add(tmp_path, "slow", "=evil()", 70, tasks=2)
    add(tmp_path, "short", "fastv", 50, context="other", tasks=2, limit=5)
    return tmp_path


def test_every_format_holds_the_same_numbers(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = winnow.load_runs(store)
    assert list(found.columns) == list(tidy.COLUMNS) and len(found) == 8
    assert found["value"].dtype.kind == "f" and found["delta"].dtype.kind == "f" and found["n"].dtype.name == "Int64"
    runs.show(results_below(store), store, "csv")
    read = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["value"]) for row in read] == found["value"].tolist()
    assert {row["label"] for row in read} == {"none", "fastv", "'=evil()"}
    tidy.save(results_below(store), store, store / "a.parquet")
    again = pd.read_parquet(store / "a.parquet")
    assert again["value"].tolist() == found["value"].tolist() and again["run"].tolist() == found["run"].tolist()


def test_an_empty_difference_says_why(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    why = {row["run"]: row["no_delta"] for row in tidy.tidy(results_below(store), store)}
    assert why["base"] == why["fast"] == ""
    assert why["short"] == "the unreduced run has another limit, other documents, settings or versions"
    runs.show(results_below(store), store)
    assert "No Δ of 1: the unreduced run has another limit" in capsys.readouterr().out


def test_rows_are_chosen_and_sorted(store: Path) -> None:
    rows = tidy.tidy(results_below(store), store)
    assert {row["run"] for row in tidy.kept(rows, ["reducer=fastv", "value>=60"])} == {"fast"}
    assert {row["run"] for row in tidy.kept(rows, ["limit="])} == {"base", "fast", "slow"}
    assert {row["run"] for row in tidy.kept(rows, ["label~evil"])} == {"slow"}
    assert [row["run"] for row in tidy.ordered(rows, "-value")][:2] == ["base", "base"]
    assert tidy.ordered(rows, "delta")[-1]["delta"] is None
    for wrong, said in (("reducr=fastv", "did you mean reducer"), ("fastv", "is no condition")):
        with pytest.raises(WinnowError, match=said):
            tidy.kept(rows, [wrong])


def test_the_table_takes_them(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    view = runs.View(columns=("run", "quiz1"), sort="value", where=("task=quiz1",))
    runs.show(results_below(store), store, "md", view)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| run | quiz1 |" and [line.split()[1] for line in lines[2:]] == [
        "short",
        "fast",
        "slow",
        "base",
    ]
    runs.show(results_below(store), store, "md", runs.View(pivot=True))
    head = capsys.readouterr().out.splitlines()[0]
    assert "quiz0" in head and "quiz1" in head and "Δ" not in head
    with pytest.raises(WinnowError, match="did you mean quiz"):
        runs.show(results_below(store), store, "md", runs.View(columns=("quiz",)))


def test_own_runs_print_as_latex_and_html(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.show(results_below(store), store, "latex")
    text = capsys.readouterr().out
    assert r"\begin{table*}" in text and r"\toprule" in text and r"\resizebox" not in text and r"$\Delta$ quiz0" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}")
    add(store, "odd", "<b>&", 10)
    runs.show(results_below(store), store, "html")
    page = capsys.readouterr().out
    assert "&lt;b&gt;&amp;" in page and "<b>&" not in page and page.count("<table") == 2
    assert "$-$30.0" in text and "reducer & ratio" not in text
    head = text.partition(r"\midrule")[0]
    assert "model pico" in head and "mean \\% 50.0" in head and head.split(r"\toprule")[1].count(r"\\") == 1


@pytest.mark.parametrize(
    ("columns", "count", "fast", "row"),
    [
        ("reducer,at,mean,quiz1", 5, 3, "| fastv | 50.0 | 51.0 ± 5.0 |"),
        ("reducer,mean,run", 5, 3, "| fastv | 50.0 | short |"),
        ("limit,value,status,reducer", 9, 5, "| 5 | 50 | complete | fastv |"),
    ],
)
def test_columns_are_one_table_of_what_is_known(
    columns: str, count: int, fast: int, row: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a benchmark lies in some runs alone, so that a table by method would come first."""
    add(store, "more", "fastv", 10, context="more")
    view = runs.View(columns=columns.split(","))
    for form in ("md", "rich"):
        runs.show(results_below(store), store, form, view)  # type: ignore[arg-type]
        text = capsys.readouterr().out
        assert text.count("fastv") == fast and text.count("mean %") == ("mean" in columns)
        assert form == "rich" or (row in text and len(text.splitlines()) == count + 2)
    with pytest.raises(WinnowError, match="--pivot task is for people"):
        runs.show(results_below(store), store, "csv", runs.View(pivot=True))


@pytest.mark.parametrize("form", ["md", "rich"])
def test_runs_of_another_limit_can_be_told_apart(form: Any, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(store, "more", "fastv", 10, context="more", limit=5)
    runs.show(results_below(store), store, form)
    by_method = capsys.readouterr().out.partition("entrance")[0]
    rows = [" ".join(line.split()) for line in by_method.splitlines() if "fastv" in line]
    names = [row.partition("±")[0].rpartition(" ")[0].rpartition(" ")[0] for row in rows]
    assert "limit" in by_method and len(rows) >= 3 and len({*rows}) == len(rows) and len(names) == len(rows)
    assert all(run in by_method for run in ("fast", "short", "more"))


def test_keys_are_no_more_than_it_takes() -> None:
    rows = [{"reducer": "a", "ratio": "1", "limit": str(i), "model": "pico", "run": f"r{i}"} for i in range(2)]
    assert keys_of(rows) == ["reducer", "ratio", "limit"]
    assert keys_of([*rows, rows[0] | {"run": "other"}]) == ["reducer", "ratio", "run"]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("mean<abc", "mean holds numbers, and abc is none"),
        ("limit>", "limit holds numbers, and nothing is none"),
        ("mean<40", "a share from 0 to 1, say mean<0.4"),
        ("flops_share<40", "say flops_share<0.4"),
    ],
)
def test_conditions_on_numbers_take_numbers_of_their_scale(condition: str, said: str, store: Path) -> None:
    with pytest.raises(WinnowError, match=said):
        tidy.kept([], [condition])
    rows = tidy.tidy(results_below(store), store)
    assert len(tidy.kept(rows, ["mean<0.6", "imported=false", "finished<=fast"])) == 4


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WinnowError, match=r"nowhere: there is no such folder"):
        winnow.load_runs(tmp_path / "nowhere")
    assert winnow.load_runs(tmp_path).empty
