"""A verdict holds as long as the judge would be asked the very same."""

from pathlib import Path
from typing import Any

import pytest
import written

from winnow.harness.common import files
from winnow.harness.score.judge_verdicts import keep_verdict, verdicts_path
from winnow.harness.score.scoring import Scored

SAMPLE = {"doc_id": 1, "question": "who?", "target": "Ann", "answer": "Bob", "status": "ok"}
SAID = {"model": "m", "mean": 50.0, "low": 40.0, "high": 60.0, "score": 3.0}


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({"doc_id": 2}, False), ({"question": "what?"}, False), ({"target": "Bob"}, False), ({"answer": "Ann"}, False),
        ({"status": "failed"}, False), ({"reason": "late"}, True), ({"prompt": "who is it?"}, True),
    ],
)  # fmt: skip
def test_what_the_judge_is_asked_about_decides(changed: dict[str, Any], kept: bool, tmp_path: Path) -> None:
    files.write_json(tmp_path / "result.json", written.result("r") | {"tasks": [written.task("quiz", judge=SAID)]})
    files.write_lines(tmp_path / "samples_quiz.jsonl", [SAMPLE])
    verdicts_path(tmp_path, "quiz").touch()
    scored = Scored({"task": "quiz", "metric": "right", "mean": 0}, [SAMPLE | changed], [])
    keep_verdict(tmp_path, scored)
    assert scored.summary.get("judge") == (SAID if kept else None)
    assert verdicts_path(tmp_path, "quiz").exists() == kept


def test_a_task_without_a_verdict_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.write_json(tmp_path / "result.json", written.result("r") | {"tasks": [written.task("quiz")]})
    files.write_lines(tmp_path / "samples_quiz.jsonl", [SAMPLE])
    scored = Scored({"task": "quiz", "metric": "right", "mean": 0}, [SAMPLE], [])
    keep_verdict(tmp_path, scored)
    assert "judge" not in scored.summary and not capsys.readouterr().err
