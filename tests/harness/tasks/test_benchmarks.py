"""Every benchmark on its miniature: a known set of answers is worth what was computed by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from winnow.harness.config.schema import TasksConfig
from winnow.harness.data.documents import Tasks
from winnow.harness.run.record import Row
from winnow.harness.score.scoring import Scored, score_task
from winnow.harness.tasks.catalogue import BENCHMARKS, MEANS

MVBENCH = list(MEANS["mvbench"])
EITHER = "guess"
"""lmms-eval may or may not draw the right option."""

# task -> answers, our figure, lmms-eval's own figure
KNOWN: dict[str, tuple[list[str], float, Any]] = {
    "videomme": (["A", "(B)", "", "I think C", "A.", "B"], 200 / 3, 200 / 3),
    "videomme_w_subtitle": (["A", "(B)", "", "I think C", "A.", "B"], 200 / 3, 200 / 3),
    **dict.fromkeys(MVBENCH, (["(A) red", ""], 50, 100)),  # lmms-eval leaves the empty answer out
    "mvbench_action_count": (["a cup", "B"], 50, 100),  # and reads the article as an option
    "mlvu_dev": (["A"] * 8, (50 + 100) / 7, 150 / 7),
    "mlvu_test": (["A"] * 10, (50 + 100 + 100) / 9, 250 / 9),
    "egoschema_subset": (["A", "B", "zebra", "D", "E"], 80, EITHER),
    "nextqa_mc_test": (["A", "B.", "(C)", "zebra", "A"], 60, EITHER),
    "perceptiontest_val_mc": (["A", "C", "C"], 200 / 3, 200 / 3),
    "longvideobench_val_v": (["A", "The answer is B", "zebra?", "A"], 75, EITHER),
    "msvd_qa": (["Red.", "a green", "purple"], 200 / 3, None),
    "msrvtt_qa": (["Red.", "a green", "purple"], 200 / 3, None),
    "activitynetqa": (["Red.", "a green", "purple"], 200 / 3, None),
    "moviechat_global": (["Red.", "a green", "purple"], 200 / 3, None),
    "moviechat_breakpoint": (["Red.", "a green", "purple"], 200 / 3, None),
    "vqav2_val": (["purple", "green", ""], (60 + 100) / 3, 160 / 3),  # 8 red, 2 purple: (8 * 2/3 + 2 * 1/3) / 10
    "gqa": (["red", "Green.", "blue cup", "yellow"], 75, 75),
    "mme": (["Yes", "No", *["Yes"] * 10], (200 + 50) / 2 + 50, 175),
    "textvqa_val": (["purple", "green", ""], (60 + 100) / 3, 160 / 3),
    "scienceqa_img": (["A", "B. green", "maybe A", "b"], 75, 75),
    "mmbench_en_dev_static": (["A", "B", "B", "B", "blue"], 200 / 3, 200 / 3),
    "pope": (["Yes.", "no", "yes", "no", "yes", "yes"], 500 / 6, 400 / 6),
    **dict.fromkeys(MEANS["pope_splits"], (["Yes.", "no"], 100, 50)),
}
FILES: dict[str, tuple[list[str], Any]] = {
    "egoschema": (["A", "zebra", "C", "D", "E"], {"ego0": 0, "ego1": -1, "ego2": 2, "ego3": 3, "ego4": 4}),
    "vqav2_test": (
        ["red", "a dog", ""],
        [{"question_id": 1000 + n, "answer": said} for n, said in enumerate(("red", "a dog", ""))],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def tasks(fixtures: Path) -> Tasks:
    return Tasks(TasksConfig(name="all", tasks=list(BENCHMARKS), data=str(fixtures)))


def scored(tasks: Tasks, name: str, answers: list[str], folder: Path, limit: int | None = None) -> Scored:
    documents = tasks.documents(name, limit)
    assert len(documents) == len(answers)
    rows = {(name, d.doc_id): Row(name, d.doc_id, d.fingerprint, a) for d, a in zip(documents, answers, strict=True)}
    return score_task(tasks, name, documents, rows, folder)


def test_every_benchmark_is_known() -> None:
    assert set(KNOWN) | set(FILES) == set(BENCHMARKS)


@pytest.mark.parametrize("name", KNOWN)
def test_known_answers(tasks: Tasks, name: str, tmp_path: Path) -> None:
    answers, ours, theirs = KNOWN[name]
    summary = scored(tasks, name, answers, tmp_path).summary
    assert summary["mean"] == pytest.approx(ours, abs=1e-3)
    assert summary["documents"] == len(answers)
    if theirs == EITHER:
        share = 100 / len(answers)
        assert any(summary["lmms_eval"] == pytest.approx(ours + extra, abs=1e-2) for extra in (0, share))
    elif theirs is None:
        assert summary["lmms_eval"] is None and "winnow judge" in summary["note"]
    else:
        assert summary["lmms_eval"] == pytest.approx(theirs, abs=1e-2)
        assert ("note" in summary) == (abs(theirs - ours) > 0.01)


@pytest.mark.parametrize("name", FILES)
def test_submission_files_without_network(tasks: Tasks, name: str, tmp_path: Path) -> None:
    answers, content = FILES[name]
    summary = scored(tasks, name, answers, tmp_path).summary
    assert summary["mean"] is None
    assert json.loads((tmp_path / summary["file"]).read_text()) == content


def test_break_downs(tasks: Tasks, tmp_path: Path) -> None:
    found = scored(tasks, "videomme", KNOWN["videomme"][0], tmp_path).summary
    parts = {name: part["mean"] for name, part in found["breakdown"].items()}
    assert parts == {"duration short": 100, "duration medium": 0, "duration long": 100}
    assert found["unparsed"] == 1
    mme = scored(tasks, "mme", KNOWN["mme"][0], tmp_path).summary
    assert mme["breakdown"]["category code_reasoning"]["mean"] == 50 and mme["breakdown"]["others"]["mean"] == 50
    mlvu = scored(tasks, "mlvu_dev", ["A"] * 8, tmp_path).summary
    anomaly = mlvu["breakdown"]["task_type anomaly_reco"]
    assert (anomaly["mean"], anomaly["documents"]) == (50, 2)


def test_few_documents_do_not_shrink_a_mean_over_task_types(tasks: Tasks, tmp_path: Path) -> None:
    found = scored(tasks, "mlvu_dev", ["A", "A"], tmp_path, limit=2).summary
    assert found["mean"] == 50 and found["lmms_eval"] == pytest.approx(100 / 7, abs=1e-2)
    assert "divides by all task types" in found["note"]


def test_precision_and_recall_are_of_what_was_said(tasks: Tasks, tmp_path: Path) -> None:
    found = scored(tasks, "pope", KNOWN["pope"][0], tmp_path).summary["figures"]
    assert found == pytest.approx({"precision": 75, "recall": 100, "f1": 85.7143, "yes": 66.6667}, abs=1e-3)


def test_failed_above_a_share_of_answers_that_say_nothing(tasks: Tasks, tmp_path: Path) -> None:
    for said, verdict in (["?", "?", "?", "A", "A", "A"], None), (["?"] * 4 + ["A", "A"], "Failed"):
        assert scored(tasks, "videomme", said, tmp_path).summary["verdict"] == verdict


def test_documents_that_failed_stay_in_the_denominator(tasks: Tasks, tmp_path: Path) -> None:
    documents = tasks.documents("perceptiontest_val_mc", None)
    rows = {(d.task, d.doc_id): Row(d.task, d.doc_id, d.fingerprint, "A") for d in documents}
    rows[documents[2].task, 2] = Row(documents[2].task, 2, documents[2].fingerprint, status="failed", reason="no video")
    found = score_task(tasks, "perceptiontest_val_mc", documents, rows, tmp_path).summary
    assert (found["mean"], found["failed"], found["unparsed"]) == (pytest.approx(100 / 3, abs=1e-3), 1, 0)


def test_samples_are_compared_by_unit_and_stratum(tasks: Tasks, tmp_path: Path) -> None:
    found = scored(tasks, "mme", KNOWN["mme"][0], tmp_path).scores
    assert [(row["stratum"], row["score"]) for row in found] == [
        ("existence", 2), ("existence", 0.5), ("color", 0.5), ("color", 0.5)
    ]  # fmt: skip
