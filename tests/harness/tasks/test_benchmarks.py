"""Every benchmark on its miniature: a known set of answers is worth what was computed by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from winnow.harness.config.schema import TasksConfig
from winnow.harness.data.documents import Tasks
from winnow.harness.run.record import Row
from winnow.harness.score.marking import mark
from winnow.harness.score.scoring import Scored, score_task
from winnow.harness.tasks.catalogue import BENCHMARKS, MEANS
from winnow.harness.tasks.lite import NAMES as LITE

MVBENCH = list(MEANS["mvbench"])
EITHER = "guess"
"""lmms-eval may or may not draw the right option."""

# task -> answers, our figure, lmms-eval's own figure
KNOWN: dict[str, tuple[list[str], float, Any]] = {
    "videomme": (["A", "(B)", "", "I think C", "A.", "B"], 200 / 3, 200 / 3),
    "videomme_w_subtitle": (["A", "(B)", "", "I think C", "A.", "B"], 200 / 3, 200 / 3),
    **dict.fromkeys(MVBENCH, (["(A) red", ""], 50, 100)),  # lmms-eval leaves the empty answer out
    "mvbench_action_count": (["a cup", "B"], 50, 100),  # and reads the article as an option
    "mlvu_dev": (["A"] * 8, (50 + 100) / 7, 150 / 7),
    "mlvu_test": (["A"] * 10, (50 + 100 + 100) / 9, 250 / 9),
    "egoschema_subset": (["A", "B", "zebra", "D", "E"], 80, EITHER),
    "nextqa_mc_test": (["A", "B.", "(C)", "zebra", "A"], 60, EITHER),
    "perceptiontest_val_mc": (["A", "C", "C"], 200 / 3, 200 / 3),
    "longvideobench_val_v": (["A", "The answer is B", "zebra?", "A"], 75, EITHER),
    "msvd_qa": (["Red.", "a green", "purple"], 200 / 3, None),
    "msrvtt_qa": (["Red.", "a green", "purple"], 200 / 3, None),
    "activitynetqa": (["Red.", "a green", "purple"], 200 / 3, None),
    "moviechat_global": (["Red.", "a green", "purple"], 200 / 3, None),
    "moviechat_breakpoint": (["Red.", "a green", "purple"], 200 / 3, None),
    "vqav2_val": (["purple", "green", ""], (60 + 100) / 3, 160 / 3),  # 8 red, 2 purple: (8 * 2/3 + 2 * 1/3) / 10
    "gqa": (["red", "Green.", "blue cup", "yellow"], 75, 75),
    "mme": (["Yes", "No", *["Yes"] * 10], (200 + 50) / 2 + 50, 175),
    "textvqa_val": (["purple", "green", ""], (60 + 100) / 3, 160 / 3),
    "scienceqa_img": (["A", "B. green", "maybe A", "b"], 75, 75),
    "mmbench_en_dev_static": (["A", "B", "B", "B", "blue"], 200 / 3, 200 / 3),
    "pope": (["Yes.", "no", "yes", "no", "yes", "yes"], 500 / 6, 400 / 6),
    **dict.fromkeys(MEANS["pope_splits"], (["Yes.", "no"], 100, 50)),
}
BECAUSE = "Answer: B, because A is wrong"
YES_NO = ["Yes", "No, eyes", "No.", "Yes.", "dunno"]
# The same of the benchmarks of today; each kind of scoring is run on every change, the others with the whole matrix.
TODAY: dict[str, tuple[list[str], float, Any]] = {
    "ocrbench": (["RED!", "a lime", "x^{2}", "1200"], 75, 0.3),  # lmms-eval: 3 of 1000
    "docvqa_val": (["red", "limes", "purple"], 60, 60),  # 1, 1 letter of 5 too many, nothing
    "infovqa_val": (["red", "Green", "purple"], 200 / 3, 200 / 3),
    "chartqa": (["14.3", "0.0", "yes.", "1,000", "0.25"], 100, 40),
    "vizwiz_vqa_val": (["purple", "green", ""], (60 + 100) / 3, 160 / 3),
    **dict.fromkeys(
        (one for one in BENCHMARKS if "_bbox_rec_" in one),
        (["[0.25, 0.25, 0.75, 0.75]", "(0.75, 0.75), (0.25, 0.25)", "there"], 200 / 3, 200 / 3),
    ),
    "temporal_grounding_charades": (
        ["0 - 4 seconds", "It starts at 3.0 seconds and ends at 9.5 seconds.", "[2, 4]"],
        100,
        100 / 3,
    ),
    "hallusion_bench_image": (YES_NO, 80, 60),
    "seedbench": (["The answer is A", "B", "(C)", "D"], 100, 100 / 3),
    "mmbench_cn_dev": (["A", "B", "B", "B", "blue"], 200 / 3, 200 / 3),
    "mmstar": (["A", "Dunno", "The answer is C"], (50 + 100) / 2, 200 / 3),
    "mathvista_testmini_cot": (["green", "It is 14.0", "1.52", "\\boxed{[1, 2]}"], 100, 25),
    "mmmu_val": (["A", "B", "The answer is 24"], 100, 200 / 3),  # which has two labels
    "ai2d": (["(A)", "B", "The answer is C"], 100, 200 / 3),
    "realworldqa": (["A", BECAUSE, "2."], 100, 200 / 3),
    "motionbench_full": (["A", "A person does it, so the answer is B."], 100, 50),
    "tempcompass_multi_choice": ([" A", "B. green", "the answer is C"], 100, 200 / 3),
    "tempcompass_yes_no": (["Yes, it is", "It is not so: no", "no"], 200 / 3, 100 / 3),
    "tempcompass_caption_matching": (["It is caption B.", "2", "up it goes"], 100, 200 / 3),
    "lvbench": (["A", BECAUSE], 100, 50),
    "video_mmmu_perception": (["A", "zebra"], 50, EITHER),
    "video_mmmu_comprehension": (["A", "B"], 100, 100),
    "video_mmmu_adaptation": (["A", "The answer is 24."], 100, 100),
    # All of the first group; of the second the first question and one of the two beside each other: 4/12.
    "videomme_v2": (["A", "(B)", "C", "D", "A", "A", "C", "A"], 200 / 3, 100 * (9 / 16 + 4 / 12) / 2),
    # Directions 2 of 3, a route, two estimates; lmms-eval does not read (B) and takes 1,200 for 1.
    "vsibench": (["A", "(B)", "A", "A.", "four", "1,200"], 100 * (2 / 3 + 3) / 4, 100 * (1 / 3 + 2) / 4),
    "ovo_backward": (["Answer: B", "B", "C"], (50 + 100) / 2, 100),
    "ovo_realtime": (["A", "B", "C"], 100, 100),
    # Counts of 1 and 2, a step, and two moments: "2 of 3" is no count (lmms-eval: 23), "Not yet, so yes" no No.
    "ovo_forward_rounds": (["It is 1.", "2 of 3", "Y", "Not yet, so yes", "Yes"], (50 + 100 + 50) / 3, 250 / 3),
}
TODAY |= {f"{one}_lite": TODAY.get(one) or KNOWN[one] for one in LITE}
QUICK = (
    "ocrbench", "docvqa_val", "refcoco_bbox_rec_val", "hallusion_bench_image", "mathvista_testmini_cot", "mmmu_val",
    "ai2d", "motionbench_full", "tempcompass_caption_matching", "videomme_v2", "vsibench", "ovo_forward_rounds",
)  # fmt: skip
CHAIR = ["Two men walk dogs.", "A red car and a bus", ""]
FILES: dict[str, tuple[list[str], Any]] = {
    "egoschema": (["A", "zebra", "C", "D", "E"], {"ego0": 0, "ego1": -1, "ego2": 2, "ego3": 3, "ego4": 4}),
    "vqav2_test": (
        ["red", "a dog", ""],
        [{"question_id": 1000 + n, "answer": said} for n, said in enumerate(("red", "a dog", ""))],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def tasks(fixtures: Path) -> Tasks:
    return Tasks(TasksConfig(name="all", tasks=list(BENCHMARKS), data=str(fixtures)))


def scored(tasks: Tasks, name: str, answers: list[str], folder: Path, limit: int | None = None) -> Scored:
    documents = tasks.documents(name, limit)
    assert len(documents) == len(answers)
    rows = {(name, d.doc_id): Row(name, d.doc_id, d.fingerprint, a) for d, a in zip(documents, answers, strict=True)}
    return score_task(tasks, name, documents, rows, folder)


def test_every_benchmark_is_known() -> None:
    assert set(KNOWN) | set(TODAY) | set(FILES) | {"coco_cap_chair"} == set(BENCHMARKS)


@pytest.mark.parametrize(
    "name", [*KNOWN, *(one if one in QUICK else pytest.param(one, marks=pytest.mark.full) for one in TODAY)]
)
def test_known_answers(tasks: Tasks, name: str, tmp_path: Path) -> None:
    answers, ours, theirs = (KNOWN | TODAY)[name]
    summary = scored(tasks, name, answers, tmp_path).summary
    assert summary["mean"] == pytest.approx(ours, abs=1e-3)
    assert summary["documents"] == len(answers)
    if theirs == EITHER:
        share = 100 / len(answers)
        assert any(summary["lmms_eval"] == pytest.approx(ours + extra, abs=1e-2) for extra in (0, share))
    elif theirs is None:
        assert summary["lmms_eval"] is None and "winnow judge" in summary["note"]
    else:
        assert summary["lmms_eval"] == pytest.approx(theirs, abs=1e-2)
        assert ("note" in summary) == (abs(theirs - ours) > 0.01)


@pytest.mark.parametrize("name", FILES)
def test_submission_files_without_network(tasks: Tasks, name: str, tmp_path: Path) -> None:
    answers, content = FILES[name]
    summary = scored(tasks, name, answers, tmp_path).summary
    assert summary["mean"] is None
    assert json.loads((tmp_path / summary["file"]).read_text()) == content


def test_break_downs(tasks: Tasks, tmp_path: Path) -> None:
    found = scored(tasks, "videomme", KNOWN["videomme"][0], tmp_path).summary
    parts = {name: part["mean"] for name, part in found["breakdown"].items()}
    assert parts == {"duration short": 100, "duration medium": 0, "duration long": 100}
    assert found["unparsed"] == 1
    mme = scored(tasks, "mme", KNOWN["mme"][0], tmp_path).summary
    assert mme["breakdown"]["category code_reasoning"]["mean"] == 50 and mme["breakdown"]["others"]["mean"] == 50
    mlvu = scored(tasks, "mlvu_dev", ["A"] * 8, tmp_path).summary
    anomaly = mlvu["breakdown"]["task_type anomaly_reco"]
    assert (anomaly["mean"], anomaly["documents"]) == (50, 2)


def test_few_documents_do_not_shrink_a_mean_over_task_types(tasks: Tasks, tmp_path: Path) -> None:
    found = scored(tasks, "mlvu_dev", ["A", "A"], tmp_path, limit=2).summary
    assert found["mean"] == 50 and found["lmms_eval"] == pytest.approx(100 / 7, abs=1e-2)
    assert "divides by all task types" in found["note"]


def test_precision_and_recall_are_of_what_was_said(tasks: Tasks, tmp_path: Path) -> None:
    found = scored(tasks, "pope", KNOWN["pope"][0], tmp_path).summary["figures"]
    assert found == pytest.approx({"precision": 75, "recall": 100, "f1": 85.7143, "yes": 66.6667}, abs=1e-3)


def test_failed_above_a_share_of_answers_that_say_nothing(tasks: Tasks, tmp_path: Path) -> None:
    for said, verdict in (["?", "?", "?", "A", "A", "A"], None), (["?"] * 4 + ["A", "A"], "Failed"):
        assert scored(tasks, "videomme", said, tmp_path).summary["verdict"] == verdict


def test_documents_that_failed_stay_in_the_denominator(tasks: Tasks, tmp_path: Path) -> None:
    documents = tasks.documents("perceptiontest_val_mc", None)
    rows = {(d.task, d.doc_id): Row(d.task, d.doc_id, d.fingerprint, "A") for d in documents}
    rows[documents[2].task, 2] = Row(documents[2].task, 2, documents[2].fingerprint, status="failed", reason="no video")
    found = score_task(tasks, "perceptiontest_val_mc", documents, rows, tmp_path).summary
    assert (found["mean"], found["failed"], found["unparsed"]) == (pytest.approx(100 / 3, abs=1e-3), 1, 0)


def test_samples_are_compared_by_unit_and_stratum(tasks: Tasks, tmp_path: Path) -> None:
    found = scored(tasks, "mme", KNOWN["mme"][0], tmp_path).scores
    assert [(row["stratum"], row["score"]) for row in found] == [
        ("existence", 2), ("existence", 0.5), ("color", 0.5), ("color", 0.5)
    ]  # fmt: skip


def test_no_run_scores_for_another(tasks: Tasks, tmp_path: Path) -> None:
    """lmms-eval's counts of OCRBench go on within a loaded task; HallusionBench's verdicts would lie in the folder."""
    first, again = (scored(tasks, "ocrbench", TODAY["ocrbench"][0], tmp_path).summary for _ in range(2))
    assert first["lmms_eval"] == again["lmms_eval"] == pytest.approx(0.3)
    scored(tasks, "hallusion_bench_image", YES_NO, tmp_path)
    wrong = scored(tasks, "hallusion_bench_image", ["No", "Yes", "Yes", "No", "No"], tmp_path).summary
    assert (wrong["mean"], wrong["lmms_eval"]) == (0, 0)
    assert wrong["figures"] == {"qAcc": 0, "fAcc": 0}


def test_captions_that_invent_objects(tasks: Tasks, tmp_path: Path) -> None:
    """Of three captions one is faithful, one invents a bus, one is empty; lmms-eval's code needs nltk's data."""
    found = scored(tasks, "coco_cap_chair", CHAIR, tmp_path).summary
    assert (found["mean"], found["unparsed"]) == (pytest.approx(100 / 3, abs=1e-3), 1)
    assert found["figures"] == pytest.approx({"CHAIR_s": 100 / 3, "CHAIR_i": 25, "recall": 60}, abs=1e-3)
    assert "nltk" in found["note"] and found["lmms_eval"] in (None, pytest.approx(200 / 3, abs=1e-2))


def test_spans_that_only_one_of_the_two_reads(tasks: Tasks, tmp_path: Path) -> None:
    found = scored(tasks, "temporal_grounding_charades", TODAY["temporal_grounding_charades"][0], tmp_path).summary
    assert (found["mean"], found["unparsed"]) == (100, 0)
    assert found["figures"]["unread by lmms-eval"] == pytest.approx(200 / 3, abs=1e-3)


def test_boxes_are_scored_in_the_scale_of_the_family(tasks: Tasks, tmp_path: Path) -> None:
    """The same places as thousandths and as pixels of a picture of 4 x 4 tokens; samples keep what was said."""
    said = {"qwen2_vl": "(250,250),(750,750)", "qwen2_5_vl": "[28, 28, 84, 84]", "llava": "[250, 250, 750, 750]"}
    documents = tasks.documents("refcoco_bbox_rec_val", 1)
    for family, answer in said.items():
        row = Row(documents[0].task, 0, documents[0].fingerprint, answer, grids=[(1, 4, 4)])
        found = score_task(tasks, row.task, documents, {row.key: row}, tmp_path, family)
        right = 0 if family == "llava" else 100
        assert (found.summary["mean"], found.summary["lmms_eval"], found.summary["unparsed"]) == (
            right,
            right,
            not right,
        )
        assert found.samples[0]["answer"] == answer and bool(found.samples[0]["box"]) == bool(right)


@pytest.mark.full
@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name not in FILES])
def test_an_empty_answer_is_unread_and_worth_nothing(tasks: Tasks, name: str) -> None:
    """lmms-eval maps it to the nearest option, draws one, or finds a faithful caption or a box in the corner in it."""
    rows = [Row(name, document.doc_id, document.fingerprint, "") for document in tasks.documents(name, None)]
    for found in mark(BENCHMARKS[name], tasks.load(name), rows):
        assert found.score == 0 and (not found.parsed or BENCHMARKS[name].judge)


def test_an_answer_that_was_cut_off_is_told(tasks: Tasks, tmp_path: Path) -> None:
    documents = tasks.documents("mathvista_testmini_cot", 2)
    assert documents[0].generation["max_new_tokens"] == 1024
    rows = {(d.task, d.doc_id): Row(d.task, d.doc_id, d.fingerprint, "14", cut=d.doc_id == 1) for d in documents}
    found = score_task(tasks, documents[0].task, documents, rows, tmp_path).summary
    assert (found["mean"], found["figures"]) == (50, {"cut off at the limit": 50})
