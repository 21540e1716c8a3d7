"""What Winnow knows of a benchmark beyond its lmms-eval task: where its data lie, and how its figure comes about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    strata : str or None
        The figure is the mean over the values of this column, not over documents.
    combine : {"mean", "sum"}
        Whether the figure is the mean or the sum over strata.
    unit : callable or None
        Documents of equal unit are worth one point together.
    worth : {"mean", "all", "mean+all"}
        What a unit is worth: the mean of its scores, 1 if all are right, or both added.
    counted : callable or None
        Which documents count for the figure; the others appear in the break-down only.
    breakdown : tuple of str
        Columns to break the figure down by.
    judge : str or None
        Family whose prompt a language model judges answers with; the figure is then the exact match until it has.
    tokens : int
        Longest answer where the task sets no limit.
    quirk : str
        Why lmms-eval's own figure may differ.
    place : str
        Where the data come from if not from the hub.
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
    strata: str | None = None
    combine: Literal["mean", "sum"] = "mean"
    unit: Callable[[Doc], object] | None = None
    worth: Literal["mean", "all", "mean+all"] = "mean"
    counted: Callable[[Doc], bool] | None = None
    breakdown: tuple[str, ...] = ()
    judge: str | None = None
    tokens: int = 16
    quirk: str = ""
    place: str = ""

    @property
    def submission(self) -> bool:
        """Whether the labels are not public: answers are written to a file for the benchmark's server."""
        return self.metric is None and self.judge is None
