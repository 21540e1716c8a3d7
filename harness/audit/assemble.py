"""From what is finished to a card: every section measured, p values adjusted over all of them, then judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from winnow.harness.audit.benches import benches_of
from winnow.harness.audit.card import Card, Check, Measured, Section, adjusted
from winnow.harness.audit.needs import Subject
from winnow.harness.audit.runs import Runs
from winnow.harness.audit.sections import (
    abilities,
    budget,
    calibration,
    gate,
    hard,
    horizon,
    length,
    loyalty,
    nothing,
    positions,
    savings,
    stability,
    swap,
)
from winnow.harness.audit.subjects import Gathered, Store, gather
from winnow.harness.config.label import label

CHECKS: tuple[Check, ...] = (
    gate.CHECK,
    nothing.CHECK,
    hard.CHECK,
    horizon.CHECK,
    positions.CHECK,
    swap.CHECK,
    stability.CHECK,
    calibration.CHECK,
    length.CHECK,
    loyalty.CHECK,
    savings.CHECK,
    abilities.CHECK,
    budget.CHECK,
)
"""The sections, in the order of the card."""
UNTIMED = ("tasks", "limit", "results", "seed", "batch_size")
"""Words that mean nothing to a bench."""
METHOD_FIRST = "the method's own run is not finished"


def roles(checks: Sequence[Check] = CHECKS) -> list[str]:
    """The roles that some sections need or want, the method's own first."""
    return list(dict.fromkeys(["method", *(role for check in checks for role in (*check.needs, *check.wants))]))


def card(subject: Subject, store: Store, benches: Sequence[Mapping[str, Any]] = ()) -> Card:
    """Make the card of a method from the runs that are finished."""
    found = gather(subject, store, roles())
    if "method" in found.runs:
        own = found.runs["method"]
        timed = benches_of(own.result, benches)
        found.runs["method"] = replace(own, benches=timed, budgets=store.budgets(own.result))
    possible = [check for check in CHECKS if _lacking(check, found) is None]
    measured = adjusted({check.name: check.measure(found.runs) for check in possible})
    sections = [_section(check, found, measured.get(check.name), subject) for check in CHECKS]
    return Card(f"{label(subject.cell)} {subject.cell.asked}".strip(), _about(subject, found.runs), sections)


def _lacking(check: Check, found: Gathered) -> dict[str, str] | None:
    """What a section cannot do without; None: nothing."""
    without = [role for role in ("method", *check.needs) if role not in found.runs]
    return {role: found.lacking[role] for role in without} or None


def _section(check: Check, found: Gathered, measured: Measured | None, subject: Subject) -> Section:
    wanted = {role: found.lacking[role] for role in check.wants if role in found.lacking}
    if measured is None:
        lacking = _lacking(check, found) or {}
        says = METHOD_FIRST if "method" in lacking else f"needs {', '.join(lacking)}"
        return Section(check.name, check.title, "missing", says, check.falsified, missing=lacking)
    state, verdict = check.judge(measured.lines)
    words = " ".join(word for word in subject.words if not word.startswith(UNTIMED))
    lacking = {what: how.format(words=words) for what, how in measured.lacking.items()}
    return Section(
        check.name, check.title, state, verdict, check.falsified, measured.lines, measured.curves, wanted | lacking
    )


def _about(subject: Subject, runs: Runs) -> str:
    cell = subject.cell
    limit = f", limit={cell.limit}" if cell.limit else ""
    run = f", run {runs['method'].result['id']}" if "method" in runs else ""
    return f"{cell.model.name} on {cell.tasks.name}{limit}{run}"


def store_of(found: Sequence[Subject]) -> Store:
    """The store that all cards read, which is that of the first."""
    return Store(Path(found[0].cell.results))
