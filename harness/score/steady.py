"""lmms-eval's code of a task, without what it would ask a judge while it scores or remember from the run before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from winnow.harness.tasks.benchmark import Benchmark
from winnow.reducers.core.errors import WinnowError


@contextmanager
def steadied(benchmark: Benchmark | None, task: Any) -> Iterator[None]:
    """Put what a benchmark names in the place of what stands in its task's modules.

    Parameters
    ----------
    benchmark : Benchmark or None
    task : lmms_eval.api.task.Task
        lmms-eval loads the task's module once for each of its functions.

    Raises
    ------
    WinnowError
        If the task has no such name.
    """
    instead = benchmark.instead if benchmark else {}
    functions = [task.config.process_results, *task.aggregation().values()] if instead else []
    modules = {id(names): names for one in functions if (names := getattr(one, "__globals__", None)) is not None}
    missing = next((name for name in instead if all(name not in names for names in modules.values())), None)
    if benchmark and missing:
        raise WinnowError(f"lmms-eval's task '{benchmark.task}' has no '{missing}': install lmms-eval 0.7.3")
    with ExitStack() as stack:
        for names in modules.values():
            there = {name: make(names) for name, make in instead.items() if name in names}
            stack.enter_context(patch.dict(names, there))
        yield
