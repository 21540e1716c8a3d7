"""From readings to units and their worth, with benchmarks made by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from marked import benchmark, mark
from values import usual

from winnow.harness.score.benchmarks import _submit
from winnow.harness.score.marking import Mark, Unit, break_down, figure_of, units


@pytest.mark.parametrize(
    ("status", "parsed", "counts"),
    [("ok", True, True), ("ok", False, False), ("failed", True, False), ("failed", False, False)],
)
def test_an_answer_counts_that_is_there_and_can_be_understood(status: str, parsed: bool, counts: bool) -> None:
    found = mark(1, 0.7, status, parsed)
    assert (found.score, found.parsed) == (0.7 if counts else 0.0, counts)


def test_a_mark_and_a_unit_say_as_little_as_there_is() -> None:
    assert usual(Mark) == {"value": None, "readings": None} and usual(Unit) == {"counted": True}


PAIR = [mark(1, 1.0, group="a", kind="x"), mark(2, 0.0, group="b", kind="y"), mark(3, 0.0, group="a", kind="x")]


def test_each_document_is_a_unit_unless_several_count_together() -> None:
    assert [unit.value for unit in units(benchmark(), PAIR)] == [1, 0, 0]
    both = units(benchmark(unit=lambda doc: doc["group"]), PAIR)
    assert [(unit.value, unit.first.doc_id) for unit in both] == [(0.5, 1), (0, 2)]


@pytest.mark.parametrize(
    ("worth", "scores", "value"),
    [
        ("mean", (1, 0, 1, 1), 0.75), ("all", (1, 0, 1, 1), 0), ("all", (1, 1), 1), ("all", (1, 0.9), 0),
        ("mean+all", (1, 1), 2), ("mean+all", (1, 0), 0.5),
        (lambda pairs: sum(doc["w"] * score for doc, score in pairs), (1, 0.5), 1 * 0 + 0.5 * 1),
    ],
)  # fmt: skip
def test_what_a_unit_is_worth(worth: Any, scores: tuple[float, ...], value: float) -> None:
    marks = [mark(number, float(score), w=number) for number, score in enumerate(scores)]
    (unit,) = units(benchmark(unit=lambda doc: "one", worth=worth), marks)
    assert unit.value == value


@pytest.mark.parametrize(
    ("strata", "names"),
    [(None, ["", "", ""]), ("kind", ["x", "y", "x"]), (lambda doc: doc["kind"] * 2, ["xx", "yy", "xx"])],
)
def test_strata_are_those_of_the_first_document(strata: Any, names: list[str]) -> None:
    assert [unit.stratum for unit in units(benchmark(strata=strata), PAIR)] == names


def test_a_figure_goes_over_strata_and_clusters() -> None:
    by_kind = benchmark(strata="kind")
    assert figure_of(by_kind, units(by_kind, PAIR)).mean == pytest.approx(0.25)
    total = benchmark(strata="kind", combine="sum")
    assert figure_of(total, units(total, PAIR)).mean == pytest.approx(0.5)
    apart, shared = (
        [mark(n, float(n % 2), media=f"{name}{n // 2}" if name else "") for n in range(8)] for name in ("", "v")
    )
    wide, narrow = (figure_of(benchmark(), units(benchmark(), marks)) for marks in (apart, shared))
    assert wide.mean == narrow.mean == 0.5
    same = [mark(n, float(n > 3), media=f"v{n // 4}") for n in range(8)]  # a video is all right or all wrong
    assert figure_of(benchmark(), units(benchmark(), same)).high > wide.high


def test_parts_of_the_break_down() -> None:
    made = benchmark(breakdown=("kind", "group"), counted=lambda doc: doc["group"] == "a")
    found = units(made, PAIR)
    assert [unit.counted for unit in found] == [True, False, True]
    assert {name: [unit.first.doc_id for unit in part] for name, part in break_down(made, found).items()} == {
        "kind x": [1, 3], "kind y": [2], "group a": [1, 3], "group b": [2], "others": [2],
    }  # fmt: skip
    assert break_down(benchmark(), found[:1]) == {}


@pytest.mark.parametrize(
    ("task", "written"), [("egoschema", '{"a": 1, "b": 2}\n'), ("other", '[{"a": 1}, null, {"b": 2}]\n')]
)
def test_answers_are_written_as_the_server_takes_them(task: str, written: str, tmp_path: Path) -> None:
    marks = [replace(mark(number), value=value) for number, value in enumerate([{"a": 1}, None, {"b": 2}])]
    path = _submit(benchmark(task=task), marks, tmp_path)
    assert (path.name, path.read_text()) == (f"submission_{task}.json", written)
