"""Builds a paper's table: ours, printed, difference, and what the statistics say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.drop import BASELINE, replays
from harness.paper import gate
from harness.paper.cells import UNCONTROLLED, Planned, planned
from harness.paper.modelled import Modelled, cost_of_row
from harness.paper.paired import Compared, compare
from harness.paper.preset import Preset, Row, Words, choice
from harness.paper.published import AVERAGE, MODELLED, SHARE, SPEEDUP, Printed, columns, group, label, printed
from harness.paper.values import Value, img_memory, scored
from harness.stats import holm

Result = dict[str, Any]
EXECUTED = "FLOPs as executed"
LEVEL = 0.05


@dataclass(frozen=True)
class Entry:
    """One cell of a table.

    Attributes
    ----------
    ours : Value or None
    printed : Printed or None
    base, random : Compared or None
        Our run against the unreduced one, and against random dropping at equal budget.
    p_base, p_random : float or None
        Their p values, adjusted over the table (Holm).
    best : bool
        Whether it is the best of its group.
    missing : bool
        Whether a run would fill it.
    """

    ours: Value | None = None
    printed: Printed | None = None
    base: Compared | None = None
    random: Compared | None = None
    p_base: float | None = None
    p_random: float | None = None
    best: bool = False
    missing: bool = False

    @property
    def difference(self) -> float | None:
        """Ours minus printed."""
        known = self.ours is not None and self.printed is not None and self.printed.value is not None
        return self.ours.mean - self.printed.value if known else None  # type: ignore[union-attr, operator]

    @property
    def lost(self) -> bool:
        """Whether it differs from the unreduced run, all comparisons of the table considered."""
        return self.p_base is not None and self.p_base < LEVEL

    @property
    def like_random(self) -> bool:
        """Whether it cannot be told from random dropping at equal budget."""
        return self.p_random is not None and not self.p_random < LEVEL


@dataclass(frozen=True)
class Line:
    """One row of a table; `retained` is its accuracy in per cent of the unreduced run's, over all benchmarks."""

    row: Row
    label: str
    group: str
    entries: dict[str, Entry]
    runs: dict[str, Result]
    retained: float | None = None


@dataclass(frozen=True)
class Table:
    """A paper's table; `gates` say where its unreduced runs are off, `commands` what would fill what is missing."""

    preset: Preset
    columns: list[str]
    lines: list[Line]
    smoke: bool = False
    gates: list[str] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)


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
    from harness.identity import identify

    found = planned(preset, (), smoke, extra) if preset.tasks else []
    by_settings = {result["settings"]: result for result in results if result["status"] == "complete"}
    runs: dict[str, dict[str, Result]] = {row.key: {} for row in preset.rows}
    for each in found:
        result = by_settings.get(identify(each.cell).settings)
        if result:
            runs[each.part.row][each.part.task] = result
    numbers = printed(preset)
    wanted = {(each.part.row, each.part.task) for each in found}
    lines = [_line(preset, row, runs, numbers, wanted, smoke, extra) for row in _ordered(preset)]
    names = [*columns(preset)]
    if any(EXECUTED in line.entries for line in lines):
        names.insert(names.index("FLOPs") + 1, EXECUTED)
    lines = _compared(preset, lines, replays(results), folder)
    lines = _best([_retained(preset, line, lines) for line in lines], names)
    gates = gate.check(preset, lines) if not smoke else []
    return Table(preset, names, lines, smoke, gates, _commands(preset, found, runs, replays(results), smoke, extra))


def _ordered(preset: Preset) -> list[Row]:
    """As printed; further settings of a printed row behind it, rows of ours at the end."""
    return sorted(preset.rows, key=lambda row: row.row or len(preset.rows) + 1)


def _line(
    preset: Preset,
    row: Row,
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
            entries[name] = Entry(value, cell, missing=value is None and (row.key, task) in wanted)
        elif name in MODELLED:
            entries[name] = Entry(_cost(name, costs.get(True), _unit(cell)), cell)
        elif name == SHARE:
            entries[name] = Entry(img_memory(list(have.values())), cell, missing=bool(row.set) and not have)
        elif name == SPEEDUP:
            entries[name] = Entry(None, cell)
    if AVERAGE in columns(preset):
        values = [e.ours for n, e in entries.items() if n in preset.tasks and _unit(e.printed) == "%"]
        full = [value.mean for value in values if value is not None]
        mean = Value(sum(full) / len(full)) if values and len(full) == len(values) else None
        entries[AVERAGE] = Entry(mean, numbers.get((row.key, AVERAGE)))
    planned_, executed = costs.get(True), costs.get(False)
    if planned_ and executed and abs(planned_.tflops - executed.tflops) > 1e-9 * planned_.tflops:
        entries[EXECUTED] = Entry(Value(executed.tflops))
    return Line(row, row.label or label(preset, row), group(preset, row), entries, dict(have))


def _modelled(numbers: Mapping[tuple[str, str], Printed]) -> bool:
    return any(name in MODELLED for _, name in numbers)


def _unit(cell: Printed | None) -> str:
    return cell.unit if cell else "%"


def _cost(name: str, found: Modelled | None, unit: str) -> Value | None:
    if found is None:
        return None
    tflops = found.tflops * (1e3 if unit == "GB" and name == "FLOPs" else 1)
    return Value(dict(zip(MODELLED, (tflops, found.ms, found.gigabytes, found.stored), strict=True))[name])


def base_of(lines: Sequence[Line], line: Line) -> Line | None:
    """The unreduced row of the same base model: the last one above, or else the first one."""
    model = _model(line)
    bases = [other for other in lines if other.row.base and (_model(other) == model or not model)]
    frames = [other for other in bases if _frames(other) == _frames(line)]
    return next(iter(frames or bases), None)


def _model(line: Line) -> str:
    return next((word for word in line.row.set if word.startswith("model=")), "")


def _frames(line: Line) -> str:
    return next((word for word in line.row.set if word.startswith("model.frames=")), "")


def _compared(preset: Preset, lines: list[Line], random: Mapping[str, Result], folder: Path) -> list[Line]:
    """Compare every run with the unreduced one and with its random replay; adjust over the table."""
    done = [_compare_line(preset, line, base_of(lines, line), random, folder) for line in lines]
    for at in ("base", "random"):
        cells = [(i, name) for i, line in enumerate(done) for name, e in line.entries.items() if getattr(e, at)]
        adjusted = holm([getattr(done[i].entries[name], at).difference.p for i, name in cells])
        for (i, name), p in zip(cells, adjusted, strict=True):
            done[i].entries[name] = replace(done[i].entries[name], **{f"p_{at}": p})
    return done


def _compare_line(preset: Preset, line: Line, base: Line | None, random: Mapping[str, Result], folder: Path) -> Line:
    entries = dict(line.entries)
    for name, entry in line.entries.items():
        target = preset.tasks.get(name, "")
        result = line.runs.get(choice(target))
        if result is None or entry.ours is None or result["reducer"] == BASELINE or ":" in target:
            continue
        tasks = tuple(task["task"] for task in result["tasks"])
        others = {"base": base.runs.get(choice(target)) if base else None, "random": random.get(result["id"])}
        found = {
            at: compare(folder / result["id"], folder / other["id"], result, tasks)
            for at, other in others.items()
            if other is not None and other["id"] != result["id"]
        }
        entries[name] = replace(entry, **found)
    return replace(line, entries=entries)


def _retained(preset: Preset, line: Line, lines: Sequence[Line]) -> Line:
    """Accuracy in per cent of the unreduced run's, the mean over the benchmarks that both have."""
    base = base_of(lines, line)
    if base is None or line.row.base or base is line:
        return line
    pairs = [(entry.ours, base.entries[name].ours) for name, entry in line.entries.items() if name in preset.tasks]
    shares = [100 * ours.mean / whole.mean for ours, whole in pairs if ours and whole and whole.mean]
    return replace(line, retained=sum(shares) / len(shares)) if shares else line


def _best(lines: list[Line], names: Sequence[str]) -> list[Line]:
    """Mark the best reduced row of each group and base model in each column."""
    for name in names:
        groups: dict[tuple[str, str], list[Line]] = {}
        for line in lines:
            entry = line.entries.get(name)
            if entry and entry.ours and not line.row.base:
                groups.setdefault((line.group, _model(line)), []).append(line)
        low = name in (*MODELLED, SHARE, EXECUTED)
        for members in groups.values():
            values = [round(line.entries[name].ours.mean, 6) for line in members]  # type: ignore[union-attr]
            for line, value in zip(members, values, strict=True):
                if len(values) > 1 and value == (min(values) if low else max(values)):
                    line.entries[name] = replace(line.entries[name], best=True)
    return lines


def _commands(
    preset: Preset,
    found: Sequence[Planned],
    runs: Mapping[str, Mapping[str, Result]],
    random: Mapping[str, Result],
    smoke: bool,
    extra: Words,
) -> dict[str, str]:
    """What would fill the table: as a whole, a row, or single benchmarks; and the random controls that are missing."""
    tail = "".join(f" {word}" for word in (["smoke=true"] if smoke else []) + list(extra))
    missing = {(each.part.row, each.part.task) for each in found if each.part.task not in runs[each.part.row]}
    if missing and len(missing) == len({(each.part.row, each.part.task) for each in found}):
        return {"the whole table": f"python run.py experiment={preset.name}{tail}"}
    commands = {}
    for row in dict.fromkeys(key for key, _ in sorted(missing)):
        tasks = [task for key, task in sorted(missing) if key == row]
        part = row if not runs[row] else f"[{','.join([row, *tasks])}]"
        commands[f"{row}: {', '.join(tasks)}"] = f"python run.py experiment={preset.name} only={part}{tail}"
    lacking = [
        row.key
        for row in preset.rows
        if any(r["reducer"] not in UNCONTROLLED and r["id"] not in random for r in runs[row.key].values())
    ]
    if lacking:
        run = [row.key for row in preset.rows if runs[row.key] and not row.base]
        part = "" if lacking == run else f" only=[{','.join(lacking)}]"
        what = f"random at equal budget ({', '.join(lacking)})"
        commands[what] = f"python run.py experiment={preset.name}{part} controls=true{tail}"
    return commands
