"""What a run's ``result.json`` holds, and the one check that a file does hold it, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired, Required, TypedDict, cast

from winnow.harness.common import files
from winnow.harness.common.run_files import RESULT
from winnow.harness.common.typed import misfit
from winnow.reducers.core.errors import WinnowError

BOUNDS = {"low", "high"}
OWN = "model.own_pruning=true"
"""Tells, in a run's label, a model that prunes by a rule of its own from the unreduced one."""


class FigureResult(TypedDict, total=False):
    """A figure with its 95 % interval on the scale 0 to 100; MME's is a sum. None where labels are not public."""

    mean: Required[Annotated[Any, float | None]]
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


class JudgeResult(FigureResult, total=False):
    """What a language model said of open answers, and what it cost."""

    model: str
    accuracy: float
    score: Required[float]
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


class _Shares(TypedDict):
    entrance: float
    mean: float
    last: float


class _Budget(TypedDict):
    kind: str
    achieved: float | None


class _Knobs(TypedDict, total=False):
    like: str | None


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
    knobs: Annotated[dict[str, Any], _Knobs]
    asked: str
    ratio: float | None
    budget: Annotated[dict[str, Any], _Budget] | None
    documents: int
    failed: int
    shares: Annotated[dict[str, float], _Shares] | None
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


def load(folder: Path) -> Result:
    """Read the result of a run.

    Raises
    ------
    WinnowError
        If it is damaged: no JSON, or not what a run writes.
    """
    path = folder / RESULT
    found = files.read_json(path)
    if wrong := fault(found):
        raise WinnowError(f"{path} is damaged, {wrong}: run it again with force=true")
    return cast(Result, found)


def fault(found: object) -> str:
    """Say what keeps a value from being a result; empty: it is one."""
    if wrong := misfit(found, Result):
        return wrong
    printed = _printed(cast(Result, found))
    bare = (name for name, made in printed if made["mean"] is not None and not made.keys() >= BOUNDS)
    return next((f"{name} has a mean and no interval" for name in bare), "")


def _printed(result: Result) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The figures that tables print with an interval."""
    for task in result["tasks"]:
        yield task["task"], task
        if judged := task.get("judge"):
            yield f"judge of {task['task']}", judged
    yield from result.get("means", {}).items()
    for versus in (result.get("drop"), result.get("gain")):
        yield from versus["tasks"].items() if versus else ()
