"""The border to lmms-eval: its tasks become documents, its scores become means over all documents."""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from values import usual

from winnow.harness.config.schema import TasksConfig
from winnow.harness.data.document import Document
from winnow.harness.data.documents import Tasks
from winnow.harness.run.record import Row
from winnow.harness.score import evaluation
from winnow.harness.score.evaluation import Evaluation, Judged
from winnow.harness.score.scoring import Scored, _check_metric, _score_by_metric, rehearse, score_task
from winnow.reducers.core.errors import WinnowError

YAML = """
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {rows}
test_split: test
output_type: {kind}
doc_to_visual: !function utils.doc_to_visual
doc_to_text: "{{{{question}}}}"
doc_to_target: answer
process_results: !function utils.process_results
generation_kwargs: {generation}
metric_list:
  - metric: right
    aggregation: !function utils.of_those_that_answered
    higher_is_better: true
"""
UTILS = """
import sys

def doc_to_visual(doc):
    if doc["question"] == "gone":
        sys.exit("video path: gone.mp4 does not exist, please check.")
    print("chatter")
    return []

def process_results(doc, results):
    if doc["question"] == "broken":
        raise KeyError("the category")
    score = float(results[0] == doc["answer"])
    return {"right": {"score": score, "pred": results[0]}, "submission": results[0], "two": 2 * score}

def of_those_that_answered(items):
    items = [item for item in items if item["pred"]]
    return 100 * sum(item["score"] for item in items) / len(items)
"""


class Bench:
    """A folder of lmms-eval tasks made for a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "utils.py").write_text(UTILS)

    def add(
        self, name: str, questions: list[str], generation: str = "{max_new_tokens: 4}", kind: str = "generate_until"
    ) -> None:
        rows = self.folder / f"{name}.json"
        rows.write_text("\n".join(json.dumps({"question": q, "answer": q.upper()}) for q in questions))
        text = YAML.format(name=name, rows=rows, generation=generation, kind=kind)
        (self.folder / f"{name}.yaml").write_text(text)

    def tasks(self, *names: str, **more: Any) -> Tasks:
        defaults = {"metric": "right", "max_new_tokens": 16} | more
        return Tasks(TasksConfig(name="t", tasks=list(names), folder=str(self.folder), **defaults))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    folder = tmp_path / "tasks"
    folder.mkdir()
    return Bench(folder)


def answered(documents: list[Document], answer: Callable[[Document], str | None]) -> dict[tuple[str, int], Row]:
    rows = {}
    for document in documents:
        text = answer(document)
        more = {"status": "failed", "reason": "out of memory"} if text is None else {"answer": text}
        rows[document.task, document.doc_id] = Row(document.task, document.doc_id, document.fingerprint, **more)  # type: ignore[arg-type]
    return rows


def score(tasks: Tasks, name: str, answer: Callable[[Document], str | None], folder: Path) -> Scored:
    documents = tasks.documents(name, None)
    return score_task(tasks, name, documents, answered(documents, answer), folder)


def test_parts_of_the_documents_are_scored_as_the_whole(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The middle part answered nothing: lmms-eval's figure of it alone would divide by zero."""
    bench.add("plain", ["a", "b", "c", "d", "e"])
    said = {"a": "A", "b": "wrong", "e": "E"}

    def scored() -> Scored:
        return score(bench.tasks("plain"), "plain", lambda document: said.get(document.text, ""), tmp_path)

    whole = scored()
    monkeypatch.setattr(evaluation, "PART", 2)
    parts = scored()
    assert parts == whole and whole.summary["lmms_eval"] == pytest.approx(100 * 2 / 3)
    assert [sample["scores"]["right"] for sample in parts.samples] == [1, 0, 0, 0, 1]


def test_documents_in_order_with_prompt_and_settings(bench: Bench) -> None:
    bench.add(
        "plain", ["a", "b", "c"], "{max_new_tokens: 4, image_aspect_ratio: original, temperature: 0, until: ['.']}"
    )
    documents = bench.tasks("plain").documents("plain", None)
    assert [(d.task, d.doc_id, d.text) for d in documents] == [("plain", 0, "a"), ("plain", 1, "b"), ("plain", 2, "c")]
    assert documents[0].generation == {"max_new_tokens": 4} and documents[0].until == (".",)
    assert documents[0].visuals() == [] and documents[0].relevance is None
    assert len({d.fingerprint for d in documents}) == 3


def test_limit_and_defaults(bench: Bench) -> None:
    bench.add("plain", ["a", "b", "c"], "{}")
    (only,) = bench.tasks("plain").documents("plain", 1)
    assert only.generation == {"max_new_tokens": 16}
    assert bench.tasks("plain").documents("plain", 99)[2].doc_id == 2


def test_settings_can_be_overridden_but_not_into_sampling(bench: Bench) -> None:
    bench.add("plain", ["a"], "{max_new_tokens: 4, do_sample: true}")
    with pytest.raises(WinnowError, match=r"samples its answers: say tasks\.generation\.do_sample=false"):
        bench.tasks("plain").documents("plain", None)
    tasks = bench.tasks("plain", generation={"do_sample": False, "num_beams": 2})
    assert tasks.documents("plain", None)[0].generation == {"max_new_tokens": 4, "num_beams": 2}
    tasks = bench.tasks("plain", generation={"do_sample": False, "suppress_tokens": [7]})
    assert tasks.documents("plain", None)[0].generation == {"max_new_tokens": 4, "suppress_tokens": [7]}


@pytest.mark.parametrize(
    ("name", "value"), [("do_sample", True), ("use_cache", False), ("top_p", 0.9), ("num_beam", 2)]
)
def test_settings_that_are_not_honoured_are_refused(bench: Bench, name: str, value: object) -> None:
    bench.add("plain", ["a"])
    with pytest.raises(WinnowError, match=rf"^tasks\.generation\.{name}={value} is not honoured: .*num_beams"):
        bench.tasks("plain", generation={name: value})


def test_fingerprint_follows_the_data(bench: Bench) -> None:
    bench.add("plain", ["a"])
    before = bench.tasks("plain").documents("plain", None)[0].fingerprint
    bench.add("plain", ["b"])
    assert bench.tasks("plain").documents("plain", None)[0].fingerprint != before


def test_quiet_on_the_screen(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.add("plain", ["a", "b"])
    tasks = bench.tasks("plain")
    tasks.documents("plain", None)[0].visuals()
    score(tasks, "plain", lambda d: "A", bench.folder)
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""
    assert logging.root.manager.disable == 0


def test_exit_over_a_missing_video_is_an_error_of_that_document(bench: Bench) -> None:
    bench.add("plain", ["a", "gone"])
    documents = bench.tasks("plain").documents("plain", None)
    with pytest.raises(SystemExit, match=r"gone\.mp4 does not exist"):
        documents[1].visuals()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty", "task 'empty' has no documents"),
        ("choice", "is of type multiple_choice: choose one of type generate_until"),
    ],
)
def test_tasks_that_cannot_be_run(bench: Bench, name: str, message: str) -> None:
    bench.add("empty", [])
    bench.add("choice", ["a"], kind="multiple_choice")
    with pytest.raises(WinnowError, match=message):
        bench.tasks(name).documents(name, None)


def test_task_that_does_not_load_tells_the_root_cause(bench: Bench) -> None:
    bench.add("plain", ["a"])
    (bench.folder / "plain.json").unlink()
    with pytest.raises(WinnowError, match=r"task 'plain' cannot be loaded: FileNotFoundError: .*plain\.json"):
        bench.tasks("plain").documents("plain", None)


def test_mean_is_over_all_documents(bench: Bench, tmp_path: Path) -> None:
    """lmms-eval's own number drops what was not answered; ours counts it as wrong."""
    bench.add("plain", ["a", "b", "c", "d"])
    answers = {"a": "A", "b": "A", "c": "", "d": None}
    scored = score(bench.tasks("plain"), "plain", lambda d: answers[d.text], tmp_path)
    summary = scored.summary
    assert (summary["documents"], summary["failed"], summary["reasons"]) == (4, 1, {"out of memory": 1})
    assert summary["mean"] == 25 and summary["lmms_eval"] == 50
    assert summary["low"] < 25 < summary["high"]
    assert [s["scores"]["right"] for s in scored.samples] == [1, 0, 0, 0]
    assert scored.samples[0]["target"] == "A" and scored.samples[3]["status"] == "failed"
    assert "two" not in summary["breakdown"] and "submission" not in summary["breakdown"]


def test_failed_document_scores_nothing_even_if_its_empty_answer_would(bench: Bench, tmp_path: Path) -> None:
    bench.add("plain", ["", "b"])
    scored = score(bench.tasks("plain"), "plain", lambda d: None if d.text == "" else "B", tmp_path)
    assert scored.summary["mean"] == 50


def test_error_in_scoring_tells_the_root_cause(bench: Bench, tmp_path: Path) -> None:
    bench.add("plain", ["a", "broken"])
    with pytest.raises(WinnowError, match="lmms-eval cannot score task 'plain': KeyError: 'the category'"):
        score(bench.tasks("plain"), "plain", lambda d: "A", tmp_path)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("wrong", "gives no 'wrong' per document: set tasks.metric to one of right, two"),
        ("two", "with two=2: only 0 to 1"),
    ],
)
def test_metric_that_cannot_be_averaged(bench: Bench, tmp_path: Path, metric: str, message: str) -> None:
    bench.add("plain", ["a"])
    with pytest.raises(WinnowError, match=message):
        score(bench.tasks("plain", metric=metric), "plain", lambda d: "A", tmp_path)


def test_ranks_stay_away_from_lmms_eval(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    bench.add("plain", ["a", "b", "c"])
    assert score(bench.tasks("plain"), "plain", lambda d: "A", tmp_path).summary["documents"] == 3
    assert os.environ["RANK"] == "1"


def test_replay_survives_being_cleaned(bench: Bench) -> None:
    bench.add("plain", ["a"])
    bench.tasks("plain")
    from winnow.harness.tasks.lmms_eval import replay

    model = replay({("plain", 0): "A"})
    model.clean()
    assert repr(model) == "winnow.Replay"
    for method in (model.loglikelihood, model.generate_until_multi_round):
        with pytest.raises(WinnowError, match="cannot be run: choose one"):
            method([])


def test_what_is_told_is_whole_and_stays() -> None:
    assert usual(Scored) == {}


def row_of(number: int, answer: str = "said") -> Row:
    return Row("quiz", number, f"print {number}", answer)


DOCUMENTS: Any = [SimpleNamespace(task="quiz", doc_id=n, fingerprint=f"print {n}", text="?") for n in range(2)]


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a benchmark's own scoring is given, and what lmms-eval is made to say."""
    known: dict[str, Any] = {"says": {"m": 0.5, "other": 0.7}, "asked": 0}

    def evaluate(tasks: Any, name: str, answers: Any, folder: Path) -> Any:
        known["asked"] += 1
        if isinstance(known["says"], Exception):
            raise known["says"]
        return SimpleNamespace(figures=known["says"], judged={})

    def score_benchmark(tasks: Any, benchmark: Any, documents: Any, rows: Any, theirs: Any, folder: Path) -> Any:
        known.update(theirs=theirs, answers=[row.answer for row in rows])
        return {}, [{"answer": row.answer} for row in rows], []

    monkeypatch.setattr("winnow.harness.score.scoring.evaluate", evaluate)
    monkeypatch.setattr("winnow.harness.score.benchmarks.score_benchmark", score_benchmark)
    monkeypatch.setattr("winnow.harness.score.scoring.as_asked", lambda *words: "/".join(map(str, words)))
    return known


def told(metric: str | None = "m", barred: Any = None, boxes: bool = False) -> Any:
    benchmark = SimpleNamespace(metric=metric, barred=barred, boxes=boxes)
    return SimpleNamespace(benchmark=lambda name: benchmark, config=SimpleNamespace(metric="m"))


@pytest.mark.parametrize(
    ("tasks", "says", "theirs", "asked"),
    [
        (told(), {"m": 0.5, "other": 0.7}, 0.5, 1), (told("none"), {"m": 0.5}, None, 1),
        (told(None), {"m": 0.5}, None, 0), (told(), WinnowError("no judge"), "no judge", 1),
        (told(barred=lambda: "needs java"), {"m": 0.5}, "needs java", 0),
        (told(barred=lambda: ""), {"m": 0.5}, 0.5, 1),
    ],
)  # fmt: skip
def test_lmms_evals_figure_or_why_there_is_none_goes_beside_a_benchmarks_own(
    tasks: Any, says: Any, theirs: Any, asked: int, marked: dict[str, Any], tmp_path: Path
) -> None:
    marked["says"] = says
    scored = score_task(tasks, "quiz", DOCUMENTS, {row_of(n).key: row_of(n) for n in (1, 0)}, tmp_path)
    assert (marked["theirs"], marked["asked"], marked["answers"]) == (theirs, asked, ["said", "said"])
    assert scored.samples == [{"answer": "said"}] * 2


def test_a_box_is_scored_in_the_asked_scale_and_kept_as_it_was_said(marked: dict[str, Any], tmp_path: Path) -> None:
    rows = {row.key: row for row in (row_of(0, "a"), row_of(1, "b"))}
    scored = score_task(told(boxes=True), "quiz", DOCUMENTS, rows, tmp_path, "qwen2_vl")
    assert marked["answers"] == ["a/qwen2_vl/[]", "b/qwen2_vl/[]"]
    assert scored.samples == [{"answer": "a", "box": "a/qwen2_vl/[]"}, {"answer": "b", "box": "b/qwen2_vl/[]"}]


@pytest.mark.parametrize(
    ("benchmark", "documents", "asked"), [(True, DOCUMENTS, 0), (False, [], 0), (False, DOCUMENTS, 1)]
)
def test_scoring_is_rehearsed_where_lmms_evals_figure_is_the_only_one(
    benchmark: bool, documents: Any, asked: int, marked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("winnow.harness.score.scoring._score_by_metric", lambda *words: seen.append(words[:4]))
    tasks = told()
    found = tasks.benchmark("quiz") if benchmark else None
    rehearse(SimpleNamespace(benchmark=lambda name: found, config=tasks.config), "quiz", documents)  # type: ignore[arg-type]
    assert marked["asked"] == asked == len(seen)
    assert seen in ([], [("m", "quiz", DOCUMENTS[:1], [Row("quiz", 0, "print 0")])])


@pytest.mark.parametrize(
    ("value", "fits"), [(0.0, True), (1.0, True), (0.5, True), (1.001, False), (-0.001, False), (None, False)]
)
def test_a_metric_is_there_and_between_0_and_1(value: float | None, fits: bool) -> None:
    samples: list[Any] = [{"scores": {"m": 0.0}}, {"scores": {"b": 1.0} if value is None else {"m": value, "b": 9.0}}]
    if fits:
        assert _check_metric("m", "quiz", samples) == "m"
    else:
        said = "gives no 'm' per document: set tasks.metric to one of b, m" if value is None else "only 0 to 1"
        with pytest.raises(WinnowError, match=said):
            _check_metric("m", "quiz", samples)
    with pytest.raises(WinnowError, match="gives no 'None' per document"):
        _check_metric(None, "quiz", samples)


def test_a_task_of_anybodys_is_worth_the_mean_of_its_metric() -> None:
    """A failed document scores nothing in any metric; one that leaves 0 to 1 has no interval and no part."""
    judged = {n: Judged(f"t{n}", {"m": float(n), "big": 2.0 * n}) for n in range(2)}
    judged[2] = Judged("t2", {"m": 1.0, "big": 0.0})
    rows = [row_of(0), row_of(1), replace(row_of(2), status="failed", reason="late", media="v")]
    documents: Any = [*DOCUMENTS, SimpleNamespace(task="quiz", doc_id=2, text="?")]
    made = _score_by_metric("m", "quiz", documents, rows, Evaluation(judged, {"m": 0.7}))
    assert (made.summary["mean"], made.summary["documents"], made.summary["failed"]) == (33.3333, 3, 1)
    assert made.summary["lmms_eval"] == 0.7 and made.summary["reasons"] == {"late": 1}
    assert {name: (part["mean"], part["documents"]) for name, part in made.summary["breakdown"].items()} == {
        "m": (33.3333, 3)
    }  # fmt: skip
    assert [sample["scores"] for sample in made.samples] == [{"m": 0, "big": 0}, {"m": 1, "big": 2}, {"m": 0, "big": 0}]
    assert made.scores[4] == {
        "task": "quiz", "doc_id": 2, "doc": "print 2", "status": "failed", "metric": "m", "score": 0, "stratum": "",
        "media": "v",
    }  # fmt: skip
