"""Benchmarks of knowledge and reasoning about pictures."""

from __future__ import annotations

import copy
import re
from ast import literal_eval
from collections.abc import Mapping
from typing import Any

from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.choices import Choices, Doc, as_lines, column, columns
from winnow.harness.tasks.images import rotated
from winnow.harness.tasks.kinds.maths import reasoned
from winnow.harness.tasks.readers import graded, listed_option, option, option_or_text
from winnow.harness.tasks.videos import GUESS

LETTERS = (
    "lmms-eval takes 'Dunno' for D and 'Answer: B, because A is wrong' for A; here the one reader of options decides"
)
STARS = (
    "coarse perception", "fine-grained perception", "instance reasoning", "logical reasoning", "science & technology",
    "math",
)  # fmt: skip
IN_LINE = re.compile(r"(?:^|, |\s)([A-D]): (.*?)(?=,? [B-D]: |$)")


def in_line(doc: Doc) -> list[str]:
    """Options in one line of the question: ``Options: A: red, B: green``."""
    line = doc["question"].rpartition("Options:")[2].strip().splitlines()
    return [text.strip() for _, text in IN_LINE.findall(line[0])] if line else []


def written(doc: Doc) -> list[str]:
    """Options as the text of a list; none of an open question."""
    return list(literal_eval(doc["options"])) if doc["question_type"] == "multiple-choice" else []


def real_world(doc: Doc) -> list[str]:
    """Options as lines of the question, where the label is a letter."""
    return as_lines("question")(doc) if doc["answer"].strip().upper() in "ABCD" else []


def without_judge(names: Mapping[str, Any]) -> Any:
    """MathVista's evaluator as it is where no judge answers, without the wait."""
    found = copy.copy(names["mathvista_evaluator"])
    found.get_chat_response = lambda *_, **__: ""
    return found


def static(names: Mapping[str, Any]) -> Any:
    """MMBench's evaluator by its own rules alone, as for the English set."""
    found = copy.copy(names["mmbench_evaluator"])
    evaluate = found.eval_result
    found.eval_result = lambda results, eval_method: evaluate(results, eval_method="static")
    return found


REASONING = (
    Benchmark(
        "seedbench", "seedbench", "lmms-lab-encoder/SEED-Bench", option, "seed_image",
        columns={"question": "text", "data_type": "text", **{f"choice_{one}": "text" for one in "abcd"}},
        counted=lambda doc: doc["data_type"] == "image", breakdown=("question_type_id",),
        choices=Choices(columns("abcd", "choice_")), reread=True,
        quirk="lmms-eval takes the first character of an answer for the option",
    ),
    Benchmark(
        "mmbench_cn_dev", "mmbench", "lmms-lab-encoder/MMBench", listed_option, "gpt_eval_score", 1.0,
        config="cn", split="dev", ident=("index",), columns={"question": "text", "A": "text", "B": "text"},
        unit=rotated, worth="all", breakdown=("category",), choices=Choices(columns("ABCD")),
        instead={"mmbench_evaluator": static},
        quirk="lmms-eval asks a judge where its rules find no option; this is its evaluation without one, as of the "
        "English set",
    ),
    Benchmark(
        "mmstar", "mmstar", "Lin-Chen/MMStar", graded, "average", split="val", ident=("index",),
        columns={"question": "text", "l2_category": "text"}, categories={"category": STARS}, strata="category",
        breakdown=("category",), choices=Choices(in_line), reread=True,
        quirk=f"lmms-eval averages over the 18 second-level categories, here over the benchmark's six; {LETTERS}",
    ),
    Benchmark(
        "mathvista_testmini_cot", "mathvista", "AI4Math/MathVista", reasoned, "llm_as_judge_eval", 1.0,
        split="testmini", ident=("pid",), columns={"question": "text", "question_type": "text", "answer_type": "text"},
        choices=Choices(lambda doc: list(doc["choices"] or ()), "text"), own=True, cap=1024,
        instead={"mathvista_evaluator": without_judge},
        quirk="lmms-eval asks a judge to find the answer; this is its figure where none answers: the option of the "
        "shortest words stands for what it cannot read, no number with decimals is right, and 0 is no figure",
    ),
    Benchmark(
        "mmmu_val", "mmmu", "lmms-lab-encoder/MMMU", option_or_text, "mmmu_acc", split="validation", ident=("id",),
        columns={"question": "text", "options": "text", "question_type": "text"}, breakdown=("question_type",),
        choices=Choices(written), reread=True,
        quirk=f"{GUESS}; it takes several labels of an open question for one text, to which no answer is equal",
    ),
    Benchmark(
        "ai2d", "ai2d", "lmms-lab-encoder/ai2d", graded, "exact_match",
        columns={"question": "text", "options": "list"}, choices=Choices(column("options"), "index"), reread=True,
        quirk="lmms-eval compares the whole answer with the letter: 'The answer is B' is wrong",
    ),
    Benchmark(
        "realworldqa", "realworldqa", "lmms-lab-encoder/RealWorldQA", graded, "exact_match",
        columns={"question": "text", "answer": "text"}, choices=Choices(real_world), reread=True, quirk=LETTERS,
    ),
)  # fmt: skip
