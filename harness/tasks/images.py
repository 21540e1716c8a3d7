"""The image benchmarks of the papers."""

from __future__ import annotations

from typing import Any

from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.choices import Choices, Doc, column, columns
from winnow.harness.tasks.readers import graded, listed_option, starts_yes_or_no, unlabelled, yes_or_no
from winnow.harness.tasks.rows import with_pictures

PERCEPTION = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR"
)  # fmt: skip
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
ROTATIONS = 1_000_000
"""MMBench's further rotations of a question have its index plus a multiple of this."""


def pair(doc: Doc) -> object:
    """MME asks two questions about every picture."""
    return doc["category"], doc["question_id"]


def perceived(doc: Doc) -> bool:
    """Whether a question of MME is one of perception, whose sum is what the papers print."""
    return doc["category"] in PERCEPTION


def rotated(doc: Doc) -> object:
    """MMBench asks a question again with its options rotated; it is right if all are."""
    return int(doc["index"]) % ROTATIONS


def _pope(task: str, config: str | None, split: str) -> Benchmark:
    return Benchmark(
        task, "pope", "lmms-lab-encoder/POPE", yes_or_no, "pope_accuracy", config=config, split=split,
        ident=("question_id", "category"), columns={"question": "text", "category": "text"},
        breakdown=("category",), tokens=128,
        quirk="lmms-eval compares the whole answer, so that 'Yes.' is wrong; here the first word is read",
    )  # fmt: skip


def _vqa(task: str, split: str, **more: Any) -> Benchmark:
    return Benchmark(
        task, "vqav2", "lmms-lab-encoder/VQAv2", split=split, ident=("question_id",),
        columns={"question": "text"}, **more,
    )  # fmt: skip


IMAGES = (
    _vqa("vqav2_val", "validation", read=graded, metric="exact_match", answer="answers"),
    _vqa("vqav2_test", "test", read=unlabelled, answer=None),
    Benchmark(
        "gqa", "gqa", "lmms-lab-encoder/GQA", graded, "exact_match", config="testdev_balanced_instructions",
        split="testdev", beside=(("testdev_balanced_images", "testdev"),), ident=("id",),
        columns={"question": "text", "imageId": "text"}, adapt=with_pictures,
    ),
    Benchmark(
        "mme", "mme", "lmms-lab-encoder/MME", starts_yes_or_no, "mme_perception_score", 1.0,
        columns={"question_id": "text", "question": "text"}, categories={"category": PERCEPTION + COGNITION},
        strata="category", combine="sum", unit=pair, worth="mean+all", counted=perceived, breakdown=("category",),
    ),
    Benchmark(
        "textvqa_val", "textvqa", "lmms-lab-encoder/textvqa", graded, "exact_match", split="validation",
        answer="answers", ident=("question_id",), columns={"question": "text"},
    ),
    Benchmark(
        "scienceqa_img", "scienceqa", "lmms-lab-encoder/ScienceQA", graded, "exact_match", config="ScienceQA-IMG",
        columns={"question": "text", "choices": "list"}, breakdown=("subject",),
        choices=Choices(column("choices"), "index"),
    ),
    Benchmark(
        "mmbench_en_dev_static", "mmbench", "lmms-lab-encoder/MMBench", listed_option, "gpt_eval_score", 1.0,
        config="en", split="dev", ident=("index",), columns={"question": "text", "A": "text", "B": "text"},
        unit=rotated, worth="all", breakdown=("category",), choices=Choices(columns("ABCD")),
    ),
    _pope("pope", None, "test"),
    _pope("pope_adv", "Full", "adversarial"),
    _pope("pope_pop", "Full", "popular"),
    _pope("pope_random", "Full", "random"),
)  # fmt: skip
