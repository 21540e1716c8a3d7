"""A group scores nothing that it could not score from the start."""

from pathlib import Path

import pytest
from runs import Run


def test_what_cannot_score_costs_no_answers(run: Run, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """lmms-eval 0.7.3 imports filelock._api, which filelock 4.3 lacks, as late as it scores."""
    import lmms_eval.evaluator

    def broken(**arguments: object) -> None:
        raise ModuleNotFoundError("No module named 'filelock._api'")

    monkeypatch.setattr(lmms_eval.evaluator, "simple_evaluate", broken)
    ran = run("reducer=none", "limit=4")
    assert ran.code == 2 and ran.err.count("\n") == 1 and "cannot score task 'pico_video'" in ran.err
    assert "filelock._api" in ran.err and not list(results.glob("*/journal/*"))


def test_a_metric_that_is_not_there_costs_no_answers(run: Run, results: Path) -> None:
    ran = run("reducer=none", "limit=4", "tasks.metric=nope")
    assert ran.code == 2 and "gives no 'nope' per document: set tasks.metric to one of" in ran.err
    assert not list(results.glob("*/journal/*"))
