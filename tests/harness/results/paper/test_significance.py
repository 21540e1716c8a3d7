"""What the statistics say of a table's rows, made by hand: whom a row is compared with, Holm, retained, the best."""

from pathlib import Path
from typing import Any

import pytest
from papers import compared as difference
from papers import line, ours, preset

from winnow.harness.results.paper import significance
from winnow.harness.results.paper.cell import EXECUTED, Entry
from winnow.harness.results.paper.significance import base_of, best, compared, retained


def test_the_base_is_the_unreduced_row_of_the_same_model_and_frames() -> None:
    first = line("model=a", "reducer=none")
    more = line("model=a", "reducer=none", "model.frames=16")
    other = line("model=b", "reducer=none")
    lines = [first, more, other]
    assert base_of(lines, line("model=a", "reducer=fastv")) is first
    assert base_of(lines, line("model=a", "reducer=fastv", "model.frames=16")) is more
    assert base_of(lines, line("model=a", "reducer=fastv", "model.frames=32")) is first
    assert base_of(lines, line("model=b", "reducer=fastv", "model.frames=16")) is other
    assert base_of(lines, line("reducer=fastv", "model.frames=16")) is more
    assert base_of(lines, line("model=c", "reducer=fastv")) is None


def run(name: str, reducer: str = "fastv", task: str = "qa") -> dict[str, Any]:
    return {"id": name, "reducer": reducer, "tasks": [{"task": task}]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, tuple[str, ...]]]:
    """Which runs are compared on which tasks; the p value is in the first one's name."""
    calls: list[tuple[str, str, tuple[str, ...]]] = []

    def compare(first: Path, second: Path, result: Any, tasks: tuple[str, ...]) -> Any:
        calls.append((first.name, second.name, tasks))
        return difference(float(first.name) if second.name == "base" else float(first.name) / 2)

    monkeypatch.setattr(significance, "compare", compare)
    return calls


def test_rows_are_compared_with_base_and_random_and_adjusted_over_the_table(asked: list[Any]) -> None:
    names = ("0.01", "0.04", "0.03")
    base = line("reducer=none", runs={"qa": run("base", "none")}, QA=ours(60))
    lines = [base, *(line("reducer=fastv", f"ratio={n}", runs={"qa": run(n)}, QA=ours(50)) for n in names)]
    random: Any = {"0.03": run("control", "random")}
    done = compared(preset(), lines, random, Path("runs"))
    assert asked == [
        ("0.01", "base", ("qa",)),
        ("0.04", "base", ("qa",)),
        ("0.03", "base", ("qa",)),
        ("0.03", "control", ("qa",)),
    ]
    cells = [found.entries["QA"] for found in done]
    # Holm: 3 x 0.01; then 2 x 0.03; then 0.04, no less than the one before. One comparison with random: as it is.
    assert [cell.p_base for cell in cells] == [None, pytest.approx(0.03), pytest.approx(0.06), pytest.approx(0.06)]
    assert [cell.p_random for cell in cells] == [None, None, None, pytest.approx(0.015)]
    assert [cell.lost for cell in cells] == [False, True, False, False]


@pytest.mark.parametrize(
    ("entry", "target", "known"),
    [
        (ours(50, text="Failed"), "qa", True),
        (Entry(), "qa", True),
        (ours(50), "qa:judge", True),
        (ours(50), "qa", False),
    ],
)
def test_what_has_no_figure_of_its_own_is_not_compared(
    asked: list[Any], entry: Entry, target: str, known: bool
) -> None:
    base = line("reducer=none", runs={"qa": run("base", "none")}, QA=ours(60))
    other = line("reducer=fastv", runs={"qa": run("0.01")} if known else {}, QA=entry)
    done = compared(preset(QA=target), [base, other], {}, Path("runs"))
    assert asked == [] and done[1].entries["QA"].base is None and done[1].entries["QA"].p_base is None


def test_a_run_is_not_compared_with_itself(asked: list[Any]) -> None:
    one = run("base")
    base, same = (
        line("reducer=none", runs={"qa": one}, QA=ours(60)),
        line("reducer=fastv", runs={"qa": one}, QA=ours(60)),
    )
    assert compared(preset(), [base, same], {}, Path("runs"))[1].entries["QA"].base is None and asked == []


def test_retained_is_the_mean_over_the_benchmarks_that_both_have() -> None:
    table = preset(QA="qa", VQA="vqa", MC="mc")
    base = line("reducer=none", QA=ours(80), VQA=ours(50), MC=ours(70), FLOPs=ours(10))
    own = line("reducer=fastv", QA=ours(60), VQA=ours(45), MC=Entry(), FLOPs=ours(1))
    # 60 / 80 and 45 / 50: 75 % and 90 %; MC is missing, FLOPs are no accuracy.
    assert retained(table, own, [base, own]).retained == pytest.approx(82.5)
    assert retained(table, base, [base, own]).retained is None
    assert retained(table, own, [own]).retained is None
    assert retained(table, line("reducer=fastv", QA=ours(60)), [line("reducer=none", QA=ours(0))]).retained is None


def marked(name: str, *means: float, **more: Any) -> list[bool]:
    lines = [line("reducer=fastv", f"ratio={i}", **more, **{name: ours(mean)}) for i, mean in enumerate(means)]
    return [found.entries[name].best for found in best(lines, [name])]


@pytest.mark.parametrize("name", ["QA", "TTFT speedup"])
def test_most_is_best_of_what_is_won(name: str) -> None:
    assert marked(name, 40, 60, 50) == [False, True, False]
    assert marked(name, 60, 60, 50) == [True, True, False]


@pytest.mark.parametrize(
    "name", ["FLOPs", "Prefill Time", "Total Memory", "Storing Activation", "Img-Memory", EXECUTED]
)
def test_least_is_best_of_what_is_spent(name: str) -> None:
    assert marked(name, 40, 60, 50) == [True, False, False]


def test_nothing_is_the_best_of_one_and_failed_unreduced_and_overhead_rows_do_not_take_part() -> None:
    assert marked("QA", 40) == [False]
    lines = [
        line("reducer=none", QA=ours(90)),
        line("reducer=fastv", QA=ours(80, text="Failed")),
        line("reducer=aim", overhead=("merging",), QA=ours(70)),
        line("reducer=fastv", "ratio=0.5", QA=ours(60)),
        line("reducer=vtw", QA=ours(50)),
        line("reducer=pdrop", QA=Entry()),
    ]
    assert [found.entries["QA"].best for found in best(lines, ["QA"])] == [False, False, False, True, False, False]


def test_each_group_and_base_model_has_its_best() -> None:
    lines = [
        line("model=a", "reducer=fastv", group="50 %", QA=ours(60)),
        line("model=a", "reducer=vtw", group="50 %", QA=ours(50)),
        line("model=a", "reducer=fastv", group="25 %", QA=ours(40)),
        line("model=a", "reducer=vtw", group="25 %", QA=ours(45)),
        line("model=b", "reducer=fastv", group="25 %", QA=ours(30)),
        line("model=b", "reducer=vtw", group="25 %", QA=ours(20)),
    ]
    assert [found.entries["QA"].best for found in best(lines, ["QA"])] == [True, False, False, True, True, False]
