"""Finds a run on the disk by what a user calls it."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from glob import escape
from pathlib import Path

from winnow.harness.common.finished import finished as is_finished
from winnow.harness.common.owner import tell_owner
from winnow.harness.common.run_files import CONFIG, RESULT
from winnow.reducers.core.errors import WinnowError


def find_run(name: object, results: Path, what: str = "", finished: bool = False, started: bool = False) -> Path:
    """Find the folder of a run.

    Parameters
    ----------
    name : object
        Its id, a prefix that only one run has, or its folder.
    results : Path
        Folder of the runs.
    what : str
        How errors call it: the option that names it.
    finished : bool
        Whether every document must be answered; otherwise there must be a result.
    started : bool
        That it was begun is enough.

    Raises
    ------
    WinnowError
        If it is no run of this folder, several, or not as far as it must be.
    """
    start = Path(str(name)).name
    tell_owner(results)
    found = _begun(results, f"{escape(start)}*") if start else []
    found = [run for run in found if run.name == start] or found
    if not found or isinstance(name, float):
        near = meant(start, [run.name for run in _begun(results, "*")])
        raise WinnowError(f"{what}{name} is no run in {results}: {near}`winnow tables` lists them, or give its folder")
    if len(found) > 1:
        choices = " | ".join(run.name for run in found)
        raise WinnowError(f"{what}{name} means {len(found)} runs: choose {choices}")
    if not started and not (is_finished(found[0]) if finished else (found[0] / RESULT).exists()):
        raise WinnowError(f"{what}{name} is not finished: run it to its end first, with the command that made it")
    return found[0]


def _begun(results: Path, pattern: str) -> list[Path]:
    """The runs of such names, without a look at any other: a store holds thousands."""
    return [run for run in sorted(results.glob(pattern)) if any((run / file).exists() for file in (CONFIG, RESULT))]


def meant(name: str, known: Sequence[str]) -> str:
    """Guess what a name that is not known should have been; empty: there is nothing like it."""
    near = get_close_matches(name, known, 1) or get_close_matches(name, [one[: len(name)] for one in known], 1)
    found = [one for one in known if near and one.startswith(near[0])]
    return f"did you mean {found[0]}? " if found else ""
