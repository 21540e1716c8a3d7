"""Benchmarks of places: boxes in pictures and spans of time in videos."""

from __future__ import annotations

from collections.abc import Sequence

from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.choices import Doc
from winnow.harness.tasks.kinds import boxes, spans
from winnow.harness.tasks.rows import by_sentence

SPLITS = {
    ("refcoco", "RefCOCO"): ("val", "testA", "testB"),
    ("refcoco+", "RefCOCOplus"): ("val", "testA", "testB"),
    ("refcocog", "RefCOCOg"): ("val", "test"),
}


def _boxes(family: str, repo: str, split: str) -> Benchmark:
    return Benchmark(
        f"{family}_bbox_rec_{split}", family, f"lmms-lab-encoder/{repo}", boxes.boxed, "refcoco_ACC@0.5", split=split,
        answer="bbox", columns={"answer": "text", "question_id": "text"}, tokens=64, own=True, boxes=True,
        further=boxes.fits, adapt=by_sentence,
        quirk="lmms-eval takes a line for a box; both figures are of boxes from 0 to 1, as the prompt asks for",
    )  # fmt: skip


def timed(answered: Sequence[tuple[Doc, str, float]]) -> dict[str, float]:
    """How spans fit, and the share of answers, in %, in which lmms-eval's parser finds none."""
    from lmms_eval.tasks.charades_sta.utils import extract_time

    unread = sum(not extract_time(answer) for _, answer, _ in answered)
    return spans.fits(answered) | {"unread by lmms-eval": 100 * unread / len(answered)}


GROUNDING = (
    *(_boxes(family, repo, split) for (family, repo), splits in SPLITS.items() for split in splits),
    Benchmark(
        "temporal_grounding_charades", "charades_sta", "lmms-eval/charades_sta", spans.timed, "charades_sta_IOU@5", 1.0,
        media="charades_sta", answer="timestamp", columns={"video": "text", "caption": "text"}, own=True,
        further=timed,
        quirk="lmms-eval finds no span in 'It starts at 3.0 seconds and ends at 9.5 seconds.' and in '[3, 9]', and "
        "takes two equal sentences about one video for one",
    ),
)  # fmt: skip
