"""Modelled columns of a row: which of its two schedules, and each figure in its unit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from papers import preset
from values import usual

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.preset import PaperRow
from winnow.harness.config.schema import BudgetConfig, ModelConfig, NominalConfig, TasksConfig
from winnow.harness.cost.hardware import hardware
from winnow.harness.cost.llm_viewer import head_op, layer_ops
from winnow.harness.cost.op import Op
from winnow.harness.plan.nominal import nominal
from winnow.harness.results.paper import modelled
from winnow.harness.results.paper.modelled import Modelled, cell_of_row, cost_of_row

LLM = {"llm": "qwen2", "layers": 4, "hidden": 128, "heads": 4, "kv_heads": 2, "mlp": 320, "vocab": 96, "tied": True}
VISION = {"layers": 4, "hidden": 128, "heads": 4, "mlp": 256, "image": 60, "patch": 12}
MODEL = ModelConfig(
    "pico", "llava", "x", frames=8, has_cls=True, nominal=NominalConfig(8, 25, 20), arch=LLM | {"vision": VISION}
)
FASTV = Method("fastv", "winnow.reducers.fastv:FastV", {"R": None}, {"kind": "k", "k": 2, "of": None}, 0.5, True)
CELL = Cell(MODEL, FASTV, TasksConfig("t", ["t"]), BudgetConfig(), Path("runs"))
SHAPE = nominal(MODEL).shape


def ops(counts: list[int], width: float = 2, fused: bool = False, head: float | None = None) -> list[Op]:
    found = [op for n in counts for op in layer_ops(SHAPE, n + 20, True, width, fused, n + 20)]
    return [*found, head_op(SHAPE, width, head)]


def flops(found: list[Op]) -> float:
    return sum(op.flops for op in found)


def test_operations_may_be_all_that_is_modelled() -> None:
    assert usual(Modelled) == dict.fromkeys(("ms", "gigabytes", "stored"))


@pytest.mark.parametrize(("visual", "counts"), [(None, [200, 200, 100, 100]), (7, [7] * 4), (0, [0] * 4)])
def test_a_cell_is_modelled_by_its_plan_or_by_a_number_of_visual_tokens(visual: int | None, counts: list[int]) -> None:
    found, wanted = modelled._model(CELL, visual, "a100_40g", int4=False, fused=False), ops(counts)
    assert found.tflops == flops(wanted) / 1e12 and found.gigabytes == sum(op.bytes for op in wanted) / 1e9
    assert found.stored == sum(op.store for op in wanted) / 1e9
    assert found.ms == 1e3 * hardware("a100_40g").seconds(wanted, "float16")


def test_four_bit_numbers_are_half_a_byte_and_a_quarter_of_an_operation() -> None:
    found, wanted = modelled._model(CELL, None, "a100_40g", int4=True, fused=False), ops([200, 200, 100, 100], 0.5)
    assert found.tflops == flops(wanted) / 1e12 / 4
    assert found.gigabytes == sum(op.bytes for op in wanted) / 1e9
    assert found.ms == 1e3 * hardware("a100_40g").seconds(wanted, "int4")


def test_the_old_calculator_reads_the_heads_weights_at_one_byte() -> None:
    old, new = (modelled._model(CELL, 7, machine, int4=False, fused=False) for machine in ("v100", "a100_40g"))
    assert old.tflops == new.tflops and new.gigabytes is not None and old.gigabytes is not None
    assert new.gigabytes - old.gigabytes == pytest.approx(128 * 96 / 1e9)
    assert old.ms == 1e3 * hardware("v100").seconds(ops([7] * 4, head=1), "float16")


def test_fused_attention_is_one_operator() -> None:
    found = modelled._model(CELL, 7, "a100_40g", int4=False, fused=True)
    assert found.stored == sum(op.store for op in ops([7] * 4, fused=True)) / 1e9


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was modelled, and of which words."""
    calls: list[Any] = []

    def cell_of(preset: Any, row: PaperRow, smoke: bool, extra: Any, more: Any) -> Any:
        calls.append(more)
        return "cell" if row.set else None

    def model(cell: Any, fixed: int | None, machine: str, int4: bool, fused: bool) -> Modelled:
        calls.append((cell, fixed, machine, int4, fused))
        return Modelled(1.0)

    monkeypatch.setattr(modelled, "cell_of_row", cell_of)
    monkeypatch.setattr(modelled, "_model", model)
    monkeypatch.setattr(modelled, "_overhead", lambda cell, parts, papers: Modelled(len(parts) + papers / 2))
    monkeypatch.setattr(modelled, "facts", lambda preset, row, names: {"quantization": row.label})
    return calls


ROW = PaperRow("a", 1, set=("reducer=fastv",))


@pytest.mark.parametrize(
    ("more", "scheduled", "calls"),
    [
        ({}, True, [(), ("cell", None, "a100_40g", False, False)]),
        ({"scheduled": ("schedule.k=3",)}, True, [("schedule.k=3",), ("cell", None, "a100_40g", False, False)]),
        ({"scheduled": ("schedule.k=3",)}, False, [(), ("cell", None, "a100_40g", False, False)]),
        ({"scheduled": 64}, True, [(), ("cell", 64, "a100_40g", False, False)]),
        ({"scheduled": 0}, True, [(), ("cell", 0, "a100_40g", False, False)]),
        ({"label": "INT4"}, True, [(), ("cell", None, "a100_40g", True, False)]),
        ({"label": "FP16"}, True, [(), ("cell", None, "a100_40g", False, False)]),
        ({"set": ("reducer=none", "model.attn=flash_attention_2")}, True,
         [(), ("cell", None, "a100_40g", False, True)]),
    ],
)  # fmt: skip
def test_a_row_is_modelled_as_the_paper_schedules_it_or_as_it_runs(
    asked: list[Any], more: dict[str, Any], scheduled: bool, calls: list[Any]
) -> None:
    assert cost_of_row(preset(), replace(ROW, **more), False, (), scheduled) == Modelled(1.0) and asked == calls


def test_only_traces_tell_what_a_row_of_a_fixed_number_executes(asked: list[Any]) -> None:
    fixed = replace(ROW, scheduled=64)
    assert cost_of_row(preset(), fixed, False, (), False) is None is cost_of_row(preset(), fixed, True, (), True)
    assert cost_of_row(preset(), replace(ROW, set=()), False, (), True) is None
    assert not any(isinstance(call, tuple) and "cell" in call for call in asked)


def test_a_methods_own_work_is_counted_instead_of_the_llm(asked: list[Any]) -> None:
    own = replace(ROW, overhead=("merge", "page_rank"))
    assert [cost_of_row(preset(), own, False, (), papers) for papers in (True, False)] == [Modelled(2.5), Modelled(2.0)]


def test_a_methods_work_in_teraflops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.harness.plan.overhead.overhead", lambda *words: 3e12)
    assert modelled._overhead(CELL, ("merge",), papers=True) == Modelled(3.0)


def test_a_cell_of_a_row_is_composed_without_its_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(modelled, "composed", lambda words: seen.append(words) or "config")
    monkeypatch.setattr(modelled, "compose", lambda config, reducer: (config, reducer))
    table = replace(preset(), set=("model=pico", "tasks.prompt=x"))
    found: Any = cell_of_row(table, ROW, False, ("tasks=qa", "seed=3"), ("reducer.k=2",))
    assert found == ("config", "fastv") and seen == [("model=pico", "reducer=fastv", "seed=3", "reducer.k=2")]
    assert cell_of_row(table, replace(ROW, set=()), False, ()) is None
