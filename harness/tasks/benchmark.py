"""What Winnow knows of a benchmark beyond its lmms-eval task: where its data lie, and how its figure comes about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from winnow.harness.tasks.choices import Choices, Doc


class Reading(NamedTuple):
    """What an answer is worth, 0 to 1, whether it could be understood at all, and which option it was taken for."""

    score: float
    parsed: bool
    letter: str = ""


Reader = Callable[[Any, str, Doc], Reading]
"""From lmms-eval's value for one document, the answer and the document."""
Further = Callable[[Sequence[tuple[Doc, str, float]]], Mapping[str, float]]
"""From all documents with their answers and scores to further figures, on the scale 0 to 100."""


@dataclass(frozen=True)
class Benchmark:
    """One task.

    Attributes
    ----------
    task : str
        Its name in lmms-eval.
    family : str
        Folder of its files: below lmms-eval's tasks, or one of ours (with a slash).
    repo, config, split : str
        The dataset on the hub.
    read : Reader
    metric : str or None
        lmms-eval's name of the figure; None where the labels are not public and answers go into a file.
    scale : float
        lmms-eval's figure times this is ours, which runs from 0 to 100.
    media : str or None
        Folder of the videos below ``HF_HOME``.
    archives : tuple of str
        Patterns of the repository's files that hold what the task shows.
    beside : tuple of (str, str)
        Further configurations and splits that it reads.
    answer : str or None
        The column of the label.
    choices : Choices or None
        The options of a multiple-choice question.
    reread : bool
        The figure is that of the one reader of options, not lmms-eval's.
    ident : tuple of str
        Columns that together name a document.
    columns : dict
        Further columns that prompts and scores need: name -> kind, ``text | list | number``.
    categories : dict
        Column -> the values that it may have.
    strata : str, callable or None
        The figure is the mean over the values of this column, or over what is made of a document, not over documents;
        `"outer > inner"` is a mean of means.
    combine : {"mean", "sum"}
        Whether the figure is the mean or the sum over strata.
    unit : callable or None
        Documents of equal unit are worth one point together.
    worth : {"mean", "all", "mean+all"} or callable
        What a unit is worth: the mean of its scores, 1 if all are right, or both added; or what is made of its
        documents and scores.
    counted : callable or None
        Which documents count for the figure; the others appear in the break-down only.
    breakdown : tuple of str
        Columns to break the figure down by.
    further : callable or None
        Figures beside the one that counts.
    complement : bool
        lmms-eval's figure counts errors: ours is what is missing to 100.
    own : bool
        Answers are read without lmms-eval's code.
    boxes : bool
        Answers are boxes, which each family of models writes in its own scale.
    instead : dict
        Name in lmms-eval's module of the task -> makes, from that module's names, what stands there while it scores:
        what would ask a judge, or remember the evaluation before.
    adapt : callable or None
        From where the data lie to further settings of the task for lmms-eval.
    barred : callable or None
        Says why lmms-eval cannot compute its figure on this machine, or nothing.
    judge : str or None
        Family whose prompt a language model judges answers with; the figure is then the exact match until it has.
    tokens, cap : int, int or None
        Longest answer where the task sets no limit, and where it allows more than is of use.
    quirk : str
        Why lmms-eval's own figure may differ.
    place, questions : str, str
        Where the data come from if not from the hub, and where the questions then lie below ``HF_HOME``.
    """

    task: str
    family: str
    repo: str
    read: Reader
    metric: str | None = None
    scale: float = 100.0
    config: str | None = None
    split: str = "test"
    media: str | None = None
    archives: tuple[str, ...] = ("*",)
    beside: tuple[tuple[str, str], ...] = ()
    answer: str | None = "answer"
    choices: Choices | None = None
    reread: bool = False
    ident: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    strata: str | Callable[[Doc], str] | None = None
    combine: Literal["mean", "sum"] = "mean"
    unit: Callable[[Doc], object] | None = None
    worth: Literal["mean", "all", "mean+all"] | Callable[[Sequence[tuple[Doc, float]]], float] = "mean"
    counted: Callable[[Doc], bool] | None = None
    breakdown: tuple[str, ...] = ()
    further: Further | None = None
    complement: bool = False
    own: bool = False
    boxes: bool = False
    instead: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    adapt: Callable[[str], dict[str, Any]] | None = None
    barred: Callable[[], str] | None = None
    judge: str | None = None
    tokens: int = 16
    cap: int | None = None
    quirk: str = ""
    place: str = ""
    questions: str = ""

    @property
    def submission(self) -> bool:
        """Whether the labels are not public: answers are written to a file for the benchmark's server."""
        return self.metric is None and self.judge is None
