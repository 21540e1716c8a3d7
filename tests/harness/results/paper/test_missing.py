"""What a table lacks, and the commands that fill it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from papers import preset

from winnow.harness.config.preset import PaperRow, Preset
from winnow.harness.results.paper.missing import FOLDER, commands

RUN = "python run.py experiment=p"
ROWS = ("none", "fastv", "random", "tome")


def table(**tasks: str) -> Preset:
    rows = tuple(PaperRow(name, set=(f"reducer={name}",)) for name in ROWS)
    return replace(preset(**(tasks or {"A": "a", "B": "b"})), rows=rows)


def result(row: str, judged: bool = True) -> Any:
    figure: dict[str, Any] = {"task": "a", "mean": 1.0}
    if judged:
        figure["judge"] = {"mean": 1.0, "score": 2.0}
    return {"id": f"run_{row}", "reducer": row, "tasks": [figure]}


def told(
    made: Preset, lacking: dict[str, str], *words: str, random: tuple[str, ...] = ROWS, folder: Path = FOLDER,
    unjudged: tuple[str, ...] = (),
) -> dict[str, str]:  # fmt: skip
    """Commands of a table whose rows lack the tasks named by letters, and have the others."""
    planned: Any = [SimpleNamespace(part=SimpleNamespace(row=row, task=task)) for row in ROWS for task in "ab"]
    runs = {
        row: {task: result(row, row not in unjudged) for task in "ab" if task not in lacking.get(row, "")}
        for row in ROWS
    }
    controls = {f"run_{row}": result(row) for row in random}
    return commands(made, planned, runs, controls, words, folder)


def test_nothing_is_missing() -> None:
    assert told(table(), {}) == {}


def test_the_whole_table_is_one_command_with_the_words_and_the_folder() -> None:
    all_of_it = dict.fromkeys(ROWS, "ab")
    assert told(table(), all_of_it) == {"the whole table": RUN}
    assert told(table(), all_of_it, "limit=4", folder=Path("x")) == {"the whole table": f"{RUN} limit=4 results=x"}
    assert told(table(), all_of_it, "results=y", folder=Path("y")) == {"the whole table": f"{RUN} results=y"}
    assert "the whole table" not in told(table(), all_of_it | {"tome": "a"})


def test_a_row_that_is_wholly_missing_and_one_that_lacks_a_task() -> None:
    found = told(table(), {"fastv": "ab", "tome": "b"}, "limit=4")
    assert found == {"fastv: a, b": f"{RUN} only=fastv limit=4", "tome: b": f"{RUN} only=[tome,b] limit=4"}


def test_runs_without_a_control_at_equal_budget() -> None:
    """What is unreduced or itself at random needs none, nor does a row without a run."""
    both = "random at equal budget (fastv, tome)"
    assert told(table(), {}, random=()) == {both: f"{RUN} only=[fastv,tome] controls=true"}
    one = "random at equal budget (tome)"
    assert told(table(), {}, "limit=4", random=("fastv",)) == {one: f"{RUN} only=[tome] controls=true limit=4"}
    without = replace(table(), rows=tuple(row for row in table().rows if row.key != "random"))
    assert told(without, {}, random=()) == {both: f"{RUN} controls=true"}  # all that could have one
    lacking = told(table(), {"tome": "ab"}, random=())
    assert lacking["random at equal budget (fastv)"] == f"{RUN} only=[fastv] controls=true"


def test_runs_without_the_judges_score() -> None:
    made = table(A="a:score")
    assert told(made, {}) == {}
    said = {"scores by a language model": "winnow judge run_fastv && winnow judge run_tome"}
    assert told(made, {}, unjudged=("fastv", "tome")) == said
    assert told(table(), {}, unjudged=("fastv",)) == {}
    (word,) = told(made, {}, unjudged=("tome",), folder=Path("x")).values()
    assert word == "winnow judge run_tome --results x"
