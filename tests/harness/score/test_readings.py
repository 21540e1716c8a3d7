"""Options are read twice: by lmms-eval's code for its task, and by one reader for all of them."""

from pathlib import Path
from typing import Any

import pytest

from winnow.harness.common.run_files import Score
from winnow.harness.config.schema import TasksConfig
from winnow.harness.data.documents import Tasks
from winnow.harness.run.record import Row
from winnow.harness.score.pooled import means_of
from winnow.harness.score.scoring import Scored, score_task
from winnow.harness.tasks.catalogue import BENCHMARKS, MEANS

CHOOSING = [
    "videomme", "mvbench_action_count", "mlvu_dev", "mlvu_test", "egoschema_subset", "nextqa_mc_test",
    "perceptiontest_val_mc", "longvideobench_val_v", "scienceqa_img", "mmbench_en_dev_static",
]  # fmt: skip
PERSON = "A person opens it, so the answer is {}."
TAKES_PERSON_FOR_A = {"videomme", "mlvu_dev", "mlvu_test", "perceptiontest_val_mc", "longvideobench_val_v"}


@pytest.fixture(scope="module")
def tasks(fixtures: Path) -> Tasks:
    return Tasks(TasksConfig(name="all", tasks=[*CHOOSING, "egoschema", "gqa"], data=str(fixtures)))


def rights(tasks: Tasks, name: str) -> list[str]:
    benchmark = BENCHMARKS[name]
    assert benchmark.choices and benchmark.answer
    return [
        benchmark.choices.right(doc, benchmark.answer) for doc in tasks.load(name).dataset_no_image[benchmark.split]
    ]


def scored(tasks: Tasks, name: str, answers: list[str], folder: Path, failed: tuple[int, ...] = ()) -> Scored:
    documents = tasks.documents(name, None)
    rows = {}
    for number, (document, answer) in enumerate(zip(documents, answers, strict=True)):
        more: Any = {"status": "failed", "reason": "no video"} if number in failed else {"answer": answer}
        rows[name, document.doc_id] = Row(name, document.doc_id, document.fingerprint, **more)
    return score_task(tasks, name, documents, rows, folder)


def test_every_task_whose_figure_keeps_to_its_own_reader_is_here() -> None:
    """And MVBench's, the first whose figure is that of the one reader."""
    families = {BENCHMARKS[name].family for name in CHOOSING}
    known = [one for one in BENCHMARKS.values() if one.choices and not one.own]
    assert families == {one.family for one in known if not one.reread or one.family == "mvbench"}


@pytest.mark.parametrize("name", CHOOSING)
def test_lmms_eval_is_taken_at_its_letter(tasks: Tasks, name: str, tmp_path: Path) -> None:
    """A letter alone is understood by all; which option a task's code took is found without its telling."""
    right = rights(tasks, name)
    said = ["A", *"BA" * len(right)][: len(right)]
    found = scored(tasks, name, said, tmp_path)
    assert [sample["letters"] for sample in found.samples] == [{"lmms_eval": s, "reader": s} for s in said]
    assert found.summary["reader"]["mean"] == found.summary["mean"]
    reader = found.summary["reader"]
    assert (reader["documents"], reader["unread"], reader["disagree"]) == (len(said), 0, 0)


@pytest.mark.parametrize("name", CHOOSING)
def test_reasoning_that_begins_with_the_article(tasks: Tasks, name: str, tmp_path: Path) -> None:
    right = rights(tasks, name)
    found = scored(tasks, name, [PERSON.format(letter) for letter in right], tmp_path)
    reader = found.summary["reader"]
    assert reader["mean"] == 100 and reader["unread"] == 0
    assert [sample["letters"]["reader"] for sample in found.samples] == right
    if name in TAKES_PERSON_FOR_A:
        assert {sample["letters"]["lmms_eval"] for sample in found.samples} == {"A"}
        assert reader["disagree"] == sum(letter != "A" for letter in right) > 0
        assert found.summary["mean"] < 100


@pytest.mark.parametrize(
    "text",
    [
        "{} is correct.",
        "Option {} is correct.",
        "The best option is {} because it moves.",
        "({}) the cup",
        "Answer: {}",
    ],
)
def test_mvbench_is_read_by_the_one_reader(tasks: Tasks, text: str, tmp_path: Path) -> None:
    for kind in (str, str.lower) if text.startswith("(") else (str,):
        said = [text.format(kind(letter)) for letter in rights(tasks, "mvbench_action_count")]
        found = scored(tasks, "mvbench_action_count", said, tmp_path).summary
        assert (found["mean"], found["unparsed"], found["reader"]["unread"]) == (100, 0, 0)


def test_disagreement_is_told(tasks: Tasks, tmp_path: Path) -> None:
    """LongVideoBench's code takes the first capital, `Dunno` is D to the reader that others share."""
    found = scored(tasks, "longvideobench_val_v", ["Answer: A", "Answer: C", "Answer: C", "Answer: A"], tmp_path)
    assert [sample["letters"]["lmms_eval"] for sample in found.samples] == ["A"] * 4
    assert (found.summary["mean"], found.summary["reader"]["mean"]) == (50, 75)
    assert (found.summary["unparsed"], found.summary["reader"]["disagree"]) == (0, 2)
    said = ["Dunno", "Answer: B, because A is wrong", "", "D", "A or B", "B"]
    videomme = scored(tasks, "videomme", said, tmp_path)
    assert [tuple(sample["letters"].values()) for sample in videomme.samples] == [
        ("D", ""), ("A", "B"), ("", ""), ("D", "D"), ("A", ""), ("B", "B")
    ]  # fmt: skip
    reader = videomme.summary["reader"]
    assert (reader["unread"], reader["disagree"], videomme.summary["unparsed"]) == (3, 3, 1)
    assert (videomme.summary["mean"], reader["mean"]) == (50, 50)  # A or B is A to lmms-eval, and right


def test_failed_documents_are_neither_unread_nor_in_disagreement(tasks: Tasks, tmp_path: Path) -> None:
    found = scored(tasks, "longvideobench_val_v", ["A", "Answer: C", "zebra?", "A"], tmp_path, failed=(0, 1)).summary
    reader = found["reader"]
    assert (reader["documents"], reader["unread"], reader["disagree"], found["failed"]) == (4, 1, 0, 2)
    assert reader["mean"] == 25


def test_an_option_that_the_question_does_not_have_is_not_understood(tasks: Tasks, tmp_path: Path) -> None:
    """LongVideoBench's last question has three options."""
    found = scored(tasks, "longvideobench_val_v", ["D"] * 4, tmp_path)
    assert found.summary["unparsed"] == 1 and found.samples[3]["letters"] == {"lmms_eval": "", "reader": ""}


def test_answers_for_a_server_are_read_twice_as_well(tasks: Tasks, tmp_path: Path) -> None:
    said = ["A", PERSON.format("B"), "zebra", "D", "E"]
    found = scored(tasks, "egoschema", said, tmp_path)
    assert found.summary["reader"] == {"mean": None, "documents": 5, "unread": 1, "disagree": 1}
    assert [sample["letters"]["reader"] for sample in found.samples] == ["A", "B", "", "D", "E"]
    assert [sample["letters"]["lmms_eval"] for sample in found.samples] == ["A", "A", "", "D", "E"]


def test_open_questions_have_no_reader_of_options(tasks: Tasks, tmp_path: Path) -> None:
    found = scored(tasks, "gqa", ["red"] * 4, tmp_path)
    assert "reader" not in found.summary and found.samples[0]["letters"] is None


def test_groups_add_counts_up_and_average_figures() -> None:
    """Of MVBench's kinds here, all have 2 documents and one letter misread, half of them are wrong."""
    tasks: dict[str, Any] = {}
    for number, name in enumerate(MEANS["mvbench"]):
        reader = {"mean": 100.0 * (number % 2), "documents": 2, "unread": number % 2, "disagree": 1}
        task = {"task": name, "metric": "mvbench_accuracy", "mean": 50.0, "reader": reader}
        tasks[name] = (task, [Score(float(right), "", f"{name}{right}") for right in (0, 1)])
    for name in MEANS["pope_splits"]:
        tasks[name] = ({"task": name, "metric": "pope_accuracy", "mean": 0.0}, [Score(0.0, "", name)])
    found = means_of(tasks)
    assert found["mvbench"]["mean"] == 50
    assert found["mvbench"]["reader"] == {"mean": 50, "documents": 40, "unread": 10, "disagree": 20}
    assert "reader" not in found["pope_splits"]
