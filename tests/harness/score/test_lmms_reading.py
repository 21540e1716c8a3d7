"""Which option lmms-eval's code takes an answer for, with a task made by hand."""

import random
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from winnow.harness.score.lmms_reading import no_guessing, read_by_lmms_eval
from winnow.harness.tasks.benchmark import Reading


class Filter:
    """Takes the first word of an answer."""

    name = "first"

    def apply(self, instances: list[Any], docs: list[Any]) -> None:
        for instance in instances:
            instance.filtered_resps[self.name] = instance.resps[0].split(" ")[0]


def a_task(judge: Any) -> Any:
    return SimpleNamespace(process_results=judge, _filters=[Filter(), None])


def read(value: Any, answer: str, doc: Any) -> Reading:
    return Reading(float(value["right"]), value["known"])


OPTIONS = SimpleNamespace(
    options=lambda doc: doc["options"], relabelled=lambda doc, column, letter: {**doc, column: letter}
)


def benchmark(**more: Any) -> Any:
    usual: dict[str, Any] = {"metric": "m", "choices": OPTIONS, "answer": "answer", "read": read}
    return SimpleNamespace(**usual | more)


DOC: dict[str, Any] = {"options": {"A": "red", "B": "blue", "C": "green"}, "answer": "B"}


def letters(doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
    """Judges by the first letter; a z is no option."""
    said = results[0].upper()
    doc["answer"] = doc.pop("answer")  # a task may do what it likes with its document
    return {"other": 0, "m": {"right": said == doc["answer"], "known": said != "Z", "said": said}}


@pytest.mark.parametrize(
    ("answer", "reading"),
    [
        ("b because", Reading(1, True, "B")),
        ("c", Reading(0, True, "C")),
        ("z", Reading(0, False)),
        ("d", Reading(0, False)),
    ],
)
def test_the_option_is_the_one_that_would_be_judged_right(answer: str, reading: Reading) -> None:
    """An answer that is taken for none of the options is not understood."""
    before = {**DOC}
    value, found = read_by_lmms_eval(benchmark(), a_task(letters), DOC, answer)
    assert found == reading and value["said"] == answer[0].upper() and before == DOC


def test_an_open_question_has_no_option() -> None:
    open_one = benchmark(choices=None)
    assert read_by_lmms_eval(open_one, a_task(letters), DOC, "d")[1] == Reading(0, True, "")
    bare = read_by_lmms_eval(benchmark(), a_task(letters), DOC | {"options": {}}, "d")
    assert bare[1] == Reading(0, True, "")


@pytest.mark.parametrize(("place", "letter"), [(0, "A"), (2, "C"), (-1, "")])
def test_where_the_label_is_not_public_the_value_is_the_options_place(place: int, letter: str) -> None:
    def judge(doc: Any, results: Any) -> dict[str, Any]:
        return {"submission": {"q7": place}, "other": 1}

    hidden = benchmark(metric=None, answer=None, read=lambda *_: Reading(0.0, True))
    value, found = read_by_lmms_eval(hidden, a_task(judge), DOC, "b")
    assert value == {"q7": place} and found == Reading(0.0, bool(letter), letter)


def test_what_is_guessed_is_not_understood() -> None:
    def judge(doc: Any, results: Any) -> dict[str, Any]:
        return {"m": {"right": random.choice(["A"]) == "", "known": True}}

    draw = random.choice
    assert read_by_lmms_eval(benchmark(), a_task(judge), DOC, "b")[1] == Reading(0.0, False)
    with suppress(KeyError), no_guessing() as tried:
        assert random.choice([1, 2]) == "" and tried == [[1, 2]]
        raise KeyError
    assert random.choice is draw


def test_a_task_without_the_metric_is_read_by_its_first_value() -> None:
    judged = a_task(lambda doc, results: {"first": {"right": True, "known": True}, "second": None})
    assert read_by_lmms_eval(benchmark(choices=None), judged, DOC, "b")[1] == Reading(1, True)
