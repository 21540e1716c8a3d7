"""Benchmarks of motion, order, long videos and space."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from winnow.harness.tasks.benchmark import Benchmark, Reading
from winnow.harness.tasks.choices import Choices, Doc, as_lines, column
from winnow.harness.tasks.kinds import numbers
from winnow.harness.tasks.kinds.captions import matched
from winnow.harness.tasks.kinds.groups import accuracy, group
from winnow.harness.tasks.kinds.yes_no import agreed, said
from winnow.harness.tasks.readers import contained, graded, option, option_or_text, rated
from winnow.harness.tasks.reasoning import LETTERS
from winnow.harness.tasks.videos import GUESS, HERE
from winnow.harness.tasks.zero_shot_qa import from_file

MOTION = "motionbench/video_info.meta.jsonl"
OVO = "the archive chunked_videos.tar.parta* of JoeLeelyf/OVO-Bench"
ESTIMATES = ("object_abs_distance", "object_counting", "object_size_estimation", "room_size_estimation")
UNJUDGED = (
    "lmms-eval asks a judge where its rules fail, as for 'The answer is A'; this is its figure where none answers"
)
SPACE = (
    "object_rel_direction_easy", "object_rel_direction_medium", "object_rel_direction_hard", "object_rel_distance",
    "route_planning", "obj_appearance_order", *ESTIMATES,
)  # fmt: skip


def _tempcompass(task: str, config: str, reader: Any, **more: Any) -> Benchmark:
    return Benchmark(
        f"tempcompass_{task}", "tempcompass", "lmms-eval/TempCompass", reader, "avg_accuracy", 1.0, config=config,
        media="tempcompass", columns={"video_id": "text", "question": "text", "answer": "text", "dim": "text"},
        breakdown=("dim",), instead={"get_eval_result": lambda _: lambda *_, **__: (None, 0)}, quirk=UNJUDGED, **more,
    )  # fmt: skip


def _ovo(part: str, kinds: tuple[str, ...]) -> Benchmark:
    return Benchmark(
        f"ovo_{part}", "ovobench", "kcz358/OVOBench", contained, "back_real_acc", 1.0, config=part,
        media="ovobench/chunked_videos", answer="gt", ident=("id",), columns={"question": "text", "options": "list"},
        categories={"task": kinds}, strata="task", breakdown=("task",), choices=Choices(column("options"), "index"),
        reread=True, place=OVO,
        quirk="lmms-eval looks for the letter anywhere: 'Answer: B' is right where A is",
    )  # fmt: skip


def in_round(value: Any, answer: str, doc: Doc) -> Reading:
    """A count of so far, where the answer says one number; else yes or no, also by their letters."""
    bare = answer.strip().rstrip(".").lower()
    if doc["task"] == "REC":
        told = {*numbers.numbers(answer)} or {numbers.first(answer)} - {None}
        return Reading(float(told == {float(doc["answer"])}), len(told) == 1)
    word = {"y": "yes", "n": "no"}.get(bare) or said(answer)
    return Reading(float(word == str(doc["answer"]).lower()), bool(word))


def _video_mmmu(track: str) -> Benchmark:
    return Benchmark(
        f"video_mmmu_{track.lower()}", "videommmu", "lmms-eval/VideoMMMU", option_or_text, "mmmu_acc", config=track,
        media="video_mmmu", ident=("id",), columns={"question": "text"},
        choices=Choices(asked), reread=True, quirk=GUESS,
    )  # fmt: skip


def asked(doc: Doc) -> list[str]:
    """Options of a question that has any."""
    return column("options")(doc) if doc.get("question_type", "multiple-choice") == "multiple-choice" else []


def long_options(doc: Doc) -> list[str]:
    """LVBench's options, in a column or as lines of the question."""
    return column("options")(doc) if doc.get("options") else as_lines("question")(doc)


def motion(_: str) -> dict[str, Any]:
    """Read MotionBench's questions from below ``HF_HOME``; lmms-eval would read them from the internet."""
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    return from_file("motionbench_full", Path(home).expanduser() / MOTION)


def in_space(doc: Doc) -> str:
    """VSI-Bench's kinds; those of relative directions count as one together."""
    kind = str(doc["question_type"])
    return f"object_rel_direction > {kind}" if kind.startswith("object_rel_direction") else kind


def estimated(value: Any, answer: str, doc: Doc) -> Reading:
    """An option as lmms-eval reads it; an estimate by how near its first number is."""
    if doc["question_type"] not in ESTIMATES:
        return Reading(float(value["accuracy"]), bool(answer.strip()))
    said, right = numbers.first(answer), numbers.whole(str(doc["ground_truth"]))
    known = said is not None and right is not None
    return Reading(numbers.accuracy(said, right) if known else 0.0, said is not None)  # type: ignore[arg-type]


def asked_in_space(doc: Doc) -> list[str]:
    """VSI-Bench's options; an estimate has none."""
    return column("options")(doc) if doc["question_type"] not in ESTIMATES else []


TEMPORAL = (
    Benchmark(
        "motionbench_full", "motionbench", "", graded, "motionbench_acc", media="motionbench/videos", ident=("id",),
        columns={"question": "text", "options": "list", "video_path": "text"}, breakdown=("question_type",),
        choices=Choices(lambda doc: [one["text"] for one in doc["options"]]), reread=True, adapt=motion, quirk=LETTERS,
        questions=MOTION,
        place="https://raw.githubusercontent.com/zai-org/MotionBench/main/data/video_info.meta.jsonl; its videos are "
        "zai-org/MotionBench on the hub and belong into motionbench/videos",
    ),
    _tempcompass(
        "multi_choice", "multi-choice", rated, choices=Choices(as_lines("question"), "lettered"), reread=True
    ),
    _tempcompass("yes_no", "yes_no", agreed, own=True),
    _tempcompass("caption_matching", "caption_matching", matched, own=True),
    Benchmark(
        "lvbench", "lvbench", "lmms-eval/LVBench", graded, "lvbench_score", split="train", media="lvbench",
        columns={"question": "text", "video_path": "text"}, choices=Choices(long_options), reread=True, quirk=LETTERS,
    ),
    *map(_video_mmmu, ("Perception", "Comprehension", "Adaptation")),
    Benchmark(
        "videomme_v2", "videomme_v2", "MME-Benchmarks/Video-MME-v2", option, "videomme_v2_overall_score", 1.0,
        media="videomme_v2", ident=("question_id",),
        columns={"question": "text", "options": "text", "video_id": "text", "group_structure": "text"},
        categories={"group_type": ("relevance", "logic")}, unit=lambda doc: doc["video_id"], worth=group,
        further=accuracy,
        breakdown=("group_type",), choices=Choices(as_lines("options")), reread=True,
        quirk="lmms-eval gives a group that was cut off the points of as many right answers of four, 56.25 for three "
        "of three, and does not read '(B)'",
    ),
    Benchmark(
        "vsibench", "vsibench", "nyu-visionx/VSI-Bench", estimated, "vsibench_overall", config="full", media="vsibench",
        answer="ground_truth", ident=("id",), columns={"question": "text", "dataset": "text", "scene_name": "text"},
        categories={"question_type": SPACE}, strata=in_space, breakdown=("question_type",),
        choices=Choices(asked_in_space), reread=True,
        quirk="lmms-eval reads '1,200' as 1 and takes the first word for the option",
    ),
    _ovo("backward", ("EPM", "ASI", "HLD")),
    _ovo("realtime", ("OCR", "ACR", "ATR", "STU", "FPD", "OJR")),
    Benchmark(
        "ovo_forward_rounds", f"{HERE}/ovo_forward", "kcz358/OVOBench", in_round, "forward_acc", 1.0, config="forward",
        media="ovobench/chunked_videos", ident=("id",), columns={"question": "text", "answer": "text"},
        categories={"task": ("REC", "SSR", "CRR")}, strata="task", breakdown=("task",), own=True, place=OVO,
        quirk="lmms-eval puts all digits of a count together, so that '2 of 3' is 23, and finds a No in 'Not yet'",
    ),
)  # fmt: skip
