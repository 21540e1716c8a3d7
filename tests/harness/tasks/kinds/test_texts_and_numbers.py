"""Texts read off documents and numbers read off charts, by hand."""

import pytest

from winnow.harness.tasks.kinds.maths import reasoned
from winnow.harness.tasks.kinds.numbers import accuracy, first, numbers, relaxed, whole
from winnow.harness.tasks.kinds.texts import anls


@pytest.mark.parametrize(
    ("answer", "references", "worth"),
    [
        ("red", ["Red"], 1),
        ("  The  RED ", ["the red"], 1),
        ("reed", ["red"], 3 / 4),  # one letter of four too many
        ("limes", ["green", "lime"], 4 / 5),
        ("blue", ["red"], 0),
        ("rxxd", ["red"], 1 / 2),  # two of four: just alike enough
        ("rxxxd", ["red"], 0),  # three of five is not
        ("", ["red"], 0),
    ],
)
def test_edit_similarity(answer: str, references: list[str], worth: float) -> None:
    assert anls(answer, references) == pytest.approx(worth)


@pytest.mark.parametrize(
    ("answer", "target", "right"),
    [
        ("14.7", "14", True),  # exactly 5 %
        ("14.71", "14", False),
        ("0.0", "0", True),
        ("0.01", "0", False),
        ("1,000", "1000", True),
        ("1000", "1,000.0", True),
        ("-3", "-3.1", True),
        ("25%", "0.25", True),
        ("25", "25%", False),
        ("yes.", "Yes", True),
        ("two", "2", False),
        ("10,5", "105", False),  # no separator of thousands
    ],
)
def test_relaxed_accuracy(answer: str, target: str, right: bool) -> None:
    assert relaxed(answer, target) is right


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,200 square feet", 1200),
        ("There are 3 boxes.", 3),
        ("three hundred and twenty-one", 321),
        ("Twenty-one", 21),
        ("two thousand five", 2005),
        ("one apple in room 2", 1),
        ("about .5 m", 0.5),
        ("no idea", None),
        ("", None),
    ],
)
def test_first_number(text: str, found: float | None) -> None:
    assert first(text) == found


def test_numbers() -> None:
    assert numbers("from 1,200.5 to -3 and v2") == [1200.5, -3]
    assert (whole("12%"), whole("3."), whole("3 m"), whole("")) == (0.12, 3, None, None)


def test_mean_relative_accuracy() -> None:
    # Off by a quarter: near enough for confidences 0.5 to 0.75, six of ten.
    assert accuracy(5, 4) == pytest.approx(0.6) and accuracy(4, 4) == 1 and accuracy(8, 4) == 0
    assert accuracy(0, 0) == 1 and accuracy(1, 0) == 0


CHOICE = {"choices": ["red", "green"], "answer": "green", "answer_type": "text", "precision": None}
WHOLE = {"choices": None, "answer": "14", "answer_type": "integer", "precision": None}
TENTH = {"choices": None, "answer": "1.5", "answer_type": "float", "precision": 1.0}
LISTED = {"choices": None, "answer": "[1, 2]", "answer_type": "list", "precision": None}


@pytest.mark.parametrize(
    ("answer", "doc", "reading"),
    [
        ("The answer is (B).", CHOICE, (1, True)),
        ("green", CHOICE, (1, True)),
        ("", CHOICE, (0, False)),  # the nearest option is none
        ("5 and 9 make 14", WHOLE, (1, True)),
        ("The answer is 14 of 20.", WHOLE, (1, True)),
        ("Step 3: so \\boxed{14}", WHOLE, (1, True)),
        ("<think>maybe 15</think> 14", WHOLE, (1, True)),
        ("14 or 15", WHOLE, (0, True)),
        ("none", WHOLE, (0, False)),
        ("The result is 1.52", TENTH, (1, True)),
        ("1.6", TENTH, (0, True)),
        ("It is [1,2].", LISTED, (1, True)),
        ("1 and 2", LISTED, (0, False)),
    ],
)
def test_final_answers(answer: str, doc: dict[str, object], reading: tuple[float, bool]) -> None:
    assert tuple(reasoned(None, answer, doc))[:2] == reading
