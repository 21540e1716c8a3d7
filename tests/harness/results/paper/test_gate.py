"""The gate, on rows made by hand."""

import pytest
from papers import TASK, line, ours, preset

from winnow.harness.results.paper.gate import check


@pytest.mark.parametrize(
    ("value", "speaks"), [(47.9, True), (48.0, False), (50.0, False), (52.0, False), (52.1, True), (None, False)]
)
def test_it_speaks_where_the_printed_figure_lies_outside_our_interval_on_either_side(
    value: float | None, speaks: bool
) -> None:
    found = check(preset(), [line("reducer=none", **{TASK: ours(50, 2, value=value)})])
    assert bool(found) == speaks
    assert not speaks or found[0].startswith(f"reducer=none on QA: 50.0 [48.0, 52.0] here, {value:g} printed. ")


def test_it_asks_unreduced_rows_and_benchmarks_with_an_interval_alone() -> None:
    off = ours(50, 2, value=90)
    assert check(preset(), [line("reducer=fastv", QA=off)]) == []
    assert check(preset(), [line("reducer=none", FLOPs=off)]) == []
    assert check(preset(), [line("reducer=none", QA=ours(50, None, value=90))]) == []
    assert len(check(preset(QA="qa", VQA="vqa"), [line("reducer=none", QA=off, VQA=off)])) == 2


def test_likely_reasons_name_the_limit_and_the_frames() -> None:
    row = line(
        "reducer=none", "model.frames=16", runs={"a": {"limit": None}, "b": {"limit": 40}}, QA=ours(50, 2, value=1)
    )
    (said,) = check(preset(), [row])
    assert "limit=40 documents; " in said and "frames (here model.frames=16)" in said
    (bare,) = check(preset(), [line("reducer=none", QA=ours(50, 2, value=1))])
    assert "limit=" not in bare and "frames (here the model's default)" in bare
