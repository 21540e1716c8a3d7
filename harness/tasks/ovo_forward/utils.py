"""What lmms-eval calls for the rounds of OVO-Bench's forward questions: its own prompts and its own scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from winnow.harness.tasks.zero_shot_qa import root

COUNT, KIND = "count", "type"
"""Columns of a round's label: how often so far, or whether it is so by now."""


def process_docs(questions: Iterable[Mapping[str, Any]]) -> Any:
    """Make a row of each round of each question."""
    from datasets import Dataset

    return Dataset.from_list([one for question in questions for one in _rounds(question)])


def _rounds(question: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    from lmms_eval.tasks.ovobench.utils import build_prompt

    for place, label in enumerate(question["test_info"]):
        counted = question["task"] == "REC"
        yield {
            "id": f"{question['id']}_{place}",
            "task": question["task"],
            "question": build_prompt(question, place),
            "answer": str(label[COUNT]) if counted else ("No", "Yes")[label[KIND]],
            COUNT: label[COUNT] if counted else None,
            KIND: None if counted else label[KIND],
        }


def doc_to_text(doc: Mapping[str, Any], lmms_eval_specific_kwargs: Mapping[str, str] | None = None) -> str:
    """Return the prompt of the round."""
    return str(doc["question"])


def doc_to_visual(doc: Mapping[str, Any]) -> list[str]:
    """Return the path of the video up to the round; lmms-eval fetches them if there are none."""
    folder = root("ovobench") / "chunked_videos"
    if not folder.is_dir():
        from lmms_eval.tasks.ovobench.utils import get_chunked_videos_dir

        get_chunked_videos_dir()
    return [str(folder / f"{doc['id']}.mp4")]


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Return the round as a question of one round, as lmms-eval's scores take it."""
    label = {COUNT: doc[COUNT], KIND: doc[KIND], "response": results[0].strip()}
    return {"forward_acc": {"task": doc["task"], "test_info": [label]}}


def forward_acc(results: Sequence[dict[str, Any]]) -> float:
    """Mean over the kinds of their accuracy in percent, as lmms-eval scores each round."""
    from lmms_eval.tasks.ovobench.score_utils.score import calculate_score_forward

    _, scores = calculate_score_forward([*results])
    return 100 * sum(sum(found) / len(found) for found in scores.values()) / len(scores)
