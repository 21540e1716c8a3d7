"""A result that somebody else wrote: believed to be numbers, and nothing beyond."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path
from typing import Any

from winnow.harness.common.files import parse
from winnow.harness.common.result import fault
from winnow.harness.common.run_files import IMPORTED, RESULT
from winnow.harness.run.result import read_result
from winnow.reducers.core.errors import WinnowError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,79}")
"""What runs and tasks may be called: no separators, nothing hidden, no way out of a folder."""
LARGEST = 10 << 20
"""Characters of one result."""


def result_of(run: str, text: str, among: Container[str] = ()) -> dict[str, Any]:
    """Read and check the result of one imported run; its name is made that of an imported one.

    Parameters
    ----------
    run : str
        Its name in the file.
    text : str
        Its result.
    among : container of str
        The names of the file.

    Raises
    ------
    WinnowError
        If it cannot be a result.
    """
    if len(text) > LARGEST:
        raise WinnowError(f"its result has {len(text)} characters, more than {LARGEST}")
    result = parse(text or "null")
    if not isinstance(result, dict) or not isinstance(result.get("tasks"), list):
        raise WinnowError("it holds no result")
    named = [run, *(task.get("task") for task in result["tasks"] if isinstance(task, dict))]
    wrong = next((name for name in named if not isinstance(name, str) or not NAME.fullmatch(name)), None)
    if len(named) != len(result["tasks"]) + 1 or wrong is not None:
        raise WinnowError(f"{str(wrong)[:40]!r} is no name of a run or a task")
    if wrong := fault(result):
        raise WinnowError(f"its result is damaged, {wrong}")
    if result["status"] != "complete":
        raise WinnowError("it is not complete")
    if like := result["knobs"].get("like"):
        result["knobs"] = result["knobs"] | {"like": imported(like, among)}
    return result | {"id": imported(run, among)}


def imported(run: str, among: Container[str] = ()) -> str:
    """The name of an imported run: another one for each of a file, whether it was imported there as well or not."""
    own = not run.startswith(IMPORTED) or run.removeprefix(IMPORTED) in among
    return f"{IMPORTED}{run}" if own else run


def is_there(here: Path, result: dict[str, Any]) -> bool:
    """Whether a run was imported before.

    Raises
    ------
    WinnowError
        If its folder holds another one.
    """
    if not (here / RESULT).exists():
        return False
    if read_result(here)["finished"] != result["finished"]:
        raise WinnowError(f"{here} is another run of that name: delete its folder to take this one")
    return True
