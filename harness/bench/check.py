"""``winnow check their.package:Class``: the invariants of the design on anybody's method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from winnow.harness.common.plain import visible
from winnow.harness.common.progress import progress
from winnow.harness.plan.build import frozen
from winnow.models.check import BACKENDS, INVARIANTS, Case, batches, outcome, tiny_model
from winnow.models.families import FAMILIES, find_family
from winnow.models.families.support import impossible
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError, choose
from winnow.reducers.core.registry import build
from winnow.reducers.core.schedule import SCHEDULES


@dataclass(frozen=True)
class Finding:
    """The outcome of one invariant on one family.

    Attributes
    ----------
    invariant, family : str
        What was checked where.
    cases : int
        Combinations of attention implementation and batch that were tried.
    faults : list of str
        One line per case that failed.
    refusals : int
        Cases that the engine refused in so many words, so that nothing is silently wrong.
    impossible : str
        Why the pair cannot work at all; empty where it can.
    """

    invariant: str
    family: str
    cases: int
    faults: list[str]
    refusals: int = 0
    impossible: str = ""


def make(target: str, options: Sequence[str]) -> Reducer:
    """Build the method from ``name=value`` options; ``schedule.kind=k schedule.k=2`` gives it a schedule.

    Raises
    ------
    WinnowError
        If an option is not of that form, or unknown to the class.
    """
    values: dict[str, Any] = {}
    schedule: dict[str, Any] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise WinnowError(f"'{option}' is not of the form name=value")
        parsed = yaml.safe_load(value)
        if name.startswith("schedule."):
            schedule[name.removeprefix("schedule.")] = parsed
        else:
            values[name] = parsed
    if schedule:
        kind = schedule.pop("kind", None)
        if kind not in SCHEDULES:
            raise WinnowError(f"schedule.kind={kind} is not known: {choose(kind, SCHEDULES)}")
        values["schedule"] = SCHEDULES[kind](**{name: frozen(value) for name, value in schedule.items()})
    return build(target, {name: frozen(value) for name, value in values.items()}, "--arg ")


def check(reducer: Reducer, layers: int) -> Iterator[Finding]:
    """Run every invariant on every family, with each attention implementation and batch; tell how far it is."""
    with progress("checking", len(FAMILIES) * len(INVARIANTS)) as advance:
        for family in FAMILIES:
            reason = _impossible(family, reducer, layers)
            impossible = (Finding(invariant, family, 0, [], 0, reason) for invariant in INVARIANTS)
            for finding in impossible if reason else _check(family, reducer, layers):
                advance(1, family)
                yield finding


def _impossible(family: str, reducer: Reducer, layers: int) -> str:
    try:
        return impossible(find_family(family), reducer, layers)
    except Exception:  # anybody's code may raise anything: each case then says what
        return ""


def _check(family: str, reducer: Reducer, layers: int) -> Iterator[Finding]:
    cases = {
        f"{attn}, {batch}": Case(tiny_model(family, attn, layers), reducer, prompts)
        for attn in BACKENDS
        for batch, prompts in batches(family).items()
    }
    for invariant in INVARIANTS:
        outcomes = {where: outcome(invariant, case) for where, case in cases.items()}
        refusals = sum(outcome is None for outcome in outcomes.values())
        faults = [f"{where}: {fault}" for where, fault in outcomes.items() if fault]
        yield Finding(invariant, family, len(cases) - refusals, faults, refusals)


def report(reducer: Reducer, findings: Sequence[Finding]) -> int:
    """Print a table and the faults; return the number of faults."""
    console = Console()
    table = Table(title=Text(visible(f"invariants of {reducer}"), style="italic"))
    table.add_column("family", no_wrap=True)
    for number in range(1, len(INVARIANTS) + 1):
        table.add_column(str(number), justify="right")
    table.add_column("refused", justify="right")
    for family in FAMILIES:
        row = [finding for finding in findings if finding.family == family]
        table.add_row(family, *map(_cell, row), str(sum(finding.refusals for finding in row) or ""))
    console.print(table)
    names = (f"{number} {name.replace('_', ' ')}" for number, name in enumerate(INVARIANTS, 1))
    console.print("; ".join(names) + ". Cases that hold / cases.")
    for family, reason in {finding.family: finding.impossible for finding in findings if finding.impossible}.items():
        console.print(Text(visible(f"impossible on {family}: {reason}")))
    faults = [(finding, fault) for finding in findings for fault in finding.faults]
    for finding, fault in faults:
        console.print(Text(visible(f"{finding.invariant} on {finding.family}, {fault}")))
    return len(faults)


def _cell(finding: Finding) -> str:
    return "–" if finding.impossible else f"{finding.cases - len(finding.faults)}/{finding.cases}"
