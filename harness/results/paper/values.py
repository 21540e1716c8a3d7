"""Our value of a printed cell: from a run's scores and traces, or modelled from the schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winnow.harness.run.result import Result
from winnow.harness.score.pooled import figures


@dataclass(frozen=True)
class Value:
    """A value with its 95 % interval, where it has one."""

    mean: float
    low: float | None = None
    high: float | None = None
    text: str = ""

    @property
    def half(self) -> float | None:
        """Half of the interval's width."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def scored(result: Result, target: str) -> Value | None:
    """What a run reached on a benchmark.

    Parameters
    ----------
    result : dict
    target : str
        ``choice``, or ``choice:part`` for a part of the break-down, a judge's accuracy (``judge``) or its ``score``.
    """
    _, _, part = target.partition(":")
    found = figure(result)
    if found is None:
        return None
    judged = found.get("judge")
    if part == "score":
        return Value(judged["score"]) if judged else None
    if part and part != "judge":
        found = found.get("breakdown", {}).get(part)
    elif judged:
        found = judged
    if found is None or found["mean"] is None:
        return None
    return Value(found["mean"], found.get("low"), found.get("high"), found.get("verdict") or "")


def figure(result: Result) -> Mapping[str, Any] | None:
    """The one figure of a run on a benchmark; of several the mean, which has no interval."""
    found = [*figures(result).values()]
    if len(found) == 1:
        return found[0]
    values = [one["mean"] for one in found if one["mean"] is not None]
    return {"mean": sum(values) / len(values)} if values else None


def average(values: Sequence[Value | None]) -> Value | None:
    """Mean of some cells; none, as in the papers, where one is missing or failed."""
    means = [value.mean for value in values if value and not value.text]
    return Value(sum(means) / len(means)) if means and len(means) == len(values) else None


def img_memory(results: list[Result]) -> Value | None:
    """Mean over the runs of a row of the share of visual tokens that the LLM's layers hold, in per cent."""
    shares = [result["shares"]["mean"] for result in results if result["shares"]]
    return Value(100 * sum(shares) / len(shares)) if shares else None
