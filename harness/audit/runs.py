"""Finished runs as the sections see them: a result, and a table of answers by document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.harness.common.run_files import TRACES, Score, read_samples, read_scores, read_table, whole
from winnow.harness.run.result import Result
from winnow.harness.run.traces import lists

Key = tuple[str, int]
"""Task and number of a document."""
Kept = Mapping[Key, NDArray[np.bool_]]
PLAIN = (
    "task",
    "doc_id",
    "length",
    "visual",
    "visual_per_layer",
    "media",
    "grids",
    "generated",
    "cut",
    "logprob",
    "options",
    "sinks",
    "rank",
)


@dataclass(frozen=True)
class Answer:
    """One answered document.

    Attributes
    ----------
    text, target : str
        What was said, and what is right; empty where that is not known.
    letter : str or None
        The option that the answer was read as, of multiple-choice questions.
    failed : bool
    score : Score or None
        None where it is not worth anything by itself.
    parts : tuple of str
        The parts of the benchmark that it belongs to.
    media : str
        The video or picture that it asks about.
    frames : int
        Frames of its longest video; 1 for pictures.
    visual : int
        Visual tokens of the prompt.
    per_layer : tuple of int
        Visual tokens that each layer processed.
    new : int
        Tokens that were generated; 0 where that was not noted.
    cut : bool
        Whether the answer ended at the limit.
    logprob : float or None
        Log-probability of the answer.
    options : tuple of float
        Log-probability of each option, in their order: letters, or yes and no.
    sinks : tuple of int
        Places of the visual tokens whose norm stands out at the LLM's entrance.
    rank : float or None
        Effective rank of what the last layer sees of them.
    """

    text: str
    target: str = ""
    letter: str | None = None
    failed: bool = False
    score: Score | None = None
    parts: tuple[str, ...] = ()
    media: str = ""
    frames: int = 1
    visual: int = 0
    per_layer: tuple[int, ...] = ()
    new: int = 0
    cut: bool = False
    logprob: float | None = None
    options: tuple[float, ...] = ()
    sinks: tuple[int, ...] = ()
    rank: float | None = None

    @property
    def said(self) -> str:
        """What it comes to: the option, or the words in lower case without a final stop."""
        return self.letter if self.letter is not None else _plain(self.text)

    @property
    def truth(self) -> str:
        """What would have been right, in the same terms; empty where that is not known."""
        if self.letter is None:
            return _plain(self.target)
        if self.target.isdigit() and int(self.target) < len(ascii_uppercase):
            return ascii_uppercase[int(self.target)]
        return self.target if len(self.target) == 1 else ""

    @property
    def shares(self) -> tuple[float, float]:
        """Share of visual tokens as the mean over layers, and in the last one."""
        if not self.visual or not self.per_layer:
            return 1.0, 1.0
        return sum(self.per_layer) / len(self.per_layer) / self.visual, self.per_layer[-1] / self.visual

    @property
    def first(self) -> int | None:
        """The first layer that sees fewer visual tokens than the prompt has; None: all see all."""
        return next((layer for layer, count in enumerate(self.per_layer) if count < self.visual), None)


@dataclass(frozen=True, eq=False)
class Ran:
    """A finished run.

    Attributes
    ----------
    result : Result
    answers : mapping
        By document.
    fates : callable
        Reads, by document, the last layer that saw each visual token.
    benches : sequence of dict
        Measurements of `winnow bench` of the same method on the same model.
    budgets : sequence of Ran
        Finished runs of the same method at every budget, this one among them.
    """

    result: Result
    answers: Mapping[Key, Answer]
    fates: Callable[[], Mapping[Key, NDArray[np.int64]]] = field(default=dict, repr=False)
    benches: Sequence[Mapping[str, Any]] = ()
    budgets: Sequence[Ran] = ()

    @property
    def spent(self) -> float:
        """Visual tokens as the mean over layers and documents, in percent."""
        shares = self.result["shares"]
        return 100 * shares["mean"] if shares else 0.0

    @cached_property
    def kept(self) -> Kept:
        """By document, which visual tokens the last layer saw."""
        depth = max((len(answer.per_layer) for answer in self.answers.values()), default=0)
        return {key: last >= depth - 1 for key, last in self.fates().items()}


Runs = Mapping[str, Ran]
"""By role; see `winnow.harness.audit.needs`."""


def at_budgets(runs: Runs) -> list[Ran]:
    """The unreduced run and the method's at every budget, the largest first."""
    method = runs["method"]
    return [runs["unreduced"], *(method.budgets or [method])]


def load(result: Result, folder: Path) -> Ran:
    """Read a run's tables; `folder` is its own."""
    scores = read_scores(folder)
    rows = {(row["task"], row["doc_id"]): row for row in read_table(folder / TRACES, PLAIN)}
    answers: dict[Key, Answer] = {}
    for task in result["tasks"]:
        name, metric = task["task"], task["metric"]
        counted = scores.get((name, metric), {}) if metric else {}
        for sample in read_samples(folder, name):
            key = (name, sample["doc_id"])
            answers[key] = _answer(sample, metric, counted.get(sample["doc_id"]), rows.get(key, {}))
    return Ran(result, answers, lambda: _fates(folder))


def _answer(sample: Mapping[str, Any], metric: str | None, score: Score | None, row: Mapping[str, Any]) -> Answer:
    letters, target = sample.get("letters"), sample.get("target")
    kinds = [name for name, value in sample["scores"].items() if name != metric and value is not None]
    return Answer(
        text=sample["answer"],
        target="" if target is None else str(target),
        letter=letters["reader"] if letters else None,
        failed=sample["status"] != "ok",
        score=score,
        parts=tuple(filter(None, [*kinds, score.stratum if score else ""])),
        media=row.get("media") or (score.media if score else ""),
        frames=max((grid[0] for grid in row.get("grids") or ()), default=1),
        visual=row.get("visual", 0),
        per_layer=tuple(row.get("visual_per_layer") or ()),
        new=row.get("generated") or 0,
        cut=bool(row.get("cut")),
        logprob=row.get("logprob"),
        options=tuple(row.get("options") or ()),
        sinks=tuple(row.get("sinks") or ()),
        rank=row.get("rank"),
    )


def _plain(text: str) -> str:
    return text.strip().lower().rstrip(" .")


def _fates(folder: Path) -> dict[Key, NDArray[np.int64]]:
    import pyarrow.parquet as pq

    with whole(folder / TRACES):
        if "last_layer" not in pq.read_schema(folder / TRACES).names:
            return {}
        table = pq.read_table(folder / TRACES, columns=["task", "doc_id", "last_layer"])
    keys = zip(table["task"].to_pylist(), table["doc_id"].to_pylist(), strict=True)
    return dict(zip(keys, lists(table["last_layer"]), strict=True))


def shared(first: Ran, second: Ran) -> Iterable[tuple[Answer, Answer]]:
    """The documents that both runs answered, in order."""
    for key, answer in first.answers.items():
        other = second.answers.get(key)
        if other is not None and not answer.failed and not other.failed:
            yield answer, other
