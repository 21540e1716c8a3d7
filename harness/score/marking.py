"""Marks recorded answers of a benchmark: what each is worth; options are read twice, by lmms-eval and by us."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winnow.harness.common.errors import first_line, root_cause
from winnow.harness.run.record import Row
from winnow.harness.score.layout import lay_out
from winnow.harness.score.lmms_reading import read_by_lmms_eval
from winnow.harness.score.stats import Figure, figure
from winnow.harness.score.steady import steadied
from winnow.harness.tasks.benchmark import Benchmark, Reading
from winnow.harness.tasks.choices import Doc
from winnow.harness.tasks.letters import read_letter
from winnow.harness.tasks.lmms_eval import quiet
from winnow.reducers.core.errors import WinnowError


@dataclass(frozen=True)
class Mark:
    """One document with the reading of its answer; `value` is lmms-eval's, for submission files.

    `readings` holds what lmms-eval and the one reader of options make of the answer to a multiple-choice question.
    """

    doc_id: int
    doc: Doc
    row: Row
    reading: Reading
    value: Any = None
    readings: tuple[Reading, Reading] | None = None

    @property
    def score(self) -> float:
        """Nothing where there is no answer, or none that can be understood."""
        return self.reading.score if self.row.status == "ok" and self.reading.parsed else 0.0

    @property
    def parsed(self) -> bool:
        """Whether there is an answer and it could be understood."""
        return self.row.status == "ok" and self.reading.parsed


@dataclass(frozen=True)
class Unit:
    """What is worth one point: a document, or several that count together."""

    stratum: str
    value: float
    first: Mark
    counted: bool = True


def mark(benchmark: Benchmark, task: Any, rows: Sequence[Row]) -> list[Mark]:
    """Read every answer.

    Parameters
    ----------
    benchmark : Benchmark
    task : lmms_eval.api.task.Task
    rows : sequence of Row
        One per document.

    Raises
    ------
    WinnowError
        If lmms-eval cannot judge a document.
    """
    split = task.dataset_no_image[benchmark.split.strip()]
    with quiet(), steadied(benchmark, task):
        return [_mark(benchmark, task, split[row.doc_id], row) for row in rows]


def _mark(benchmark: Benchmark, task: Any, doc: dict[str, Any], row: Row) -> Mark:
    if benchmark.judge or benchmark.own:
        return Mark(row.doc_id, doc, row, benchmark.read(None, row.answer, doc))
    try:
        value, theirs = read_by_lmms_eval(benchmark, task, doc, row.answer)
    except Exception as error:
        reason = first_line(root_cause(error))
        raise WinnowError(f"lmms-eval cannot score document {row.doc_id} of '{benchmark.task}': {reason}") from error
    if benchmark.choices is None:
        return Mark(row.doc_id, doc, row, theirs, value)
    ours = read_option(benchmark, doc, row.answer) or theirs
    return Mark(row.doc_id, doc, row, ours if benchmark.reread else theirs, value, (theirs, ours))


def read_option(benchmark: Benchmark, doc: Doc, answer: str) -> Reading | None:
    """Read an answer as that of every other benchmark; None where the question has no options."""
    choices, column = benchmark.choices, benchmark.answer
    options = choices.options(doc) if choices else {}
    if choices is None or not options:
        return None
    letter = read_letter(answer, options)
    return Reading(float(column is not None and letter == choices.right(doc, column)), bool(letter), letter)


def units(benchmark: Benchmark, marks: Sequence[Mark]) -> list[Unit]:
    """Put documents together that count together."""
    groups: dict[object, list[Mark]] = defaultdict(list)
    for found in marks:
        groups[benchmark.unit(found.doc) if benchmark.unit else found.doc_id].append(found)
    return [_unit(benchmark, group) for group in groups.values()]


def _unit(benchmark: Benchmark, group: Sequence[Mark]) -> Unit:
    first = group[0]
    counted = benchmark.counted is None or benchmark.counted(first.doc)
    return Unit(_stratum(benchmark, first.doc), _worth(benchmark, group), first, counted)


def _worth(benchmark: Benchmark, group: Sequence[Mark]) -> float:
    scores = [found.score for found in group]
    if callable(benchmark.worth):
        return benchmark.worth([(found.doc, score) for found, score in zip(group, scores, strict=True)])
    mean, whole = sum(scores) / len(scores), float(min(scores) == 1)
    return {"mean": mean, "all": whole, "mean+all": mean + whole}[benchmark.worth]


def _stratum(benchmark: Benchmark, doc: Doc) -> str:
    strata = benchmark.strata
    return strata(doc) if callable(strata) else str(doc[strata]) if strata else ""


def figure_of(benchmark: Benchmark, found: Sequence[Unit]) -> Figure:
    """The benchmark's figure from its units."""
    media, strata = [unit.first.row.media for unit in found], [unit.stratum for unit in found]
    return figure([unit.value for unit in found], lay_out(media, strata, benchmark.combine))


def break_down(benchmark: Benchmark, found: Sequence[Unit]) -> Mapping[str, list[Unit]]:
    """Units by the values of the columns to break down by, and those that do not count for the figure by themselves."""
    parts: dict[str, list[Unit]] = defaultdict(list)
    for column in benchmark.breakdown:
        for unit in found:
            parts[f"{column} {unit.first.doc[column]}"].append(unit)
    if any(not unit.counted for unit in found):
        parts["others"] = [unit for unit in found if not unit.counted]
    return dict(parts)
