"""Runs cells: what is finished is printed, the rest is answered together wherever model and tasks are shared."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

from winnow.harness.common import files
from winnow.harness.common.exits import BUSY, INCOMPLETE, OK, worst
from winnow.harness.common.plain import visible
from winnow.harness.common.run_files import RESULT
from winnow.harness.config.cell import Cell
from winnow.harness.config.compose import REPLAYS
from winnow.harness.config.label import headline
from winnow.harness.plan.build import Built, build_method
from winnow.harness.plan.weights import check_weights
from winnow.harness.results.tables.runs import show
from winnow.harness.results.tracking.track import track
from winnow.harness.run.claim import Claim
from winnow.harness.run.stop import Stop
from winnow.harness.run.store import Run, runs_of
from winnow.reducers.core.errors import WinnowError


def run(cells: Sequence[Cell]) -> int:
    """Run cells and print their rows.

    Returns
    -------
    int
        The exit code; see `winnow.harness.common.exits`.

    Raises
    ------
    WinnowError
        For mistakes in the input, before any model loads.
    """
    started = time.perf_counter()
    made = {id(cell): build_method(cell) for cell in cells if cell.method.target not in REPLAYS}
    runs = runs_of(cells)
    pending = [found for found in runs if found.cell.force or not found.done]
    check_weights(found.cell for found in pending)
    built = {found.id: made.get(id(found.cell)) or build_method(found.cell) for found in pending}
    for found in runs:
        _announce(found, built.get(found.id))
    codes = {OK}
    if pending:
        codes |= _run_pending(pending, built)
    for found in runs:
        if found not in pending:
            track(found.cell.tracker, found.folder)
    finished = [found.result() for found in runs if (found.folder / RESULT).exists()]
    show(finished, runs[0].cell.results)
    if len(runs) > 1:
        seconds = time.perf_counter() - started
        kept = len(runs) - len(pending)
        print(f"{len(runs)} cells ({kept} stored before) in {seconds:.0f} s: wall clock of the sweep, no method's time")
    return worst(codes)


def _announce(found: Run, built: Built | None) -> None:
    if built is not None:
        words = headline(found.cell, found.id, built.knobs, built.ratio, built.planned, built.kept, built.moved)
        print(visible(words), flush=True)
        return
    stored = found.result()
    planned = (stored["budget"] or {}).get("planned")
    words = headline(found.cell, found.id, stored["knobs"], stored["ratio"], planned)
    print(f"{visible(words)} · stored", flush=True)


def _run_pending(pending: Sequence[Run], built: dict[str, Built]) -> set[int]:
    """Claim what is free and run it, group by group; a group that cannot run does not stop the others."""
    from winnow.harness.run.loaded import LoadedModel
    from winnow.harness.sweep.group import run_group

    codes: set[int] = set()
    groups: dict[str, list[Run]] = {}
    for found in pending:
        groups.setdefault(found.cell.group, []).append(found)
    stop, errors = Stop(), list[WinnowError]()
    with LoadedModel() as kept:
        for group in groups.values():
            with ExitStack() as stack:
                claims = {found: claim for found in group if (claim := _claim(found, stack)) is not None}
                if len(claims) < len(group):
                    codes.add(BUSY)
                free = {found: claim for found, claim in claims.items() if found.cell.force or not found.done}
                try:
                    if free:
                        codes.add(run_group(free, built, kept, stop))
                except files.UnwritableError:
                    raise
                except WinnowError as error:
                    errors.append(error)
        if len(pending) > 1:
            print(kept.shared())
        elif kept.spent.seconds and not errors:
            print(kept.told(), file=sys.stderr)
    return _report(errors, codes, len(groups))


def _report(errors: list[WinnowError], codes: set[int], groups: int) -> set[int]:
    """Raise the error if nothing else could run, else print them all."""
    if len(errors) == groups == 1:
        raise errors[0]
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    return codes | ({INCOMPLETE} if errors else set())


def _claim(found: Run, claims: ExitStack) -> Claim | None:
    with files.writable(found.cell.results):
        claim = Claim(found.folder)
    if claim.held:
        return claims.enter_context(claim)
    print(f"run {found.id} is being worked on by {claim.holder}: left to it", file=sys.stderr)
    return None
