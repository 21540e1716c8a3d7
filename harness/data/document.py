"""One question of a benchmark, and how it is to be answered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.kinds.yes_no import agreed, agreed_by_number
from winnow.harness.tasks.readers import starts_yes_or_no, yes_or_no
from winnow.reducers.core.errors import WinnowError, choose

YES_NO = ("yes", "no")
TOKENS = 16
"""Longest answer where neither the task nor the configuration sets a limit."""

GENERATION = (
    "max_new_tokens",
    "min_new_tokens",
    "num_beams",
    "length_penalty",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "suppress_tokens",
    "begin_suppress_tokens",
)
"""What of a task's generation settings reaches the model; decoding is greedy."""


@dataclass(frozen=True, eq=False)
class Document:
    """One question of a benchmark.

    Attributes
    ----------
    task, doc_id : str, int
    text : str
        The prompt.
    visuals : callable
        Loads its pictures and names its videos.
    generation : dict
        Arguments of ``model.generate``.
    until : tuple of str
        Stop strings.
    relevance : list of float or None
        Per visual token, how much it has to do with the question.
    fingerprint : str
        Hash of all that reaches the model, as far as it was looked at; see `print_of`.
    row : dict
        The benchmark's own row without pictures, the label among its columns.
    split : str
        Which split it is of.
    options : tuple of str
        What an answer may begin with, of questions that have options: letters, or yes and no.
    """

    task: str
    doc_id: int
    text: str
    visuals: Callable[[], list[Any]]
    generation: dict[str, Any]
    until: tuple[str, ...]
    relevance: list[float] | None
    fingerprint: str
    row: Mapping[str, Any] = field(default_factory=dict)
    split: str = ""
    options: tuple[str, ...] = ()


def print_of(document: Document, pixels: Sequence[str]) -> str:
    """Hash all of a document that reaches the model; labels do not.

    Parameters
    ----------
    document : Document
    pixels : sequence of str
        Hashes of its pictures and videos.
    """
    return fingerprint(document.text, document.generation, document.until, document.relevance, list(pixels))


def longest(benchmark: Benchmark | None) -> int:
    """The longest answer of a task that sets no limit."""
    return benchmark.tokens if benchmark else TOKENS


def capped(benchmark: Benchmark | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A task's generation settings, with no longer answer than is of use."""
    limit, cap = settings.get("max_new_tokens"), benchmark.cap if benchmark else None
    return {**settings, "max_new_tokens": min(limit, cap)} if limit and cap else dict(settings)


def options_of(benchmark: Benchmark | None, row: Mapping[str, Any]) -> tuple[str, ...]:
    """What the answer to a question may begin with, where that is known: its letters, or yes and no."""
    if benchmark is None:
        return ()
    if benchmark.choices is not None:
        return tuple(benchmark.choices.options(row))
    return YES_NO if benchmark.read in (yes_or_no, starts_yes_or_no, agreed, agreed_by_number) else ()


def greedy(name: str, settings: Mapping[str, Any], tokens: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Take from a task's generation settings what reaches the model, and its stop strings.

    Raises
    ------
    WinnowError
        If the task samples its answers.
    """
    if settings.get("do_sample"):
        raise WinnowError(
            f"task '{name}' samples its answers: say tasks.generation.do_sample=false for greedy decoding"
        )
    until = settings.get("until") or []
    stops = (until,) if isinstance(until, str) else tuple(until)
    return {"max_new_tokens": tokens} | {k: settings[k] for k in GENERATION if k in settings}, stops


def check_generation(asked: Mapping[str, Any]) -> None:
    """Refuse what ``tasks.generation`` asks for and greedy decoding cannot do.

    Raises
    ------
    WinnowError
        Names the setting, and those that are honoured.
    """
    for name, value in asked.items():
        if name not in (*GENERATION, "until") and not (name == "do_sample" and value is False):
            raise WinnowError(
                f"tasks.generation.{name}={value} is not honoured: answers are decoded greedily, with a cache; "
                f"{choose(name, (*GENERATION, 'until'))}, or do_sample=false"
            )


def fingerprint(*parts: object) -> str:
    """Hash a document; lmms-eval's own `doc_hash` is the same for every document."""
    text = json.dumps(parts, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
