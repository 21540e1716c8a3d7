"""One row per method, one column per benchmark."""

from pathlib import Path
from typing import Any

import pytest
from written import result, task

from winnow.harness.common import files
from winnow.harness.results.plots.tradeoff import draw
from winnow.harness.results.tables import runs as tables
from winnow.harness.results.tables.matrix import by_method, spread
from winnow.harness.run.result import results_below
from winnow.harness.score.pooled import figure_named
from winnow.harness.tasks.catalogue import MEANS


def a_run(name: str, *tasks: str, share: float = 0.5, **more: Any) -> Any:
    shares = {"entrance": 1.0, "mean": share, "last": 0.25}
    return result(name, *tasks, shares=shares, label=more.pop("label", "fastv"), asked="0.25", **more)


def folded(*found: Any) -> list[dict[str, str]]:
    names = list(dict.fromkeys(one["task"] for each in found for one in each["tasks"]))
    rows = [
        {"model": "pico", "reducer": one["label"], "at": "k=2", "ratio": "0.25"}
        | {t["task"]: str(t["mean"]) for t in one["tasks"]}
        for one in found
    ]
    return by_method(found, rows, names)


def test_runs_of_a_method_are_one_row() -> None:
    found = folded(a_run("a", "pope"), a_run("b", "mme", share=0.7), a_run("c", "pope", label="random"))
    named = {"model": "pico", "at": "k=2", "ratio": "0.25"}
    assert found == [
        named | {"reducer": "fastv", "mean": "60.0", "pope": "50.0", "mme": "50.0"},
        named | {"reducer": "random", "mean": "50.0", "pope": "50.0", "mme": ""},
    ]


@pytest.mark.parametrize("more", [{}, {"seed": 1}, {"limit": 5}])
def test_runs_that_are_no_parts_of_one_table_stay_apart(more: dict[str, Any]) -> None:
    """The same benchmark twice, another seed, another limit."""
    second = ("pope", "mme") if not more else ("mme",)
    assert len(folded(a_run("a", "pope"), a_run("b", *second, **more))) == 2


def test_spread_over_runs() -> None:
    assert spread([a_run("a", "pope"), a_run("b", "mme")], ["pope", "mme"])
    assert not spread([a_run("a", "pope", "mme")], ["pope", "mme"]) and not spread([a_run("a", "pope")], ["pope"])


@pytest.fixture
def swept(tmp_path: Path) -> Path:
    for number, name in enumerate(("pope", "mme")):
        files.write_json(tmp_path / name / "result.json", a_run(f"run{number}", name, day=number + 1))
    return tmp_path


@pytest.mark.parametrize("form", ["rich", "md"])
def test_a_sweep_over_tasks_begins_with_a_row_per_method(
    form: Any, swept: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    tables.show(results_below(swept), swept, form)
    text = capsys.readouterr().out
    head, *rest = text[text.index("model") :].splitlines()
    assert "pope" in head and "mme" in head and "run" not in head
    row, *others = [line for line in rest if "fastv" in line]
    assert row.count("50.0 ± 2.0") == 2 and not [line for line in others if line.count("±") > 1]
    assert "run0" in text and "run1" in text
    tables.show(results_below(swept), swept, form, tables.View(pivot=True))
    assert capsys.readouterr().out.count("fastv") == 1


def test_other_formats_hold_both_tables(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form, mark in ("html", "<table"), ("latex", r"\toprule"):
        tables.show(results_below(swept), swept, form)  # type: ignore[arg-type]
        assert capsys.readouterr().out.count(mark) == 2


def test_a_benchmark_of_several_tasks_is_one_and_its_parts_can_be_had(tmp_path: Path) -> None:
    names = MEANS["tempcompass"]
    whole = a_run("a", *names, cost={"profile": "p", "tflops": 1.0, "flops_share": 0.5, "kv_bytes": 1.0})
    whole["means"] = {"tempcompass": task("tempcompass", 70.0)}
    assert [figure_named(whole, name)["mean"] for name in ("tempcompass", names[0])] == [70, 50]  # type: ignore[index]
    assert figure_named(whole, "pope") is None
    for wanted in (None, "tempcompass", names[0]):
        draw([whole], tmp_path / "out.svg", task=wanted)
        assert (wanted or "tempcompass") in (tmp_path / "out.svg").read_text()
