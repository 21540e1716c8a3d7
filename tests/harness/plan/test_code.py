"""Which code and which libraries count for which layer of a run's identity."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import BudgetConfig, ModelConfig, TasksConfig
from winnow.harness.plan import code

USUAL = {"torch", "transformers", "tokenizers", "numpy", "pillow", "torchvision"}
CPU = ModelConfig("m", "llava", "r", device="cpu")


@pytest.mark.parametrize(
    ("model", "reader", "more"),
    [
        ({}, "", set()), ({"device": "auto"}, "", {"triton"}), ({"device": "cuda"}, "", {"triton"}),
        ({"device": "spread"}, "", {"triton", "accelerate"}), ({"attn": "flash_attention_2"}, "", {"flash-attn"}),
        ({"quant": "bnb-int8"}, "", {"bitsandbytes", "accelerate"}),
        ({"quant": "torchao-int4"}, "", {"torchao", "accelerate"}), ({}, "auto", {"av"}), ({}, "av", {"av"}),
        ({"family": "perception_lm"}, "", {"timm"}), ({}, "decord", {"av", "decord"}),
        ({}, "torchcodec", {"av", "torchcodec"}),
    ],
)  # fmt: skip
def test_libraries_that_reach_an_answer(
    model: dict[str, Any], reader: str, more: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "installed", lambda name: f"{name} 1")
    monkeypatch.setattr(code, "chosen", lambda: reader or "decord")
    cell = Cell(replace(CPU, **model), Method("x", "x:Y", {}), TasksConfig("t"), BudgetConfig(), Path())
    assert code.libraries(cell, videos=bool(reader)) == {name: f"{name} 1" for name in USUAL | more}


def test_a_version_is_looked_up_once_until_it_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(code, "version", lambda name: asked.append(name) or "1")
    code.forget()
    assert [code.installed("x"), code.installed("x")] == ["1", "1"] and asked == ["x"]
    code.forget()
    assert code.installed("x") == "1" and asked == ["x", "x"]
    code.forget()


@pytest.mark.parametrize("part", [lambda: code.answering("llava"), code.scoring, code.reporting, code.solving])
def test_code_is_read_once_until_it_is_forgotten(part: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    prints = iter(range(100))
    monkeypatch.setattr(code, "fingerprint", lambda *_, **__: f"print {next(prints)}")
    code.forget()
    first = part()
    assert part() == first
    code.forget()
    assert part() != first
    code.forget()


def test_what_scores_and_what_reports_are_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    monkeypatch.setattr(code, "fingerprint", lambda names, **_: seen.append({*names}) or "print")
    code.forget()
    code.scoring(), code.reporting()
    code.forget()
    scores, reports = seen
    room = "winnow.harness.score."
    assert {f"{room}marking", f"{room}layout", "winnow.harness.tasks.letters"} <= scores and not scores & reports
    assert {f"{room}{name}" for name in ("stats", "paired", "paired_runs", "pooled", "result")} <= reports
    assert {"winnow.harness.cost.vision", "winnow.harness.plan.nominal"} <= reports
    apart = ("judge", "judged", "judge_client", "judge_verdicts")
    assert not {f"{room}{name}" for name in apart} & (scores | reports)
    assert not any("fixtures" in name or name == "winnow.harness.tasks.pico.data" for name in scores)


def test_a_method_is_its_module_and_of_a_strangers_class_the_whole_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(target: str) -> dict[str, str]:
        code.forget()
        return code.of_method(Method("x", target, {}))

    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "theirs_of_code").mkdir()
    for name in ("__init__.py", "method.py"):
        (tmp_path / "theirs_of_code" / name).write_text("")
    (tmp_path / "loose_of_code.py").write_text("")
    assert set(told("winnow.reducers.fastv:FastV")) == {"code"} and told("no.such.module:X") == {}
    before, loose = told("theirs_of_code.method:X"), told("loose_of_code:X")
    assert set(before) == {"code", "folder"} and before["folder"] and loose["folder"] == ""
    (tmp_path / "theirs_of_code" / "numbers.csv").write_text("1")
    after = told("theirs_of_code.method:X")
    assert after["code"] == before["code"] and after["folder"] != before["folder"]
    (tmp_path / "loose_of_code.py").write_text("x = 1")
    assert told("loose_of_code:X")["code"] != loose["code"]
    code.forget()
