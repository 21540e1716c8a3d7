"""Benchmarks of text, charts and documents, and of pictures that blind people took."""

from __future__ import annotations

from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.kinds.numbers import charted
from winnow.harness.tasks.kinds.texts import alike
from winnow.harness.tasks.readers import graded

OCR_KINDS = (
    "Regular Text Recognition", "Irregular Text Recognition", "Artistic Text Recognition", "Handwriting Recognition",
    "Digit String Recognition", "Non-Semantic Text Recognition", "Scene Text-centric VQA", "Doc-oriented VQA",
    "Key Information Extraction", "Handwritten Mathematical Expression Recognition",
)  # fmt: skip


def _document(task: str, family: str, config: str) -> Benchmark:
    return Benchmark(
        task, family, "lmms-lab-encoder/DocVQA", alike, "anls", config=config, split="validation", answer="answers",
        ident=("questionId",), columns={"question": "text", "answers": "list"}, own=True,
        quirk="lmms-eval divides the edit distance by lengths that count the spaces which it leaves out before",
    )  # fmt: skip


READING = (
    Benchmark(
        "ocrbench", "ocrbench", "echo840/OCRBench", graded, "ocrbench_accuracy",
        columns={"question": "text", "dataset": "text"}, categories={"question_type": OCR_KINDS},
        breakdown=("question_type",),
        quirk="lmms-eval divides by the 1000 questions of the whole set, however many were asked",
    ),
    _document("docvqa_val", "docvqa", "DocVQA"),
    _document("infovqa_val", "infovqa", "InfographicVQA"),
    Benchmark(
        "chartqa", "chartqa", "lmms-lab-encoder/ChartQA", charted, "relaxed_overall",
        columns={"question": "text", "answer": "text", "type": "text"}, breakdown=("type",), own=True,
        quirk="lmms-eval compares '0.0' with '0' and '1,000' with '1000' as words, and a full stop makes words wrong",
    ),
    Benchmark(
        "vizwiz_vqa_val", "vizwiz_vqa", "lmms-lab-encoder/VizWiz-VQA", graded, "exact_match", split="val",
        answer="answers", ident=("question_id",), columns={"question": "text"}, breakdown=("category",),
    ),
)  # fmt: skip
