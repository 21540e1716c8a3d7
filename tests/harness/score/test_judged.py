"""What a judge's verdicts are worth, by hand."""

from typing import Any

import pytest

from winnow.harness.score.judge_client import Reply
from winnow.harness.score.judged import ASKERS, _Notebook, _verdict, judged_tasks, questions, read, summarise
from winnow.harness.score.stats import Z
from winnow.harness.tasks.catalogue import BENCHMARKS

SAMPLES: list[dict[str, Any]] = [{"task": "t", "doc_id": n} for n in range(3)]


def test_only_open_questions_are_judged() -> None:
    found = judged_tasks()
    assert found == sorted(name for name, known in BENCHMARKS.items() if known.judge) and "activitynetqa" in found
    assert "videomme" not in found and all(BENCHMARKS[name].judge in ASKERS for name in found)


def test_a_verdict_says_what_was_read_and_what_was_said() -> None:
    told = {"task": "t", "doc_id": 0}
    assert _verdict(SAMPLES[0], None) == told | {"right": None, "score": None, "reply": None}
    assert _verdict(SAMPLES[0], Reply("{'pred': 'no', 'score': 2}")) == told | {
        "right": False, "score": 2, "reply": "{'pred': 'no', 'score': 2}"
    }  # fmt: skip
    assert _verdict(SAMPLES[0], Reply("")) == told | {"right": None, "score": None, "reply": ""}


@pytest.mark.parametrize(("score", "read_as"), [("0", 0), ("5", 5), ("6", None), ("-1", None)])
def test_scores_go_from_0_to_5(score: str, read_as: int | None) -> None:
    assert read(f"{{'pred': 'no', 'score': {score}}}") == (None if read_as is None else False, read_as)


def test_a_summary_counts_all_documents_and_what_was_paid_now() -> None:
    """One right, one wrong, one unread, one not asked, one in doubt; a reply of before costs nothing more."""
    read = [(True, 5, "a"), (False, 1, "b"), (None, None, "c"), (None, None, None), (True, 2, "e"), (False, 0, "f")]
    verdicts = [{"right": right, "score": score, "reply": reply} for right, score, reply in read]
    fresh = [Reply("a", 1000, 10, fresh=True), Reply("b", 1001, 13, fresh=True)]
    old = [Reply("c", 500, 5), Reply("e", 500, 5), Reply("f", 500, 5)]
    found = summarise(verdicts, [""] * 6, [*old, *fresh], "m", (3.0, 11.0))
    # Wilson: 2 of 6. Cost: (2001 * 3 + 23 * 11) / 10^6 = 0.006256.
    centre, spread = (1 / 3 + Z**2 / 12) / (1 + Z**2 / 6), (2 / 9 / 6 + Z**2 / 144) ** 0.5
    half = Z * spread / (1 + Z**2 / 6)
    assert found == {
        "model": "m", "mean": 33.3333, "low": pytest.approx(100 * (centre - half), abs=1e-4),
        "high": pytest.approx(100 * (centre + half), abs=1e-4), "accuracy": 33.3333, "score": 1.3333, "documents": 6,
        "unread": 1, "asked": 2, "remembered": 3, "prompt_tokens": 2001, "reply_tokens": 23, "cost": 0.006256,
    }  # fmt: skip


def test_questions_about_one_video_are_not_independent() -> None:
    verdicts = [{"right": n < 2, "score": 0, "reply": ""} for n in range(4)]
    apart, shared = (summarise(verdicts, media, [], "m", (0, 0)) for media in ([""] * 4, ["v", "v", "w", "w"]))
    assert apart["mean"] == shared["mean"] == 50 and shared["low"] < apart["low"]


def test_a_cost_is_told_to_a_millionth() -> None:
    (verdict,) = [{"right": True, "score": 1, "reply": "a"}]
    assert summarise([verdict], [""], [Reply("a", 7, 0, fresh=True)], "m", (0.16, 0))["cost"] == 0.000001
    assert summarise([verdict], [""], [Reply("a", 0, 1, fresh=True)], "m", (9, 2.4))["cost"] == 0.000002


def test_questions_are_asked_with_what_was_asked_and_said() -> None:
    samples = [{"question": f"why {n}?", "target": f"right {n}", "answer": f"said {n}"} for n in range(2)]
    for name in ("activitynetqa", "moviechat_global"):
        texts = [messages[-1]["content"] for messages in questions(BENCHMARKS[name], samples)]
        assert [all(sample[key] in text for key in sample) for sample, text in zip(samples, texts, strict=True)] == [
            True, True
        ]  # fmt: skip


def test_the_network_that_takes_notes_answers_at_once() -> None:
    sent: list[dict[str, Any]] = []
    answer = _Notebook(sent).post("http://x", {"a": 1}, headers={})
    assert answer.raise_for_status() is None and answer.json()["choices"][0]["message"]["content"]  # type: ignore[func-returns-value]
    assert sent == [{"a": 1}]
