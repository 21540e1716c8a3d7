"""How answers are read: lmms-eval parses them, except where its parser would mislead.

Every reader takes lmms-eval's value for a document, the answer and the document.
"""

from __future__ import annotations

import string
from ast import literal_eval
from collections.abc import Mapping
from functools import cache
from typing import Any

from winnow.harness.tasks.benchmark import Reading
from winnow.harness.tasks.choices import Doc

PAIRS = (
    ("pred_answer", "answer"), ("parsed_pred", "answer"), ("pred", "ground_truth"), ("pred_id", "answer_id"),
    ("pred", "answer"),
)  # fmt: skip


def option(value: Any, answer: str, doc: Doc) -> Reading:
    """Take the option that lmms-eval parsed; what it could not parse is wrong."""
    chosen, right = next((value[a], value[b]) for a, b in PAIRS if a in value and b in value)
    return Reading(float(str(chosen).lower() == str(right).lower()), str(chosen) not in {"", "-1"})


def graded(value: Any, answer: str, doc: Doc) -> Reading:
    """Take lmms-eval's score; only an empty answer cannot be understood."""
    score = value["score"] if isinstance(value, Mapping) else value
    return Reading(float(score), bool(answer.strip()))


def rated(value: Any, answer: str, doc: Doc) -> Reading:
    """Take lmms-eval's rating, 1 or 0."""
    return Reading(float(value["rating"] == 1), bool(answer.strip()))


def contained(value: Any, answer: str, doc: Doc) -> Reading:
    """Look for the right letter anywhere in the answer, as OVO-Bench does."""
    return Reading(float(value["ground_truth"] in value["response"]), bool(answer.strip()))


def option_or_text(value: Any, answer: str, doc: Doc) -> Reading:
    """Take the option that lmms-eval parsed, or compare with the label of a question without options as MMMU does."""
    said = value["parsed_pred"]
    if doc.get("question_type") == "multiple-choice":
        letter = said[0] if isinstance(said, list) else said
        return Reading(float(letter == value["answer"]), bool(letter))
    from lmms_eval.tasks.mmmu.utils import eval_open

    nested = bool(said) and isinstance(said[0], list)
    return Reading(float(eval_open(_labels(value["answer"]), said[0] if nested else said)), bool(answer.strip()))


def _labels(label: str) -> Any:
    """One label, or several that are written as a list."""
    try:
        found = literal_eval(label)
    except (SyntaxError, ValueError):
        return label
    return found if isinstance(found, list) else label


def yes_or_no(value: Any, answer: str, doc: Doc) -> Reading:
    """Compare the first word with the label, whatever its case and punctuation."""
    words = answer.lower().translate(str.maketrans("", "", string.punctuation)).split()
    said = words[0] if words else ""
    return Reading(float(said == str(doc["answer"]).lower().strip()), said in {"yes", "no"})


def starts_yes_or_no(value: Any, answer: str, doc: Doc) -> Reading:
    """Take lmms-eval's score, which looks for yes and no in the first four letters."""
    said = answer.lower().strip().replace(".", "")
    return Reading(float(value["score"]), said in {"y", "n"} or "yes" in said[:4] or "no" in said[:4])


def exact(value: Any, answer: str, doc: Doc) -> Reading:
    """Compare with the label word by word, without case, punctuation and articles: the score that needs no judge."""
    return Reading(float(normalised(answer) == normalised(str(doc["answer"]))), bool(answer.strip()))


def normalised(text: str) -> str:
    """Lower case, without punctuation and articles, single spaces."""
    words = text.lower().translate(str.maketrans("", "", string.punctuation)).split()
    return " ".join(word for word in words if word not in {"a", "an", "the"})


def listed_option(value: Any, answer: str, doc: Doc) -> Reading:
    """Find the option as lmms-eval's static evaluation of MMBench does, in one answer by itself."""
    from lmms_eval.tasks._task_utils.mcq_extract import extract_mcq_answer

    options = {letter: doc[letter] for letter in "ABCD" if doc.get(letter) not in {None, "", "nan"}}
    said = _mmbench().can_infer(answer, dict(options)) or extract_mcq_answer(answer, choices=sorted(options))
    return Reading(float(said == doc["answer"]), bool(said))


@cache
def _mmbench() -> Any:
    from lmms_eval.tasks.mmbench.mmbench_evals import MMBench_Evaluator

    return MMBench_Evaluator()


def unlabelled(value: Any, answer: str, doc: Doc) -> Reading:
    """Nothing is known of the label."""
    parsed = any(index != -1 for index in value.values()) if isinstance(value, Mapping) else True
    return Reading(0.0, parsed and bool(answer.strip()))
