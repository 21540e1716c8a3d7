"""Benchmarks of what models see that is not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.choices import Doc
from winnow.harness.tasks.kinds import chair
from winnow.harness.tasks.kinds.yes_no import agreed_by_number, together


def sets_of(answered: Sequence[tuple[Doc, str, float]]) -> dict[str, float]:
    """HallusionBench's consistency: questions right with every figure, and figures right in every question."""

    def by(column: str) -> Any:
        return lambda doc: tuple(str(doc[name]) for name in ("category", "subcategory", "set_id", column))

    return {"qAcc": together(answered, by("question_id")), "fAcc": together(answered, by("figure_id"))}


def by_words(names: Mapping[str, Any]) -> Any:
    """lmms-eval's evaluation of HallusionBench that needs no judge: whether there is a yes in the answer."""
    return lambda results, metric, args: 100 * names["hb_aggregation_result_intern"](results, metric)


HALLUCINATION = (
    Benchmark(
        "hallusion_bench_image", "hallusion_bench", "lmms-lab-encoder/HallusionBench", agreed_by_number, "aAcc", 1.0,
        split="image", answer="gt_answer", ident=("category", "subcategory", "set_id", "figure_id", "question_id"),
        columns={"question": "text"}, breakdown=("category", "subcategory"), own=True, further=sets_of,
        instead={"hb_aggregation_result": by_words},
        quirk="lmms-eval asks a judge, and keeps what it said of the first run for all others of the folder; this is "
        "its evaluation without one, where a yes in any word counts, as in 'eyes', and everything else is a no",
    ),
    Benchmark(
        "coco_cap_chair", "coco_cap_chair", "tsunghanwu/mscoco_chair", chair.faithful, "coco_cap_chair_s", 1.0,
        answer="gt_object", ident=("question_id",), columns={"gt_object": "list"}, own=True, further=chair.rates,
        complement=True, cap=512, barred=chair.lacking,
        quirk="lmms-eval's lemmas need nltk's data, and an empty caption is faithful to it",
    ),
)  # fmt: skip
