"""Runs against runs, stores against stores, and all of it in one file and back."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
import written

from winnow.harness.cli.commands import look as cli
from winnow.harness.common import files
from winnow.harness.common.run_files import read_scores
from winnow.harness.results.exchange import archive as store
from winnow.harness.results.exchange import compare
from winnow.harness.run.result import results_below
from winnow.reducers.core.errors import WinnowError


def add(folder: Path, name: str, values: list[float], **more: Any) -> None:
    task = {"task": "quiz", "metric": "right", "mean": 100 * sum(values) / len(values), "low": 0.0, "high": 100.0}
    result = {
        "id": name, "settings": name[:4], "context": "c", "status": "complete", "finished": "2026-01-01",
        "model": "pico", "reducer": "fastv", "label": "fastv", "asked": "0.25", "knobs": {},
        "documents": len(values), "failed": 0, "shares": None, "cost": None, "budget": None,
        "ratio": 0.25, "tasks": [task],
    } | more  # fmt: skip
    files.write_json(folder / name / "result.json", result)
    rows = [{"task": "quiz", "doc_id": i, "metric": "right", "score": v, "stratum": ""} for i, v in enumerate(values)]
    pq.write_table(pa.Table.from_pylist(rows), folder / name / "scores.parquet")
    media = [{"task": "quiz", "doc_id": i, "media": f"v/{i // 2}.mp4"} for i in range(len(values))]
    pq.write_table(pa.Table.from_pylist(media), folder / name / "traces.parquet")


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Path, Path]:
    mine, yours = tmp_path / "mine", tmp_path / "yours"
    add(mine, "aaaa1", [1.0] * 60 + [0.0] * 20)
    add(yours, "aaaa2", [1.0] * 59 + [0.0] * 21)
    add(mine, "bbbb1", [1.0] * 80)
    add(yours, "bbbb2", [1.0] * 40 + [0.0] * 40)
    add(mine, "cccc1", [0.5, 0.25] * 40)
    add(yours, "cccc2", [0.5, 0.25] * 40)
    add(mine, "only1", [1.0])
    return mine, yours


def test_two_stores(stores: tuple[Path, Path]) -> None:
    noise, differ, same = compare.rows(compare.pairs(str(stores[0]), str(stores[1]), stores[0]))
    assert noise["verdict"] == "within noise" and noise["agree %"] == "98.8" and noise["A - B"].startswith("+1.2 [")
    assert differ["verdict"] == "differ" and differ["A"] == "100.0" and differ["B"] == "50.0"
    assert same["verdict"] == "identical" and (same["n"], same["videos"]) == ("80", "40")


def test_two_runs(stores: tuple[Path, Path]) -> None:
    (row,) = compare.rows(compare.pairs("aaaa", str(stores[1] / "bbbb2"), stores[0]))
    assert row["A - B"].startswith("+25.0") and row["verdict"] == "differ"
    with pytest.raises(WinnowError, match="zzzz is no run in"):
        compare.pairs("aaaa", "zzzz", stores[0])
    with pytest.raises(WinnowError, match="is a folder of runs, and the other is not: compare two runs, or two"):
        compare.pairs(str(stores[0]), "aaaa", stores[0])
    add(stores[0].parent / "third", "dddd1", [1.0])
    with pytest.raises(WinnowError, match="hold no run of the same settings"):
        compare.pairs(str(stores[0]), str(stores[0].parent / "third"), stores[0])


def test_runs_of_other_tasks_do_not_compare(tmp_path: Path) -> None:
    task = {"task": "other", "metric": "right", "mean": 50.0, "low": 0.0, "high": 100.0}
    add(tmp_path, "aaaa1", [1.0])
    add(tmp_path, "bbbb1", [1.0], tasks=[task])
    with pytest.raises(WinnowError, match="aaaa and bbbb share no task with scores: compare runs of the same tasks"):
        compare.compared("aaaa", "bbbb", tmp_path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_results_come_back_as_they_were(stores: tuple[Path, Path], suffix: str, tmp_path: Path) -> None:
    out, back = tmp_path / f"all{suffix}", tmp_path / "back"
    assert store.write(stores[0], out) == 4
    assert store.read(out, back) == ([f"imported-{name}" for name in ("aaaa1", "bbbb1", "cccc1", "only1")], [])
    assert store.read(out, back) == ([], [])
    assert results_below(back) == [one | {"id": f"imported-{one['id']}"} for one in results_below(stores[0])]  # type: ignore[operator]
    for result in results_below(stores[0]):
        assert read_scores(back / f"imported-{result['id']}") == read_scores(stores[0] / result["id"])
    assert {row["verdict"] for row in compare.rows(compare.pairs(str(stores[0]), str(back), back))} == {"identical"}


def test_other_files_are_refused(tmp_path: Path) -> None:
    pd.DataFrame({"x": [1]}).to_csv(tmp_path / "x.csv")
    with pytest.raises(WinnowError, match=r"x\.csv was not written by `winnow export`"):
        store.read(tmp_path / "x.csv", tmp_path)
    for name in ("z.parquet", "z.csv"):
        (tmp_path / name).write_bytes(b'"1,\n2,3,4\n\xff')
        with pytest.raises(WinnowError, match="was not written by `winnow export`: it cannot be read as"):
            store.read(tmp_path / name, tmp_path)
    with pytest.raises(WinnowError, match="does not exist"):
        store.read(tmp_path / "y.csv", tmp_path)
    with pytest.raises(WinnowError, match=r"y\.txt is not allowed: choose a name that ends in \.parquet or \.csv"):
        store.write(tmp_path, tmp_path / "y.txt")
    with pytest.raises(WinnowError, match="there are no finished runs"):
        store.write(tmp_path, tmp_path / "y.csv")


@pytest.mark.parametrize("bound", ["LARGEST", "MOST"])
def test_a_file_of_more_than_is_read_is_refused_before_it_is(
    stores: tuple[Path, Path], tmp_path: Path, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parquet as it would be unpacked: 3,000 equal lines take fewer bytes than they stand for."""
    store.write(stores[0], tmp_path / "all.parquet")
    table = pd.read_parquet(tmp_path / "all.parquet")
    pd.concat([table[:1]] * 3000).assign(doc_id=range(3000)).to_parquet(tmp_path / "many.parquet")
    packed = (tmp_path / "many.parquet").stat().st_size
    monkeypatch.setattr(store, bound, {"LARGEST": packed, "MOST": 2999}[bound])
    with pytest.raises(WinnowError, match=r"many\.parquet has \d+ bytes and 3000 lines: at most "):
        store.read(tmp_path / "many.parquet", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_an_imported_run_stands_for_no_computed_one(stores: tuple[Path, Path], tmp_path: Path) -> None:
    """Neither for one that is there, nor for one that is to come; and a newer one hides none computed here."""
    mine, yours = stores
    add(yours, "aaaa1", [0.0], finished="2027-01-01")
    store.write(yours, tmp_path / "all.csv")
    before = (mine / "aaaa1/result.json").read_bytes()
    store.read(tmp_path / "all.csv", mine)
    assert (mine / "aaaa1/result.json").read_bytes() == before
    shown = [result["id"] for result in results_below(mine) if result["settings"] == "aaaa"]
    assert shown == ["imported-aaaa1", "aaaa1"]


def test_a_run_and_one_imported_under_its_name_both_arrive(stores: tuple[Path, Path], tmp_path: Path) -> None:
    mine, _ = stores
    add(mine, "imported-aaaa1", [0.0], finished="2025-01-01")
    add(mine, "dddd1", [0.0], reducer="random", knobs={"like": "imported-aaaa1"})
    store.write(mine, tmp_path / "all.csv")
    new, bad = store.read(tmp_path / "all.csv", tmp_path / "back")
    assert not bad and {"imported-aaaa1", "imported-imported-aaaa1"} <= {*new} and len(new) == 6
    finished = {result["id"]: result["finished"] for result in results_below(tmp_path / "back", outdated=True)}
    assert (finished["imported-aaaa1"], finished["imported-imported-aaaa1"]) == ("2026-01-01", "2025-01-01")
    replay = files.read_json(tmp_path / "back/imported-dddd1/result.json")
    assert replay["knobs"]["like"] == "imported-imported-aaaa1"
    assert store.read(tmp_path / "all.csv", tmp_path / "back") == ([], [])


def test_another_run_of_a_name_that_is_taken_is_told(stores: tuple[Path, Path], tmp_path: Path) -> None:
    mine, _ = stores
    store.write(mine, tmp_path / "all.csv")
    store.read(tmp_path / "all.csv", tmp_path / "back")
    add(mine, "aaaa1", [0.0], finished="2027-01-01")
    store.write(mine, tmp_path / "all.csv")
    new, (line,) = store.read(tmp_path / "all.csv", tmp_path / "back")
    assert not new and "imported-aaaa1 is another run of that name: delete its folder to take this one" in line


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"run": "../../out"}, "is no name of a run or a task"),
        ({"run": ""}, "is no name of a run or a task"),
        ({"run": ".hidden"}, "is no name of a run or a task"),
        ({"run": "a/b"}, "is no name of a run or a task"),
        ({"result": '{"tasks": [{"task": "../x"}]}'}, "is no name of a run or a task"),
        ({"result": "{"}, "Expecting"),
        ({"result": "[]"}, "it holds no result"),
        ({"result": "[" * 9999}, "it is nested too deep"),
        ({"result": '{"tasks": [{"task": "quiz"}]}'}, "its result is damaged, it lacks id, context, settings"),
        (
            {"result": json.dumps(written.result("aaaa1", "quiz") | {"cost": "x"})},
            "its result is damaged, cost is 'x', no map",
        ),
        ({"result": json.dumps(written.result("aaaa1", "quiz", status="failed"))}, "it is not complete"),
        ({"task": "another"}, "it scores a task that it does not have"),
    ],
)
def test_a_forged_member_is_one_line_and_stops_no_other(
    stores: tuple[Path, Path], tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    store.write(stores[0], tmp_path / "all.csv")
    table = pd.read_csv(tmp_path / "all.csv", keep_default_na=False)
    first = table["run"] == "aaaa1"
    for name, value in change.items():
        table.loc[first, name] = value
    table.to_csv(tmp_path / "forged.csv", index=False)
    new, (line,) = store.read(tmp_path / "forged.csv", tmp_path / "back")
    assert len(new) == 3 and reason in line and "\n" not in line
    assert {path.name for path in tmp_path.iterdir()} == {"all.csv", "back", "forged.csv", "mine", "yours"}


def missing(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def of_text(path: Path) -> None:
    pd.read_parquet(path).assign(score="x").to_parquet(path)


def of_others(path: Path) -> None:
    pd.DataFrame({"x": [1]}).to_parquet(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [missing, cut, of_text, of_others, a_folder])
def test_a_run_without_its_scores_is_one_line_and_stops_no_other(
    stores: tuple[Path, Path], tmp_path: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    mine, yours = stores
    path = mine / "aaaa1" / "scores.parquet"
    damage(path)
    said = f"{path} is {'missing' if damage is missing else 'damaged'}: run aaaa1 again with force=true"
    assert store.write(mine, tmp_path / "all.csv") == 3
    assert capsys.readouterr().err == f"left out: {said}\n"
    assert len(compare.rows(compare.pairs(str(mine), str(yours), mine))) == 2
    assert capsys.readouterr().err == f"left out: {said}\n"
    with pytest.raises(WinnowError, match=re.escape(said)):
        compare.compared("aaaa1", str(yours / "aaaa2"), mine)


def test_commands(stores: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.export_(tmp_path / "a.csv", stores[0])
    with pytest.raises(typer.Exit) as done:
        cli.import_(tmp_path / "a.csv", tmp_path / "new")
    assert done.value.exit_code == 0
    cli.compare(str(stores[0]), str(tmp_path / "new"), "csv", tmp_path)
    said = capsys.readouterr().out
    assert "4 runs" in said and "4 new runs" in said and said.count("identical") == 4
    assert json.loads((tmp_path / "new/imported-aaaa1/result.json").read_text())["id"] == "imported-aaaa1"
