"""Yes and no, captions and their objects, and groups of questions, by hand."""

import pytest

from winnow.harness.tasks.hallucination import sets_of
from winnow.harness.tasks.kinds.captions import matched
from winnow.harness.tasks.kinds.chair import faithful, objects_of, rates, vocabulary
from winnow.harness.tasks.kinds.groups import accuracy, group
from winnow.harness.tasks.kinds.yes_no import agreed, agreed_by_number, said


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("Yes.", "yes"),
        ("no, because yes would need two", "no"),
        ("**No**", "no"),
        ("It is not red, so the answer is no.", "no"),
        ("<think>yes?</think> No", "no"),
        ("eyes", ""),
        ("I know", ""),
        ("either yes or no", ""),
        ("", ""),
    ],
)
def test_yes_and_no(answer: str, word: str) -> None:
    assert said(answer) == word


def test_labels_of_yes_and_no() -> None:
    assert agreed(None, "Yes", {"answer": "yes"}) == (1, True, "") and not agreed(None, "?", {"answer": "no"}).parsed
    assert agreed_by_number(None, "No", {"gt_answer": "0"}).score == 1
    assert agreed_by_number(None, "No", {"gt_answer": "1"}).score == 0


def test_consistency_of_sets() -> None:
    """Two questions about each of two figures; one of the four is wrong."""
    keys = [("1", "0"), ("1", "1"), ("2", "0"), ("2", "1")]
    docs = [
        {"category": "VD", "subcategory": "f", "set_id": 0, "question_id": question, "figure_id": figure}
        for question, figure in keys
    ]
    scores = [1.0, 1.0, 0.0, 1.0]
    answered = [(doc, "yes", score) for doc, score in zip(docs, scores, strict=True)]
    assert sets_of(answered) == {"qAcc": 50, "fAcc": 50}
    assert sets_of(answered[:3]) == {"qAcc": 50, "fAcc": 50} and sets_of(answered[:2]) == {"qAcc": 100, "fAcc": 100}


CAPTIONS = {
    "question": "Which?\nCaption A: a red thing\nCaption B: a green thing",
    "answer": "Caption B: a green thing",
}
OPTIONS = {"question": "Which?\nOption 1: it grows\nOption 2: it shrinks", "answer": "Option 2: it shrinks"}


@pytest.mark.parametrize(
    ("answer", "doc", "reading"),
    [
        ("Caption B", CAPTIONS, (1, True)),
        (" B.", CAPTIONS, (1, True)),
        ("Caption A: a red thing", CAPTIONS, (0, True)),
        ("a green thing", CAPTIONS, (1, True)),
        ("2", OPTIONS, (1, True)),
        ("Option 2 is correct.", OPTIONS, (1, True)),
        ("option 1", OPTIONS, (0, True)),
        ("it shrinks", OPTIONS, (1, True)),
        ("both", OPTIONS, (0, False)),
        ("", OPTIONS, (0, False)),
    ],
)
def test_captions_that_fit(answer: str, doc: dict[str, str], reading: tuple[float, bool]) -> None:
    assert tuple(matched(None, answer, doc))[:2] == reading


@pytest.mark.parametrize(
    ("caption", "objects"),
    [
        ("Two men walk their dogs.", ["person", "dog"]),
        ("A red sports car and a school bus", ["car", "bus"]),
        ("The benches, buses and knives on shelves", ["bench", "bus", "knife"]),
        ("The seat of the toilet", ["toilet"]),
        ("A traffic light", ["traffic light"]),
        ("nothing at all", []),
    ],
)
def test_objects_of_captions(caption: str, objects: list[str]) -> None:
    assert objects_of(caption, vocabulary()) == objects


def test_rates_of_invented_objects() -> None:
    asked = [
        ({"gt_object": ["person", "dog"]}, "Two men walk a dog.", 1.0),
        ({"gt_object": ["car"]}, "A car and two buses", 0.0),
        ({"gt_object": ["chair"]}, "", 0.0),
    ]
    # 4 mentions, one invented, in one of 3 captions; 3 of 4 objects are named.
    assert rates(asked) == pytest.approx({"CHAIR_s": 100 / 3, "CHAIR_i": 25, "recall": 75})
    assert [tuple(faithful(None, said_, doc))[:2] for doc, said_, _ in asked] == [(1, True), (0, True), (1, False)]


@pytest.mark.parametrize(
    ("kind", "structure", "right", "worth"),
    [
        ("relevance", "[1, 2, 3, 4]", "1011", 9 / 16),
        ("relevance", "[1, 2, 3, 4]", "111", 1),  # cut off: all that there was
        ("relevance", "[1, 2, 3, 4]", "0000", 0),
        ("logic", "[1, 2, 3, 4]", "1101", 4 / 16),
        ("logic", "[1, [2, 3], 4]", "1011", 4 / 12),
        ("logic", "[1, [2, 3], 4]", "1110", 7 / 12),
        ("logic", "[[1, 2], 3, 4]", "0111", 1 / 10),
        ("logic", "[[1, 2], 3, 4]", "1100", 2 / 10),
        ("logic", "[[1, 2], 3, 4]", "11", 1),
        ("logic", "[1, [2, 3], 4]", "1111", 1),
    ],
)
def test_groups_of_questions(kind: str, structure: str, right: str, worth: float) -> None:
    asked = [
        ({"group_type": kind, "group_structure": structure, "question_id": f"007-{place + 1}"}, float(one))
        for place, one in enumerate(right)
    ]
    assert group(asked[::-1]) == pytest.approx(worth)
    share = accuracy([(doc, "", score) for doc, score in asked])["accuracy"]
    assert share == pytest.approx(100 * right.count("1") / len(right))
