"""What counts as a result, and as a finished run, whoever wrote the files."""

from pathlib import Path
from typing import Any

import pytest
from written import result, task

from winnow.harness.common import files
from winnow.harness.common.finished import amend, damage, finished, seal
from winnow.harness.common.result import fault

COST = {"profile": "physical", "tflops": 1, "flops_share": 0.5, "kv_bytes": 1.0}
SHARES = {"entrance": 1.0, "mean": 0.5, "last": 0}
DROP = {"baseline": ["a", "b", "c"], "tasks": {"quiz": {"mean": 1.0, "low": 0.0, "high": 2.0, "p": 0.5}}}


@pytest.mark.parametrize(
    "change",
    [
        {}, {"cost": COST, "shares": SHARES, "drop": DROP, "means": {"m": {"mean": None}}, "later": object()},
        {"budget": {"kind": "flops", "achieved": None, "more": 1}, "tasks": [task("t", None)], "limit": None},
    ],
)  # fmt: skip
def test_what_runs_write_is_a_result(change: dict[str, Any]) -> None:
    assert fault(result("a", "quiz", **change)) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"finished": None}, "finished is None, no text"),
        ({"id": 3}, "id is 3, no text"),
        ({"label": ["x"]}, "label is ['x'], no text"),
        ({"tasks": None}, "tasks is None, no list"),
        ({"tasks": ["x"]}, "tasks[0] is 'x', no mapping"),
        ({"tasks": [task("t"), {"task": "u", "metric": "m"}]}, "tasks[1] lacks mean"),
        ({"tasks": [task("t") | {"mean": "high"}]}, "tasks[0].mean is 'high', no number"),
        ({"tasks": [task("t") | {"mean": True}]}, "tasks[0].mean is True, no number"),
        ({"tasks": [task("t") | {"unparsed": 1.5}]}, "tasks[0].unparsed is 1.5, no whole number"),
        ({"tasks": [{"task": "t", "metric": "m", "mean": 1.0}]}, "t has a mean and no interval"),
        ({"tasks": [task("t", judge={"mean": 1.0, "score": 2})]}, "judge of t has a mean and no interval"),
        ({"documents": 10**30}, f"documents is 1{'0' * 30}, no whole number"),
        ({"cost": "x"}, "cost is 'x', no mapping"),
        ({"cost": COST | {"tflops": None}}, "cost.tflops is None, no number"),
        ({"shares": {"mean": 1.0}}, "shares lacks entrance, last"),
        ({"budget": {"kind": "flops"}}, "budget lacks achieved"),
        ({"knobs": {"like": {}}}, "knobs.like is {}, no text"),
        ({"means": {"m": 3}}, "means.m is 3, no mapping"),
        ({"means": {"m": {"mean": 3}}}, "m has a mean and no interval"),
        ({"drop": {"baseline": [1], "tasks": {}}}, "drop.baseline[0] is 1, no text"),
        ({"gain": DROP | {"tasks": {"t": {"mean": 1.0}}}}, "gain.tasks.t lacks p"),
        ({"downsample": {"frames": "x"}}, "downsample.frames is 'x', no number"),
        ({"limit": "x"}, "limit is 'x', no whole number"),
    ],
)
def test_another_type_is_told_in_words(change: dict[str, Any], said: str) -> None:
    assert fault(result("a", "quiz") | change) == said


@pytest.mark.parametrize("value", [[], None, "x"])
def test_no_mapping_is_no_result(value: object) -> None:
    assert fault(value) == f"it is {value!r}, no mapping"


@pytest.mark.parametrize("text", ["", "{}", '{"files": {}}'])
def test_an_empty_done_counts_beside_a_whole_result_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "DONE").write_text(text)
    wrong: list[Any] = [None, {}, [], {"id": "a"}, result("a", status="incomplete"), result("a") | {"id": 3}]
    for found in wrong:
        (tmp_path / "result.json").unlink(missing_ok=True)
        if found is not None:
            files.write_json(tmp_path / "result.json", found)
        assert not finished(tmp_path) and damage(tmp_path) == ["result.json"]
    files.write_json(tmp_path / "result.json", result("a", "quiz"))
    assert finished(tmp_path) and damage(tmp_path) == []


def test_digests_decide_where_there_are_some(tmp_path: Path) -> None:
    files.write_json(tmp_path / "result.json", result("a", "quiz"))
    seal(tmp_path, "", "")
    assert finished(tmp_path)
    amend(tmp_path, result("a", "quiz", drop=DROP))
    assert finished(tmp_path)
    files.write_json(tmp_path / "result.json", result("a", "other"))
    assert not finished(tmp_path)
