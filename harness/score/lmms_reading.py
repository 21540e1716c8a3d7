"""Which option lmms-eval's own code takes an answer for, and what it is worth, without its guesses."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from string import ascii_uppercase
from types import SimpleNamespace
from typing import Any

from winnow.harness.tasks.benchmark import Benchmark, Reading
from winnow.harness.tasks.choices import Doc


def read_by_lmms_eval(benchmark: Benchmark, task: Any, doc: Doc, answer: str) -> tuple[Any, Reading]:
    """Let lmms-eval judge an answer.

    Parameters
    ----------
    benchmark : Benchmark
    task : lmms_eval.api.task.Task
    doc : mapping
    answer : str

    Returns
    -------
    tuple
        Its value, and the reading; of a multiple-choice question with the letter, and an answer that is taken for
        none of its options is not understood.
    """
    value, reading = _judge(benchmark, task, doc, answer)
    if benchmark.choices is None or not reading.parsed or not benchmark.choices.options(doc):
        return value, reading
    letter = _letter(benchmark, task, doc, answer, value)
    return value, Reading(reading.score, bool(letter), letter)


def _letter(benchmark: Benchmark, task: Any, doc: Doc, answer: str, value: Any) -> str:
    """Find the option which, were it the right one, would be judged right: not all tasks say what they read."""
    choices, column = benchmark.choices, benchmark.answer
    if choices is None:
        return ""
    if column is None:
        place = next(iter(value.values()))
        return ascii_uppercase[place] if place >= 0 else ""
    for letter in choices.options(doc):
        _, reading = _judge(benchmark, task, choices.relabelled(doc, column, letter), answer)
        if reading.parsed and reading.score == 1:
            return letter
    return ""


def _judge(benchmark: Benchmark, task: Any, doc: Mapping[str, Any], answer: str) -> tuple[Any, Reading]:
    with no_guessing() as guesses:
        values = task.process_results(copy.deepcopy(dict(doc)), [_filtered(task, doc, answer)])
    value = values.get(benchmark.metric or "submission", next(iter(values.values())))
    return value, Reading(0.0, False) if guesses else benchmark.read(value, answer, doc)


def _filtered(task: Any, doc: Mapping[str, Any], answer: str) -> Any:
    """What the task's first filter leaves of an answer, as lmms-eval hands it on."""
    instance = SimpleNamespace(resps=[answer], filtered_resps={})
    first = task._filters[0]
    first.apply([instance], [dict(doc)])
    return instance.filtered_resps[first.name]


@contextmanager
def no_guessing() -> Iterator[list[object]]:
    """Let parsers find nothing where they would draw an option at random; notes whenever they tried."""
    draw = random.choice
    tried: list[object] = []

    def refuse(options: Sequence[Any]) -> str:
        tried.append(options)
        return ""

    random.choice = refuse  # type: ignore[assignment]
    try:
        yield tried
    finally:
        random.choice = draw
