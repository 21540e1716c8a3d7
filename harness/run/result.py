"""What a run's ``result.json`` holds: written once it is scored, read by every table and picture."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NotRequired, Required, TypedDict, cast

from winnow.harness.common import files
from winnow.harness.common.errors import first_line
from winnow.harness.common.owner import tell_owner
from winnow.harness.common.run_files import IMPORTED, RESULT
from winnow.reducers.core.errors import WinnowError


class FigureResult(TypedDict, total=False):
    """A figure with its 95 % interval on the scale 0 to 100; MME's is a sum. None where labels are not public."""

    mean: Required[Any]
    low: float
    high: float
    documents: int
    verdict: str | None
    reader: ReaderResult


class ReaderResult(FigureResult):
    """What the one reader of options makes of multiple-choice answers.

    Attributes
    ----------
    unread, disagree : int
        Answers in which it finds no option, and those that lmms-eval's code takes for another one.
    """

    unread: int
    disagree: int


class JudgeResult(FigureResult):
    """What a language model said of open answers, and what it cost."""

    model: str
    accuracy: float
    score: float
    unread: int
    asked: int
    remembered: int
    prompt_tokens: int
    reply_tokens: int
    cost: float


class TaskResult(FigureResult, total=False):
    """One task.

    Attributes
    ----------
    task, metric : str, str or None
    combine : str
        Whether the figure is the mean or the sum over strata.
    failed, unparsed : int
        Documents without an answer, and with one that could not be read.
    lmms_eval, note : float, str
        lmms-eval's own figure, and why it differs.
    breakdown, figures : dict
        Parts of the figure, and further ones.
    judge : dict
    file : str
        Answers for the benchmark's server.
    """

    task: Required[str]
    metric: Required[str | None]
    combine: str
    failed: int
    reasons: dict[str, int]
    unparsed: int
    units: int
    lmms_eval: Any
    note: str
    breakdown: dict[str, FigureResult]
    figures: dict[str, float]
    judge: JudgeResult
    file: str
    visual_tokens: dict[str, float] | None


class DifferenceResult(FigureResult):
    """A paired difference in points, with its 95 % interval and p value."""

    p: float


class ComparisonResult(TypedDict):
    """What a run was compared with, the state of that run and of the method, and the difference by figure."""

    baseline: list[str]
    tasks: dict[str, DifferenceResult]


class CostResult(TypedDict):
    """Modelled cost of the prefill, the mean over documents; `compat` by the papers' convention.

    `parts`: TFLOPs of an unreduced prefill of the model's nominal prompt, by part of the model.
    """

    profile: str
    tflops: float
    flops_share: float
    kv_bytes: float
    compat: NotRequired[dict[str, Any]]
    parts: NotRequired[dict[str, float]]


class _Whole(TypedDict):
    """What every version writes."""

    id: str
    context: str
    settings: str
    status: str
    finished: str
    model: str
    reducer: str
    label: str
    knobs: dict[str, Any]
    asked: str
    ratio: float | None
    budget: dict[str, Any] | None
    documents: int
    failed: int
    shares: dict[str, float] | None
    cost: CostResult | None
    tasks: list[TaskResult]


class Result(_Whole, total=False):
    """One run.

    Attributes
    ----------
    id, context, settings : str
        Its name; what runs that can be compared share; what it has in common with itself under other code.
    asked, ratio, budget, knobs
        What was asked of the method, and what came of it.
    shares : dict or None
        Visual tokens at the LLM's entrance, as the mean over its layers, in the last one; None if nothing was answered.
    stress : dict
        How its input was changed, in a way that a method should not mind; only where it was.
    means : dict
        Figures that the papers print as the mean of several tasks.
    drop, gain : dict
        Paired differences to the unreduced run, and to random dropping of as many tokens.
    ttft : float or None
        Measured time to the first token in ms, where a picture asks for it.
    damaged : int
        Documents whose damaged media were accepted (``media.accept_damaged``).
    spent : dict
        Seconds by the clock of the process that finished it, and of the cells that it answered together: a hint where
        time goes, no method's time. See `winnow.harness.common.spent.Spent`.
    """

    downsample: dict[str, float]
    stress: dict[str, Any]
    seed: int
    limit: int | None
    dtype: str
    attn: str
    means: dict[str, FigureResult]
    drop: ComparisonResult
    gain: ComparisonResult
    ttft: float | None
    damaged: int
    spent: dict[str, float]


def read_result(folder: Path) -> Result:
    """Read the result of a run.

    Raises
    ------
    WinnowError
        If it is damaged: no JSON, or not what a run writes.
    """
    path = folder / RESULT
    found = files.read_json(path)
    lacking = [name for name in _Whole.__annotations__ if not isinstance(found, dict) or name not in found]
    if lacking:
        raise WinnowError(f"{path} is damaged, it lacks {', '.join(lacking)}: run it again with force=true")
    return cast(Result, found)


def results_of(folder: Path, runs: Iterable[str]) -> list[Result]:
    """Read the results of some runs, of those that have one."""
    return _readable(folder / run for run in runs if (folder / run / RESULT).exists())


def _readable(folders: Iterable[Path]) -> list[Result]:
    """Read results; a damaged one is named and left out, so that it stops no command over other runs."""
    found = []
    for folder in folders:
        try:
            found.append(read_result(folder))
        except (WinnowError, OSError) as error:
            print(f"left out: {first_line(error)}", file=sys.stderr)
    return found


def results_below(folder: Path, outdated: bool = False) -> list[Result]:
    """Read the results of all runs below a folder, finished and incomplete, the oldest first.

    Parameters
    ----------
    folder : Path
    outdated : bool
        Also those that `newest` leaves out.
    """
    tell_owner(folder)
    results = _readable(path.parent for path in sorted(folder.glob(f"*/{RESULT}")))
    found = sorted(results, key=lambda result: (not _foreign(result), result["finished"], result["id"]))
    return found if outdated else newest(found)


def newest(results: Iterable[Result]) -> list[Result]:
    """Leave out runs that were run again since, with the same settings but other code, versions or data."""
    found = [*results]
    last = {(result["settings"], _foreign(result)): result["id"] for result in found}
    return [result for result in found if last[result["settings"], _foreign(result)] == result["id"]]


def _foreign(result: Result) -> bool:
    """Whether somebody else computed it; such a result comes first, so that one computed here stands for a cell."""
    return result["id"].startswith(IMPORTED)
