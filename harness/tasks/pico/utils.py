"""Prompts and scoring of the pico tasks, as lmms-eval calls them."""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from winnow.harness.tasks.pico.data import root

Doc = dict[str, Any]


def doc_to_visual(doc: Doc) -> list[Any]:
    """Return the path of the video, or the image."""
    if "video" in doc:
        return [str(root() / doc["video"])]
    return [Image.open(root() / doc["image"]).convert("RGB")]


def doc_to_text(doc: Doc, lmms_eval_specific_kwargs: dict[str, str] | None = None) -> str:
    """Return the question; pico needs no instruction, other models get the `post_prompt` of the task."""
    return str(doc["question"]) + (lmms_eval_specific_kwargs or {}).get("post_prompt", "")


def process_results(doc: Doc, results: Sequence[str]) -> dict[str, float]:
    """Score one answer: right if it is the expected word or letter, whatever its case, brackets or final stop.

    Returns
    -------
    dict
        `pico_accuracy` and the accuracy of the question's own type, `pico_<type>`.
    """
    score = float(results[0].lower().strip(" .()") == doc["answer"].lower())
    return {"pico_accuracy": score, f"pico_{doc['type']}": score}
