"""The result of a benchmark from marks made by hand: counts, readers, tokens, what stands beside the figure."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from marked import benchmark, mark

from winnow.harness.run.record import Row
from winnow.harness.score.benchmarks import (
    EMPTY,
    _beside,
    _counts,
    _further,
    _sample,
    _score,
    _summary,
    _visual,
    detection,
)
from winnow.harness.score.marking import units
from winnow.harness.tasks.benchmark import Reading

TASKS: Any = SimpleNamespace(config=SimpleNamespace(failed_above=0.5))


@pytest.mark.parametrize(
    ("theirs", "more", "beside"),
    [
        (0.5, {}, {"lmms_eval": 50}), (0.5001, {}, {"lmms_eval": 50.01}),
        (0.49989, {}, {"lmms_eval": 49.989, "note": EMPTY}),
        (0.49, {"quirk": "counts else"}, {"lmms_eval": 49, "note": "counts else"}),
        (1.25, {"scale": 40.0, "quirk": "counts else"}, {"lmms_eval": 50}),
        (0.50004, {"complement": True}, {"lmms_eval": 49.996}),
        (0.6, {"complement": True}, {"lmms_eval": 40, "note": EMPTY}),
        (1, {}, {"lmms_eval": 100, "note": EMPTY}), (1 / 3, {}, {"lmms_eval": 33.3333, "note": EMPTY}),
        (1 / 3, {"complement": True}, {"lmms_eval": 66.6667, "note": EMPTY}),
        (None, {}, {"lmms_eval": None, "note": ""}), ("no judge", {}, {"lmms_eval": None, "note": "no judge"}),
        ("no judge", {"quirk": "counts else"}, {"lmms_eval": None, "note": "no judge; counts else"}),
        (None, {"quirk": "counts else"}, {"lmms_eval": None, "note": "counts else"}),
    ],
)  # fmt: skip
def test_lmms_evals_figure_stands_beside_ours_on_our_scale_with_what_explains_another(
    theirs: Any, more: dict[str, Any], beside: dict[str, Any]
) -> None:
    assert _beside(benchmark(**more), 50.0, theirs) == beside


def test_documents_are_counted_by_what_became_of_them() -> None:
    """Two of four that were answered cannot be understood: not more than half of all five."""
    marks = [mark(0), mark(1, parsed=False), mark(2, parsed=False), mark(3), mark(4, parsed=False, status="failed")]
    marks[4] = replace(marks[4], row=replace(marks[4].row, reason="late"))
    assert _counts(benchmark(), marks, TASKS) == {
        "task": "t", "documents": 5, "failed": 1, "reasons": {"late": 1}, "unparsed": 2, "verdict": None,
        "visual_tokens": None,
    }  # fmt: skip


def test_visual_tokens_are_those_of_documents_that_were_answered() -> None:
    marks = [
        replace(found, row=replace(found.row, visual=visual, visual_per_layer=[visual, visual]))
        for found, visual in ((mark(0), 10), (mark(1, status="failed"), 90))
    ]
    assert _counts(benchmark(), marks, TASKS)["visual_tokens"] == {
        "prompt": 10, "entrance": 10, "mean": 10, "last": 10
    }  # fmt: skip


@pytest.mark.parametrize(("unparsed", "verdict"), [(0, None), (2, None), (3, "Failed"), (4, "Failed")])
def test_answers_that_are_mostly_not_understood_failed_as_a_whole(unparsed: int, verdict: str | None) -> None:
    marks = [mark(n, parsed=n >= unparsed) for n in range(4)]
    assert _counts(benchmark(), marks, TASKS)["verdict"] == verdict


def test_options_are_read_twice() -> None:
    """The one reader finds A, nothing, and B; lmms-eval's code takes the second for C; the last failed."""
    letters = [("A", "A", 1.0), ("C", "", 0.0), ("B", "B", 1.0), ("D", "A", 1.0)]
    marks = [
        replace(mark(n), readings=(Reading(0, True, theirs), Reading(score, bool(ours), ours)))
        for n, (theirs, ours, score) in enumerate(letters)
    ]
    marks[3] = replace(marks[3], row=replace(marks[3].row, status="failed"))
    found = _counts(benchmark(), [*marks, mark(5)], TASKS)["reader"]
    assert (found["mean"], found["documents"], found["unread"], found["disagree"]) == (50, 5, 1, 1)
    assert _counts(benchmark(counted=lambda doc: False), marks, TASKS)["reader"]["mean"] == 0
    assert "reader" not in _counts(benchmark(), [mark(0)], TASKS)
    marks = [replace(one, doc={"in": n < 3}) for n, one in enumerate(marks)]
    counted = _counts(benchmark(counted=lambda doc: doc["in"]), marks, TASKS)["reader"]
    assert counted["mean"] == 66.6667
    hidden = _counts(benchmark(submission=True), marks, TASKS)["reader"]
    assert hidden == {"mean": None, "documents": 4, "unread": 1, "disagree": 1}


def test_visual_tokens_are_means_over_what_was_seen() -> None:
    first, second = (
        Row("t", n, "", visual=visual, visual_per_layer=layers)
        for n, (visual, layers) in enumerate([(100, [80, 80, 40]), (51, [51, 20, 0])])
    )
    # (80 + 80 + 40) / 3 and 71 / 3: 45.1667 on average.
    assert _visual([first, second, Row("t", 2, "", visual=0)]) == {
        "prompt": 75.5, "entrance": 65.5, "mean": 45.17, "last": 20
    }  # fmt: skip
    assert _visual([Row("t", 2, "")]) is None is _visual([])


def test_a_summary_holds_the_figure_of_what_counts_and_its_parts() -> None:
    made = benchmark(counted=lambda doc: doc["group"] == "a", breakdown=("kind",), combine="mean")
    marks = [mark(n, float(n < 2), group="ab"[n == 3], kind="xy"[n % 2]) for n in range(4)]
    found = units(made, marks)
    told = _summary(made, "m", found, [unit for unit in found if unit.counted], 2 / 3)
    assert (told["metric"], told["combine"], told["units"], told["mean"]) == ("m", "mean", 3, 66.6667)
    assert told["lmms_eval"] == 66.6667 and "note" not in told
    assert {name: (part["mean"], part["documents"]) for name, part in told["breakdown"].items()} == {
        "kind x": (50, 2), "kind y": (50, 2), "others": (0, 1)
    }  # fmt: skip
    none = _summary(benchmark(), "m", [], [], None)
    assert (none["mean"], none["low"], none["high"], none["units"], none["breakdown"]) == (0, 0, 0, 0, {})


def test_yes_and_no_as_pope_counts_them() -> None:
    """Yes is right three times: said twice. No is right twice: yes said once; and one answer is not understood."""
    rows = [("yes", 1), ("Yes ", 1), ("yes", 0), ("no", 1), ("no", 0)]
    marks = [mark(n, float(score), answer=truth) for n, (truth, score) in enumerate(rows)]
    assert detection(marks) == {"precision": 66.6667, "recall": 66.6667, "f1": 66.6667, "yes": 60}
    unread = mark(5, 0.0, parsed=False, answer="no")
    assert detection([*marks, unread]) == {"precision": 66.6667, "recall": 66.6667, "f1": 66.6667, "yes": 50}
    more = mark(5, 0.0, answer="no")
    assert detection([*marks, more]) == {"precision": 50, "recall": 66.6667, "f1": 57.1429, "yes": 66.6667}
    assert detection([mark(0, 1.0, answer="no")]) == dict.fromkeys(("precision", "recall", "f1", "yes"), 0)
    assert detection([mark(0, answer="yes")]) == dict.fromkeys(("precision", "recall", "f1", "yes"), 100)
    assert detection([mark(0, 0.0, answer="yes")]) == dict.fromkeys(("precision", "recall", "f1", "yes"), 0)


def test_further_figures_are_made_of_what_was_answered() -> None:
    seen: list[Any] = []

    def further(answered: Any) -> dict[str, float]:
        seen.extend(answered)
        return {"third": 100 / 3}

    marks = [mark(0, 0.5, a=1), mark(1, status="failed", a=2)]
    marks = [replace(one, row=replace(one.row, answer="said")) for one in marks]
    assert _further(benchmark(further=further), marks) == {"third": 33.3333}
    assert seen == [({"a": 1}, "said", 0.5), ({"a": 2}, "", 0.0)]
    assert _further(benchmark(), marks) == {}
    assert set(_further(benchmark(metric="pope_accuracy"), [mark(0, answer="no")])) == {
        "precision", "recall", "f1", "yes"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cap", "cut", "told"),
    [(8, 2, {"cut off at the limit": 66.6667}), (8, 0, {}), (None, 2, {}), (8, 1, {"cut off at the limit": 33.3333})],
)
def test_answers_that_were_cut_off_are_told_where_winnow_set_the_limit(
    cap: int | None, cut: int, told: dict[str, float]
) -> None:
    marks = [replace(one, row=replace(one.row, cut=n < cut)) for n, one in enumerate([mark(0), mark(1), mark(2)])]
    assert _further(benchmark(cap=cap), marks) == told


def test_what_is_kept_of_a_document() -> None:
    row = Row("t", 3, "print", answer="B", status="ok", media="v.mp4")
    found = replace(mark(3, 0.5, answer="A", question="which?"), row=row)
    document: Any = SimpleNamespace(text="prompt")
    told = {
        "task": "t", "doc_id": 3, "doc": "print", "prompt": "prompt", "question": "which?", "target": "A",
        "answer": "B", "status": "ok", "reason": "", "parsed": True, "letters": None, "scores": {"m": 0.5},
    }  # fmt: skip
    assert _sample(benchmark(), document, found, "m") == told
    assert _sample(benchmark(answer=None, submission=True), document, found, "m") == told | {
        "target": None,
        "scores": {},
    }
    read = replace(found, readings=(Reading(0, True, "A"), Reading(1, True, "B")))
    assert _sample(benchmark(), document, read, "m")["letters"] == {"lmms_eval": "A", "reader": "B"}
    (unit,) = units(benchmark(strata="question"), [found])
    assert _score(unit, "m") == {
        "task": "t", "doc_id": 3, "doc": "print", "status": "ok", "metric": "m", "score": 0.5, "stratum": "which?",
        "media": "v.mp4",
    }  # fmt: skip
