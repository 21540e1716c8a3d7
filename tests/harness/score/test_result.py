"""One row of a table from the rows of a run: shares, cost and budget of what was answered, by hand."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from winnow.harness.common import files
from winnow.harness.common.run_files import Score, read_samples, read_scores
from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import BudgetConfig, DownsampleConfig, ModelConfig, NominalConfig, TasksConfig
from winnow.harness.cost import llm_viewer, physical
from winnow.harness.cost.shape import LLMShape
from winnow.harness.plan.build import Built
from winnow.harness.plan.identity import Identity
from winnow.harness.run.record import Row
from winnow.harness.score.result import finish, summarise
from winnow.harness.score.scoring import Scored
from winnow.reducers.none import NoReduction

ARCH = {
    "layers": 4,
    "hidden": 64,
    "heads": 4,
    "kv_heads": 2,
    "mlp": 96,
    "vocab": 100,
    "tied": True,
    "vision": {"layers": 2, "hidden": 8, "heads": 2, "mlp": 16, "image": 20, "patch": 2, "merge": 2},
    "projector": [{"tokens": 100, "in": 8, "out": 64}],
}
SHAPE = LLMShape(layers=4, hidden=64, heads=4, kv_heads=2, head_dim=16, mlp=96, vocab=100)
IDENTITY = Identity("run", "context", "line", "settings", "score", "report", {})


def cell(**changes: Any) -> Cell:
    model = ModelConfig(
        name="m", family="llava", repo="r", frames=8, has_cls=True, nominal=NominalConfig(1, 100, 20), arch=ARCH
    )
    method = Method("fastv", "winnow.reducers.fastv:FastV", {}, {"kind": "k", "k": 2}, 0.5, True)
    return replace(Cell(model, method, TasksConfig("t", ["t"]), BudgetConfig(), Path("runs"), limit=2), **changes)


def row(doc: int, visual: int, text: int, *kept: int, **more: Any) -> Row:
    """A prompt of so many visual and text tokens, and the visual tokens that each layer processed."""
    return Row(
        "t", doc, "print", "red", length=visual + text, visual=visual, visual_per_layer=[*kept],
        tokens_per_layer=[text + count for count in kept], **more,
    )  # fmt: skip


FIRST, SECOND = row(0, 100, 20, 100, 100, 50, 50), row(1, 40, 10, 20, 20, 10, 10)
FAILED = Row("t", 2, "print", status="failed", reason="gone")
SCORED: Any = Scored({"task": "t", "metric": "m", "mean": 50.0}, [], [])


def summary(*rows: Row, **changes: Any) -> Any:
    built = Built(NoReduction(), {"k": 2}, 0.5, 0.75)
    return summarise(cell(**changes), IDENTITY, built, rows, [SCORED])


def test_shares_are_means_over_documents_of_what_their_layers_processed() -> None:
    found = summary(FIRST, SECOND, FAILED)["shares"]
    # 100/100 and 20/40; 3/4 and (20 + 20 + 10 + 10) / 160; 50/100 and 10/40.
    assert found == {"entrance": 0.75, "mean": pytest.approx((0.75 + 0.375) / 2), "last": 0.375}
    assert summary(FIRST, Row("t", 3, "print", length=9, tokens_per_layer=[9] * 4))["shares"]["last"] == 0.75


def test_cost_is_the_mean_over_answered_documents_and_a_share_of_the_unreduced_prompts() -> None:
    tokens, whole = [[120, 120, 70, 70], [30, 30, 20, 20]], [[120] * 4, [50] * 4]
    found = summary(FIRST, SECOND, FAILED)["cost"]
    spent, full = (sum(physical.prefill_flops(SHAPE, each) for each in lists) for lists in (tokens, whole))
    assert found["profile"] == "physical" and found["tflops"] == pytest.approx(spent / 2 / 1e12)
    assert found["flops_share"] == pytest.approx(spent / full)
    papers, unreduced = (sum(llm_viewer.prefill_flops(SHAPE, each) for each in lists) for lists in (tokens, whole))
    assert found["compat"] == {
        "profile": "llm-viewer-compat", "tflops": pytest.approx(papers / 2 / 1e12), "flops_share": papers / unreduced
    }  # fmt: skip
    # Keys and values of 2 heads of 16 numbers of 2 bytes.
    assert found["kv_bytes"] == 2 * 2 * 16 * 2 * (120 + 120 + 70 + 70 + 30 + 30 + 20 + 20) / 2


def test_the_entrance_counts_in_the_share_of_flops() -> None:
    """A method that acts at the entrance alone saves, though all that entered is processed."""
    share = summary(row(0, 100, 20, 50, 50, 50, 50))["cost"]["flops_share"]
    assert share == pytest.approx(physical.prefill_flops(SHAPE, [70] * 4) / physical.prefill_flops(SHAPE, [120] * 4))


def test_the_models_attention_and_convention_decide_its_cost() -> None:
    model = replace(cell().model, attn="eager", mlp_add=False)
    found = summary(FIRST, model=model)["cost"]
    assert found["tflops"] == physical.prefill_flops(SHAPE, [120, 120, 70, 70], "eager") / 1e12
    assert found["compat"]["tflops"] == llm_viewer.prefill_flops(SHAPE, [120, 120, 70, 70], mlp_add=False) / 1e12


def test_a_budget_is_measured_over_answered_documents_with_pictures() -> None:
    text = Row("t", 3, "print", length=9, tokens_per_layer=[9] * 4, visual_per_layer=[0] * 4)
    rows = (FIRST, SECOND, FAILED, text)
    assert summary(*rows)["budget"] is None
    mean = summary(*rows, budget=BudgetConfig(mean=0.6))["budget"]
    assert mean == {"kind": "mean", "asked": 0.6, "planned": 0.75, "achieved": pytest.approx((0.75 + 0.375) / 2)}
    flops = summary(*rows, budget=BudgetConfig(flops=0.6))["budget"]
    shares = [
        physical.prefill_flops(SHAPE, tokens) / physical.prefill_flops(SHAPE, [whole] * 4)
        for tokens, whole in (([120, 120, 70, 70], 120), ([30, 30, 20, 20], 50))
    ]
    assert flops["achieved"] == pytest.approx(sum(shares) / 2)
    assert (flops["kind"], flops["profile"]) == ("flops", "physical")
    assert summary(FAILED, budget=BudgetConfig(mean=0.6))["budget"]["achieved"] is None


def test_what_a_method_could_win_is_told_by_part_in_teraflops() -> None:
    """The nominal prompt of one frame: 100 visual and 20 other tokens, whatever was answered."""
    parts = summary(SECOND)["cost"]["parts"]
    assert set(parts) == {"LLM layers", "LM head", "vision tower", "projector"}
    assert parts["LM head"] == 2 * 64 * 100 / 1e12 and parts["projector"] == 2 * 100 * 8 * 64 / 1e12
    whole = physical.prefill_flops(SHAPE, [120] * 4) - 2 * 64 * 100
    assert parts["LLM layers"] == whole / 1e12


@pytest.mark.parametrize(("rows", "whole"), [((FIRST, SECOND), True), ((FIRST, FAILED), False)])
def test_a_run_is_done_when_every_document_was_answered(rows: Any, whole: bool, tmp_path: Path) -> None:
    """Samples, scores and result are there before it is told to be done; the verdict of a judge is kept."""
    closed: list[Any] = []

    def close(given: Any) -> None:
        closed.append((given, sorted(path.name for path in tmp_path.iterdir())))

    run = SimpleNamespace(folder=tmp_path, cell=cell(), identity=IDENTITY, finish=close)
    score = {"task": "t", "doc_id": 0, "metric": "m", "score": 0.5, "stratum": "", "media": ""}
    scored = Scored({"task": "t", "metric": "m", "mean": 50.0}, [{"doc_id": 0, "answer": "red"}], [score])
    work: Any = SimpleNamespace(run=run, built=Built(NoReduction(), {}))
    found = finish(work, rows, [scored], {"answering": 1.5})
    assert found["status"] == ("complete" if whole else "incomplete") and found["spent"] == {"answering": 1.5}
    names = ["result.json", "samples_t.jsonl", "scores.parquet"]
    assert closed == ([(rows, names)] if whole else []) and sorted(path.name for path in tmp_path.iterdir()) == names
    assert files.read_json(tmp_path / "result.json") == found
    assert [*read_samples(tmp_path, "t")] == scored.samples
    assert read_scores(tmp_path) == {("t", "m"): {0: Score(0.5)}}


def test_shares_are_told_to_a_millionth() -> None:
    rows = [row(n, 3, 9, *[kept] * 4) for n, kept in enumerate((1, 2, 2))]
    assert summary(*rows)["shares"] == {"entrance": 0.555556, "mean": 0.555556, "last": 0.555556}


def test_nothing_answered_has_neither_shares_nor_cost() -> None:
    found = summary(FAILED)
    assert found["shares"] is None is found["cost"] and found["status"] == "incomplete"


def test_what_a_result_says_of_itself() -> None:
    found = summary(FIRST, replace(SECOND, damage="cut off"), FAILED, downsample=DownsampleConfig(frames=2), seed=7)
    expected = {
        "id": "run", "context": "context", "settings": "settings", "status": "incomplete", "documents": 3, "failed": 1,
        "damaged": 1, "model": "m", "reducer": "fastv", "knobs": {"k": 2}, "ratio": 0.5, "asked": "0.5", "seed": 7,
        "limit": 2, "dtype": "float32", "attn": "sdpa", "downsample": {"frames": 2, "pixels": 1},
        "tasks": [SCORED.summary], "means": {},
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert summary(FIRST)["status"] == "complete" and summary(FIRST)["failed"] == 0
