"""The video benchmarks of the papers."""

from __future__ import annotations

from winnow.harness.tasks import zero_shot_qa
from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.choices import Choices, column, columns, in_question
from winnow.harness.tasks.readers import exact, graded, option, unlabelled

HERE = "package://winnow/harness/tasks"

GUESS = "lmms-eval draws an option at random where it finds none; here such an answer is wrong"
CATEGORY_MEAN = "lmms-eval divides by all task types of the benchmark, here only by those that were asked about"
JUDGED = "lmms-eval needs a judge for its figure: `winnow judge RUN`"

MVBENCH = [
    "action_sequence",
    "moving_count",
    "action_prediction",
    "episodic_reasoning",
    "action_antonym",
    "action_count",
    "scene_transition",
    "object_shuffle",
    "object_existence",
    "fine_grained_pose",
    "unexpected_action",
    "moving_direction",
    "state_change",
    "object_interaction",
    "character_order",
    "action_localization",
    "counterfactual_inference",
    "fine_grained_action",
    "moving_attribute",
    "egocentric_navigation",
]
PLACES = {
    "object_interaction": "star",
    "action_sequence": "star",
    "action_prediction": "star",
    "action_localization": "sta",
    "moving_count": "clevrer",
    "fine_grained_pose": "nturgbd_convert",
    "character_order": "perception",
    "object_shuffle": "perception",
    "egocentric_navigation": "vlnqa",
    "moving_direction": "clevrer",
    "episodic_reasoning": "tvqa",
    "fine_grained_action": "Moments_in_Time_Raw",
    "scene_transition": "scene_qa",
    "state_change": "perception",
    "moving_attribute": "clevrer",
    "action_antonym": "ssv2_video_mp4",
    "unexpected_action": "FunQA_test",
    "counterfactual_inference": "clevrer",
    "object_existence": "clevrer",
    "action_count": "perception",
}
"""Folder of each kind's videos, in the repository and as lmms-eval looks for them."""
DURATIONS = ("short", "medium", "long")
DOMAINS = (
    "Knowledge", "Film & Television", "Sports Competition", "Artistic Performance", "Life Record", "Multilingual"
)  # fmt: skip
MLVU_DEV = ("anomaly_reco", "count", "ego", "needle", "order", "plotQA", "topic_reasoning")
MLVU_TEST = (
    "anomaly_reco", "count", "ego", "needleQA", "order", "plotQA", "sportsQA", "topic_reasoning", "tutorialQA"
)  # fmt: skip


def _videomme(task: str, *more: str) -> Benchmark:
    return Benchmark(
        task, "videomme", "lmms-eval/Video-MME", option, "videomme_perception_score", 1.0, media="videomme",
        archives=("videos_*", *more),
        ident=("question_id",),
        columns={"question": "text", "options": "list", "videoID": "text", "sub_category": "text", "task_type": "text"},
        categories={"duration": DURATIONS, "domain": DOMAINS},
        breakdown=("duration",), choices=Choices(column("options")),
    )  # fmt: skip


def _mvbench(kind: str) -> Benchmark:
    return Benchmark(
        f"mvbench_{kind}", "mvbench", "OpenGVLab/MVBench", graded, "mvbench_accuracy", 1.0, config=kind,
        split="train", media="mvbench_video", archives=(f"{PLACES[kind]}/*",),
        columns={"video": "text", "question": "text", "candidates": "list"},
        choices=Choices(column("candidates"), "text"), reread=True,
        quirk="lmms-eval leaves empty answers out of the denominator, and reads the article in 'a cup' as option A",
    )  # fmt: skip


def _mlvu(task: str, repo: str, media: str, types: tuple[str, ...]) -> Benchmark:
    return Benchmark(
        task, "mlvu", repo, option, "mlvu_percetion_score", 1.0, media=media,
        columns={"video_name": "text", "question": "text"},
        categories={"task_type": types}, strata="task_type", breakdown=("task_type",), quirk=CATEGORY_MEAN,
        choices=Choices(in_question),
    )  # fmt: skip


def _judged(task: str, family: str, repo: str, media: str, judge: str = "activitynetqa", **more: object) -> Benchmark:
    columns = {"video_name": "text", "question": "text"}
    known: dict[str, object] = {"columns": columns, "tokens": 64, "quirk": JUDGED} | more
    return Benchmark(task, family, repo, exact, None, media=media, judge=judge, **known)  # type: ignore[arg-type]


VIDEO_LLAVA = "the evaluation data of Video-LLaVA, https://github.com/PKU-YuanGroup/Video-LLaVA (TRAIN_AND_VALIDATE.md)"


def _zero_shot(task: str) -> Benchmark:
    return _judged(
        task, f"{HERE}/{task}", "", task, ident=("question_id",), place=VIDEO_LLAVA, questions=f"{task}/test_q.json",
        adapt=lambda _: zero_shot_qa.override(task),
    )  # fmt: skip


VIDEOS = (
    _videomme("videomme"),
    _videomme("videomme_w_subtitle", "subtitle*"),
    *map(_mvbench, MVBENCH),
    _mlvu("mlvu_dev", "sy1998/MLVU_dev", "mlvu", MLVU_DEV),
    _mlvu("mlvu_test", "sy1998/MLVU_Test", "mlvu_test", MLVU_TEST),
    Benchmark(
        "egoschema_subset", "egoschema", "lmms-eval/egoschema", option, "score", config="Subset", media="egoschema",
        ident=("question_idx",), columns={"video_idx": "text", "question": "text", "option": "list"}, quirk=GUESS,
        choices=Choices(column("option"), "index"),
    ),
    Benchmark(
        "egoschema", "egoschema", "lmms-eval/egoschema", unlabelled, config="GENERATION", media="egoschema",
        answer=None, ident=("question_idx",),
        columns={"video_idx": "text", "question": "text", "option": "list"},
        choices=Choices(column("option"), "index"),
    ),
    Benchmark(
        "nextqa_mc_test", "nextqa", "lmms-eval/NExTQA", graded, "exact_match",
        config="MC", media="nextqa", ident=("video", "qid"),
        columns={"video": "any", "question": "text", **{f"a{i}": "text" for i in range(5)}},
        breakdown=("type",), quirk=GUESS, choices=Choices(columns("01234", "a"), "index"),
    ),
    Benchmark(
        "perceptiontest_val_mc", "perceptiontest/val", "lmms-eval/PerceptionTest_Val", option, "accuracy",
        config="mc_question_val", split="validation", media="perceptiontest_val", archives=("videos_*",),
        answer="answer_id",
        ident=("video_name", "question_id"),
        columns={"video_name": "text", "question": "text", "options": "list"},
        breakdown=("area",), choices=Choices(column("options"), "index"),
    ),
    Benchmark(
        "longvideobench_val_v", "longvideobench", "longvideobench/LongVideoBench", option, "lvb_acc",
        split="validation", media="datasets/longvideobench", archives=("videos*",), answer="correct_choice",
        ident=("id",),
        columns={"video_path": "text", "question": "text", "duration_group": "number", "question_category": "text"},
        breakdown=("duration_group",), quirk=GUESS, choices=Choices(columns("01234", "option"), "index"),
    ),
    *(_zero_shot(task) for task in ("msvd_qa", "msrvtt_qa")),
    _judged(
        "activitynetqa", "activitynetqa", "lmms-eval/ActivityNetQA", "activitynetqa", ident=("question_id",),
        breakdown=("type",),
    ),
    _judged(
        "moviechat_global", "moviechat", "Enxin/lmms_MovieChat_test", "moviechat_1k_test", "moviechat", tokens=128,
    ),
    _judged(
        "moviechat_breakpoint", "moviechat", "Enxin/lmms_MovieChat_test", "moviechat_1k_test", "moviechat", tokens=128,
    ),
)  # fmt: skip
