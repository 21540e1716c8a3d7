"""MSVD-QA and MSRVTT-QA in the layout of Video-LLaVA's evaluation data: questions and answers in two files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from winnow.harness.tasks.readers import normalised
from winnow.reducers.core.errors import WinnowError

VIDEO_TYPES = (".mp4", ".avi", ".mkv", ".webm")
FOLDERS = ("videos", "videos/all", "all", "")


def root(task: str) -> Path:
    """The folder of a task's data."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface").expanduser() / task


def override(task: str) -> dict[str, Any]:
    """Say where a task's questions lie."""
    return from_file(task, root(task) / "test_q.json")


def from_file(task: str, questions: Path) -> dict[str, Any]:
    """Let a task read its questions from one file."""
    if not questions.is_file():
        raise WinnowError(f"{questions} does not exist: `winnow data plan {task}` says where the data come from")
    return {"dataset_kwargs": {"data_files": {"test": str(questions)}}}


def process_docs(task: str, questions: Any) -> Any:
    """Give each question its answer, by `question_id`."""
    path = root(task) / "test_a.json"
    answers = {str(row["question_id"]): row["answer"] for row in json.loads(path.read_text(encoding="utf-8"))}
    found = [answers.get(str(name)) for name in questions["question_id"]]
    return questions.add_column("answer", found)


def doc_to_visual(task: str, doc: Mapping[str, Any]) -> list[str]:
    """Return the path of the video."""
    tried = [root(task) / folder / f"{doc['video_name']}{end}" for folder in FOLDERS for end in VIDEO_TYPES]
    found = next((path for path in tried if path.is_file()), None)
    if found is None:
        raise FileNotFoundError(f"video {doc['video_name']} is not in {root(task)}")
    return [str(found)]


def doc_to_text(doc: Mapping[str, Any], lmms_eval_specific_kwargs: Mapping[str, str] | None = None) -> str:
    """Return the question between the prompts of the task."""
    prompts = lmms_eval_specific_kwargs or {}
    return f"{prompts.get('pre_prompt', '')}{doc['question'].capitalize()}{prompts.get('post_prompt', '')}"


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Compare with the expected word; a judge follows in a second stage."""
    return {"exact_match": float(normalised(results[0]) == normalised(str(doc["answer"])))}
