"""Printed cost cells beside what their parameters give, on cases made by hand."""

from typing import Any

import pytest
from values import usual

from winnow.harness.cost import llm_viewer
from winnow.harness.cost.hardware import hardware
from winnow.harness.cost.shape import LLMShape
from winnow.harness.results.paper import cost_cells
from winnow.harness.results.paper.cost_cells import CostCell, rows, tokens
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.site import Site

LISTED = {"layers": 4, "hidden": 64, "heads": 4, "kv_heads": 2, "mlp": 100, "vocab": 1000, "mlp_add": True}
SHAPE = LLMShape.from_arch(LISTED)
USUAL: dict[str, Any] = {"machine": "a100_40g", "dtype": "float16", "basis": "repo", "llm": "small", "text": 10}
LINES = [
    {"row": f"{row}", "row_label": f"row {row}", "metric": metric, "unit": unit, "value": "2.5"}
    for row in (1, 2, 3)
    for metric, unit in (("FLOPs", "TB"), ("Prefill Time", "ms"), ("Accuracy", "%"))
]


def cell(printed: str, ours: float, **more: Any) -> CostCell:
    return CostCell("t", "1", "label", "FLOPs", "TB", printed, ours, "parameters", "repo", **more)


@pytest.mark.parametrize(
    ("printed", "ours", "rounds"),
    [("2.5", 2.549, True), ("2.5", 2.551, False), ("2.50", 2.549, True), ("2.51", 2.514, True), ("2.51", 2.516, False),
     ("250", 250.4, True), ("250", 250.6, False), ("100", 99.5, True), ("2.0", 2.4, True)],
)  # fmt: skip
def test_rounding_to_the_printed_digits(printed: str, ours: float, rounds: bool) -> None:
    assert cell(printed, ours).rounds == rounds


def test_a_cell_is_right_until_it_is_said_why_not() -> None:
    assert usual(CostCell) == {"why": "", "slip": None}
    assert cell("2.5", 2.55).rounds and cell("3", 3.5).rounds and not cell("3", 3.5 + 1e-8).rounds


@pytest.mark.usefixtures("published")
def test_a_unit_of_gigabytes_is_a_thousandth_of_a_teraflop(monkeypatch: pytest.MonkeyPatch) -> None:
    case = USUAL | {"cells": {"t": [1]}, "visual": 100, "why": "slip", "slip": {"visual": 50}, "basis": "fit"}
    tera, _ = cost_cells._case(case, {"small": LISTED})
    small = [one | {"unit": "GB"} for one in LINES] + [LINES[0] | {"metric": "Total Memory", "unit": "GB"}]
    monkeypatch.setattr(cost_cells, "read", lambda file: small)
    giga, time, memory = cost_cells._case(case, {"small": LISTED})
    assert (giga.ours, giga.slip) == (1e3 * tera.ours, 1e3 * (tera.slip or 0)) and giga.basis == "fit"
    figures = cost_cells._figures(case, {"small": LISTED})
    assert (time.ours, memory.ours) == (figures["Prefill Time"], figures["Total Memory"])


def test_error_is_relative_to_print() -> None:
    assert cell("2.5", 2.0).error == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("case", "counts"),
    [
        ({"visual": 100}, [110] * 4),
        ({"visual": {0: 100, 1: 60, 3: 7}}, [110, 70, 70, 17]),
        # From layer 1 on a half less in each, the layer itself included; 14, 22 in print, 1, 3 here.
        ({"visual": 100, "l1": 1, "l2": 3}, [110, 60, 10, 10]),
        ({"visual": 100, "l1": 2, "l2": 6}, [110, 110, 85, 60]),
        ({"visual": 100, "l1": 1, "l2": 3, "slope": 0.1}, [110, 100, 90, 80]),
        ({"visual": {0: 100, 2: 50}, "l1": 1, "l2": 9, "slope": 0.25}, [110, 85, 35, 22]),
    ],
)
def test_tokens_of_the_layers(case: dict[str, Any], counts: list[int]) -> None:
    assert tokens(case | {"text": 10}, 4) == counts


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_cells, "read", lambda file: LINES if file == "t" else [])


@pytest.mark.usefixtures("published")
def test_a_case_gives_the_cost_cells_of_its_rows() -> None:
    case = USUAL | {"cells": {"t": [1, 3]}, "visual": 100}
    found = [*cost_cells._case(case, {"small": LISTED})]
    assert [(one.row, one.label, one.metric) for one in found] == [
        (row, f"row {row}", metric) for row in ("1", "3") for metric in ("FLOPs", "Prefill Time")
    ]
    ops = [op for n in [110] * 4 for op in llm_viewer.layer_ops(SHAPE, n)] + [llm_viewer.head_op(SHAPE)]
    assert found[0].ours == sum(op.flops for op in ops) / 1e12
    assert found[1].ours == 1e3 * hardware("a100_40g").seconds(ops, "float16")
    assert (found[0].parameters, found[0].basis, found[0].why) == ("small, 100 visual + 10 others", "repo", "")


@pytest.mark.usefixtures("published")
def test_a_slip_is_computed_for_the_cells_that_are_wrong() -> None:
    case = USUAL | {"cells": {"t": [2]}, "visual": 100, "why": "too few", "slip": {"visual": 50}}
    both = [*cost_cells._case(case, {"small": LISTED})]
    assert [one.why for one in both] == ["too few"] * 2 and all(one.slip and one.slip < one.ours for one in both)
    flops, time = cost_cells._case(case | {"wrong": ["Prefill Time"]}, {"small": LISTED})
    assert (flops.why, flops.slip) == ("", None) and time.why and time.slip == both[1].slip


def test_figures_follow_their_parameters() -> None:
    def figures(**more: Any) -> dict[str, float]:
        return cost_cells._figures(
            USUAL | {"visual": 100} | more, {"small": LISTED, "bare": LISTED | {"mlp_add": False}}
        )

    usual = figures()
    assert figures(divide=4)["FLOPs"] == pytest.approx(usual["FLOPs"] / 4)
    assert figures(divide=4)["Total Memory"] == usual["Total Memory"]
    assert figures(dtype="int8")["Storing Activation"] == pytest.approx(usual["Storing Activation"] / 2)
    assert usual["FLOPs"] - figures(llm="bare")["FLOPs"] == pytest.approx(4 * 110 * 64 / 1e12)
    ops = [op for _ in range(4) for op in llm_viewer.layer_ops(SHAPE, 110)] + [llm_viewer.head_op(SHAPE)]
    assert usual["Total Memory"] == sum(op.bytes for op in ops) / 1e9
    assert usual["Storing Activation"] == sum(op.store for op in ops) / 1e9
    assert usual["Total Memory"] - figures(head_bytes=1)["Total Memory"] == pytest.approx(64 * 1000 / 1e9)
    assert figures(fused=True)["Storing Activation"] < usual["Storing Activation"]
    assert figures(machine="v100")["Prefill Time"] > usual["Prefill Time"]


def test_methods_are_counted_without_the_llm() -> None:
    merge = USUAL | {"merge": {"frames": 2, "tokens": 16}}
    prune = USUAL | {"visual": 100, "prune": {"l1": 1, "l2": 3}}
    both = merge | prune
    one, two, three = (cost_cells._figures(case, {"small": LISTED})["FLOPs"] for case in (merge, prune, both))
    assert three == pytest.approx(one + two) and one > 0
    # PageRank's 5 products in layers 1 and 2, where the schedule begins a layer later: 110 tokens, then 60.
    assert two == sum(16 * 4 * n * n + 9 * n for n in (110, 60)) / 1e12
    work = AIMMerge(ratio=0.25).work(Site.entrance(4), Grid(2, 16), 32, Width(64, 16))
    assert one == work / 1e12


@pytest.mark.usefixtures("published")
def test_an_average_is_that_of_printed_cells() -> None:
    LINES.append({"row": "1", "row_label": "row 1", "metric": "Average", "unit": "%", "value": "9"})
    case = {"cells": {"t": [1]}, "of": ["FLOPs", "Accuracy"], "metric": "Average", "why": "wrong sum"}
    (found,) = cost_cells._average(case)
    LINES.pop()
    assert (found.ours, found.printed, found.parameters, found.why) == (2.5, "9", "mean(2.5, 2.5)", "wrong sum")


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"visual": {0: 100, 6: 20}, "l1": 1, "l2": 3}, "100, 20 from layer 6 visual + 10 others, l1=1, l2=3"),
        (
            {"visual": 5, "dtype": "int4", "fused": True, "divide": 4},
            "5 visual + 10 others, dtype=int4, fused=True, divide=4",
        ),
        ({"merge": {"frames": 2, "tokens": 16}, "dtype": "int4"}, "merging 2 x 16"),
        ({"visual": 5, "prune": {"l1": 1, "l2": 3, "slope": 0.5}}, "5 visual + 10 others, l1=1, l2=3, slope=0.5"),
    ],
)
def test_parameters_are_named_where_they_are_not_the_usual_ones(case: dict[str, Any], said: str) -> None:
    assert cost_cells._describe(USUAL | case) == f"small, {said}"


def test_rows_of_the_table() -> None:
    plain, wrong, odd = rows(
        [cell("2.5", 2.0), cell("2.5", 2.0, why="a slip", slip=3.0), cell("2.5", 2.0, why="unclear")]
    )
    assert plain == {
        "table": "t", "row": "1", "name": "label", "quantity": "FLOPs TB", "published": "2.5", "ours": "2",
        "error %": "-20.00", "parameters": "parameters", "basis": "repo", "misprint": "",
    }  # fmt: skip
    assert wrong["misprint"] == "a slip: that gives 3 (+20.00 %)" and odd["misprint"] == "unclear"
