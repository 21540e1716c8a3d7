"""Builds a paper's table: ours, printed, difference, and what the statistics say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from winnow.harness.config.preset import PaperRow, Preset, Words
from winnow.harness.config.preset_cells import planned
from winnow.harness.config.preset_runs import choice
from winnow.harness.config.printed import AVERAGE, MODELLED, SHARE, SPEEDUP, Printed, columns, group, label, printed
from winnow.harness.plan.identity import method_inputs
from winnow.harness.results.paper import gate
from winnow.harness.results.paper.cell import EXECUTED, Entry, Line, Table
from winnow.harness.results.paper.missing import commands
from winnow.harness.results.paper.modelled import Modelled, cell_of_row, cost_of_row
from winnow.harness.results.paper.significance import best, compared, retained
from winnow.harness.results.paper.values import Value, average, img_memory, scored
from winnow.harness.results.tables.measured import method_key, times
from winnow.harness.run.result import Result
from winnow.harness.score.paired_runs import replays


def build(preset: Preset, results: Sequence[Result], folder: Path, smoke: bool = False, extra: Words = ()) -> Table:
    """Build a table from the runs that there are.

    Parameters
    ----------
    preset : Preset
    results : sequence of dict
        All finished runs.
    folder : Path
        Where they lie.
    smoke : bool
        The runs of ``smoke=true``.
    extra : tuple of str
        Overrides that its runs were made with.
    """
    from winnow.harness.plan.identity import settings_of

    found = planned(preset, (), smoke, extra) if preset.tasks else []
    by_settings = {result["settings"]: result for result in results if result["status"] == "complete"}
    runs: dict[str, dict[str, Result]] = {row.key: {} for row in preset.rows}
    for each in found:
        result = by_settings.get(settings_of(each.cell))
        if result:
            runs[each.part.row][each.part.task] = result
    numbers = printed(preset)
    wanted = {(each.part.row, each.part.task) for each in found}
    lines = [_line(preset, row, runs, numbers, wanted, smoke, extra) for row in _ordered(preset)]
    names = [*columns(preset)]
    if any(EXECUTED in line.entries for line in lines):
        names.insert(names.index("FLOPs") + 1, EXECUTED)
    lines = compared(preset, lines, replays(results), folder)
    lines = best([retained(preset, line, lines) for line in lines], names)
    gates = gate.check(preset, lines) if not smoke else []
    words = [*(["smoke=true"] if smoke else []), *extra]
    ordered = sorted({each.cell.method.name for each in found if _by_place(each.cell.method.args)})
    missing = commands(preset, found, runs, replays(results), words, folder)
    return Table(preset, names, lines, smoke, gates, missing, ordered)


def _by_place(args: Mapping[str, Any]) -> bool:
    """Whether a method sorts what is left by place, where its released code does not; null is as the variant says."""
    return "order" in args and (args["order"] or args.get("variant")) in ("raster", "mended")


def _ordered(preset: Preset) -> list[PaperRow]:
    """As printed; further settings of a printed row behind it, rows of ours at the end."""
    return sorted(preset.rows, key=lambda row: row.row or len(preset.rows) + 1)


def _line(
    preset: Preset,
    row: PaperRow,
    runs: Mapping[str, Mapping[str, Result]],
    numbers: Mapping[tuple[str, str], Printed],
    wanted: set[tuple[str, str]],
    smoke: bool,
    extra: Words,
) -> Line:
    entries: dict[str, Entry] = {}
    have = runs[row.key]
    costs = {way: cost_of_row(preset, row, smoke, extra, way) for way in (True, False)} if _modelled(numbers) else {}
    for name in columns(preset):
        cell, target = numbers.get((row.key, name)), preset.tasks.get(name)
        if cell is None and preset.pivot:
            continue
        if target is not None:
            task = choice(target)
            value = scored(have[task], target) if task in have else None
            entries[name] = Entry(value, cell, missing=task not in have and (row.key, task) in wanted)
        elif name in MODELLED:
            entries[name] = Entry(_cost(name, costs.get(True), _unit(cell)), cell)
        elif name == SHARE:
            entries[name] = Entry(img_memory(list(have.values())), cell, missing=bool(row.set) and not have)
        elif name == SPEEDUP:
            entries[name] = Entry(_speedup(preset, row, smoke, extra), cell)
    if AVERAGE in columns(preset):
        values = [e.ours for n, e in entries.items() if n in preset.tasks and _unit(e.printed) == "%"]
        entries[AVERAGE] = Entry(average(values), numbers.get((row.key, AVERAGE)))
    planned_, executed = costs.get(True), costs.get(False)
    if planned_ and executed and abs(planned_.tflops - executed.tflops) > 1e-9 * planned_.tflops:
        entries[EXECUTED] = Entry(_cost("FLOPs", executed, _unit(numbers.get((row.key, "FLOPs")))))
    return Line(row, row.label or label(preset, row), group(preset, row), entries, dict(have))


def _speedup(preset: Preset, row: PaperRow, smoke: bool, extra: Words) -> Value | None:
    """Measured alone: how many times sooner the first token comes."""
    cell = cell_of_row(preset, row, smoke, extra)
    if cell is None:
        return None
    time = times().get((cell.model.name, method_key(method_inputs(cell.method))))
    return Value(1.0 if row.base else time.speedup) if time else None


def _modelled(numbers: Mapping[tuple[str, str], Printed]) -> bool:
    return any(name in MODELLED for _, name in numbers)


def _unit(cell: Printed | None) -> str:
    return cell.unit if cell else "%"


def _cost(name: str, found: Modelled | None, unit: str) -> Value | None:
    if found is None:
        return None
    tflops = found.tflops * (1e3 if unit == "GB" and name == "FLOPs" else 1)
    mean = dict(zip(MODELLED, (tflops, found.ms, found.gigabytes, found.stored), strict=True))[name]
    return None if mean is None else Value(mean)
