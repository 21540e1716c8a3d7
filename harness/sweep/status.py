"""What there is to say about a sweep: its plan, its standing, and the logs of one cell."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from winnow.harness.common import files
from winnow.harness.common.find_run import find_run
from winnow.harness.common.finished import damage
from winnow.harness.common.plain import visible
from winnow.harness.common.run_files import DONE, ENV, FAILED, IMPORTED, JOURNAL
from winnow.harness.run.claim import describe as holder
from winnow.harness.run.claim import evict, living_claim, silence
from winnow.harness.run.store import forget
from winnow.harness.sweep.manifest import Manifest, SweepCell
from winnow.harness.sweep.state import Watch, duration, holders, number, seconds_left
from winnow.harness.sweep.sweepbar import summary
from winnow.reducers.core.errors import WinnowError

HUNG = 900.0
"""Seconds without an answer after which a cell that is held is told; a large model takes minutes to load."""


def describe(manifest: Manifest, every: bool) -> str:
    """Say what a plan holds: a line per group, and one per cell if `every`."""
    lines = []
    for place, group in enumerate(manifest.groups, start=1):
        cell = group[0].cell
        limit = f", limit={cell.limit}" if cell.limit else ""
        words = f"group {place}: {cell.model.name} on {cell.tasks.name}{limit}"
        lines.append(f"{visible(words)}: {_cells(group)}")
        lines += [
            f"  {one.id}  {one.label}{f'  keeps {one.kept}' if one.kept else ''}{_estimate(one)}"
            for one in group
            if every
        ]
    lines += [f"cannot run: {', '.join(names)}: {why}" for why, names in _left(manifest).items()]
    cells = list(manifest.cells())
    stored = f", {len(manifest.stored)} stored before" if manifest.stored else ""
    lines.append(f"{_cells(cells)}{stored}" + (f"; estimated: {manifest.basis}" if manifest.basis else ""))
    return visible("\n".join(lines), keep="\n")


def _left(manifest: Manifest) -> dict[str, list[str]]:
    """What was left out of a plan, by the reason."""
    found: dict[str, list[str]] = {}
    for name, why in manifest.left:
        found.setdefault(why, []).append(name)
    return found


def _cells(cells: list[SweepCell]) -> str:
    known = [cell.seconds for cell in cells if cell.seconds is not None]
    some = "" if len(known) == len(cells) else f" for {len(known)} of them"
    return number(len(cells), "cell") + (
        f", about {duration(sum(known))} of one worker{some}, loading models aside" if known else ""
    )


def _estimate(cell: SweepCell) -> str:
    return "" if cell.seconds is None else f"  about {duration(cell.seconds)}"


def standing(manifest: Manifest, every: bool) -> tuple[str, bool]:
    """Say how a sweep stands; and whether all of it is finished."""
    states = Watch(manifest).look()
    lines = []
    for state in states:
        cell = state.planned
        if every or state.kind == "failed":
            of = f" of {cell.documents}" if cell.documents else ""
            done = f"  {state.answered}{of} documents" if state.kind == "running" or state.answered else ""
            lines.append(f"{state.kind:<9} {cell.id}  {cell.label}{done}{f': {state.reason}' if state.reason else ''}")
        if state.kind == "running" and (still := _still(manifest.results / cell.id)):
            lines.append(still)
    workers = holders(states, manifest.results)
    lines.append(
        summary(states, seconds_left(states, workers)) + (f" with {number(workers, 'worker')}" if workers else "")
    )
    return visible("\n".join(lines), keep="\n"), all(state.kind == "finished" for state in states)


def follow(manifest: Manifest, every: bool, seconds: float) -> None:
    """Show how a sweep stands until nothing of it is left to be run: in place on a terminal, else a line a change.

    Parameters
    ----------
    manifest : Manifest
    every : bool
        As of `standing`.
    seconds : float
        Between two looks.
    """
    from rich.live import Live
    from rich.text import Text

    console, watch = Console(), Watch(manifest)
    with Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else nullcontext() as live:
        said = ""
        while any(state.kind in ("running", "pending") for state in watch.look()):
            text, _ = standing(manifest, every)
            if live is not None:
                live.update(Text(text), refresh=True)
            elif text != said:
                print(text, flush=True)
            said = text
            time.sleep(seconds)


def _still(folder: Path) -> str:
    """Say of a held run that nothing is answered any more; empty: something is."""
    seconds, claim = silence(folder, folder / JOURNAL), living_claim(folder)
    if seconds < HUNG or claim is None:
        return ""
    return (
        f"no answer for {duration(seconds)}: {folder.name} is held by {holder(claim)}; if that hangs, "
        f"`winnow evict {folder.name} --results {folder.parent}` lets another take it"
    )


def evict_some(cells: Sequence[str], results: Path) -> Iterator[str]:
    """Take runs from processes that hang; name each holder.

    Raises
    ------
    WinnowError
        If a run is not there, or nobody holds it.
    """
    for cell in cells:
        folder = find_run(cell, results, started=True)
        gone = evict(folder)
        if not gone:
            raise WinnowError(f"run {folder.name} is held by nobody: `winnow run` takes it as it is")
        yield from (f"{folder.name} was taken from {one}; end that process, or let it find out" for one in gone)


def forget_some(manifest: Manifest, failed: bool, damaged: bool, all_: bool) -> Iterator[str]:
    """Let cells be run again; name each."""
    ids = {cell.id: cell.label for cell in manifest.cells()} | dict.fromkeys(manifest.stored, "stored before")
    count = 0
    for run, label in ids.items():
        folder = manifest.results / run
        if living_claim(folder) is not None:
            continue
        bad = damage(folder) if damaged and (folder / DONE).exists() else []
        if all_ or bad or (failed and (folder / FAILED).exists()):
            forget(folder)
            count += 1
            yield f"{run}  {label}" + (f": {', '.join(bad)} damaged" if bad else "")
    yield f"{number(count, 'cell')} will be run again"


def logs_of(cell: str, results: Path, lines: int) -> str:
    """Say what is known of one run.

    Raises
    ------
    WinnowError
        If no run, or more than one, has such a name; or if it is imported.
    """
    folder = find_run(cell, results, started=True)
    if folder.name.startswith(IMPORTED):
        raise WinnowError(f"run {folder.name} is imported: whoever computed it has its logs")
    env = _environment(folder)
    claim = living_claim(folder)
    here = f"held by {holder(claim)}" if claim is not None else "held by nobody"
    place = f"{env.get('host')}, {env.get('device', 'no model loaded')}"
    said = [visible(f"run {folder.name}: {here}; last on {place}")]
    for path in (folder / FAILED, folder / "failures.log", Path(str(env.get("log") or ""))):
        if path.is_file():
            said += [f"--- {path}", *_tail(path, lines)]
    return "\n".join(said)


def _environment(folder: Path) -> dict[str, Any]:
    """Where a run was last; nothing of one whose note is missing or damaged."""
    with suppress(OSError, WinnowError):
        found = files.read_json(folder / ENV)
        return found if isinstance(found, dict) else {}
    return {}


def _tail(path: Path, lines: int) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        return [visible(line.rstrip("\n"), keep="\t") for line in deque(file, lines)]
