"""What the statistics say of a table's rows: paired differences, accuracy retained, the best of each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from winnow.harness.common.errors import leave_out
from winnow.harness.config.preset import Preset
from winnow.harness.config.preset_runs import choice
from winnow.harness.config.printed import MODELLED, SHARE
from winnow.harness.results.paper.cell import EXECUTED, Line
from winnow.harness.run.result import Result
from winnow.harness.score.paired import Compared, compare
from winnow.harness.score.paired_runs import BASELINE
from winnow.harness.score.stats import holm
from winnow.reducers.core.errors import WinnowError


def base_of(lines: Sequence[Line], line: Line) -> Line | None:
    """The first unreduced row of the same base model, if there is one with as many frames; without a model, of any."""
    model = _model(line)
    bases = [other for other in lines if other.row.base and (_model(other) == model or not model)]
    frames = [other for other in bases if _frames(other) == _frames(line)]
    return next(iter(frames or bases), None)


def _model(line: Line) -> str:
    return next((word for word in line.row.set if word.startswith("model=")), "")


def _frames(line: Line) -> str:
    return next((word for word in line.row.set if word.startswith("model.frames=")), "")


def compared(preset: Preset, lines: list[Line], random: Mapping[str, Result], folder: Path) -> list[Line]:
    """Compare every run with the unreduced one and with its random replay; adjust over the table."""
    done = [_compare_line(preset, line, base_of(lines, line), random, folder) for line in lines]
    for at in ("base", "random"):
        cells = [(i, name) for i, line in enumerate(done) for name, e in line.entries.items() if getattr(e, at)]
        adjusted = holm([getattr(done[i].entries[name], at).difference.p for i, name in cells])
        for (i, name), p in zip(cells, adjusted, strict=True):
            known = done[i].entries[name]
            done[i].entries[name] = replace(known, p_base=p) if at == "base" else replace(known, p_random=p)
    return done


def _compare_line(preset: Preset, line: Line, base: Line | None, random: Mapping[str, Result], folder: Path) -> Line:
    entries = dict(line.entries)
    for name, entry in line.entries.items():
        target = preset.tasks.get(name, "")
        result = line.runs.get(choice(target))
        if result is None or result["reducer"] == BASELINE or ":" in target or not entry.ours or entry.ours.text:
            continue
        tasks = tuple(task["task"] for task in result["tasks"])
        others = (base.runs.get(choice(target)) if base else None, random.get(result["id"]))
        found = [_compare(result, other, folder, tasks) for other in others]
        entries[name] = replace(entry, base=found[0], random=found[1])
    return replace(line, entries=entries)


def _compare(result: Result, other: Result | None, folder: Path, tasks: Sequence[str]) -> Compared | None:
    """The difference to another run; none, and told, where the scores of one of them cannot be read."""
    if other is None or other["id"] == result["id"]:
        return None
    try:
        return compare(folder / result["id"], folder / other["id"], result, tasks)
    except WinnowError as error:
        leave_out(error)
        return None


def retained(preset: Preset, line: Line, lines: Sequence[Line]) -> Line:
    """Accuracy in per cent of the unreduced run's, the mean over the benchmarks that both have."""
    base = base_of(lines, line)
    if base is None or line.row.base or base is line:
        return line
    pairs = [(entry.ours, base.entries[name].ours) for name, entry in line.entries.items() if name in preset.tasks]
    shares = [100 * ours.mean / whole.mean for ours, whole in pairs if ours and whole and whole.mean]
    return replace(line, retained=sum(shares) / len(shares)) if shares else line


def best(lines: list[Line], names: Sequence[str]) -> list[Line]:
    """Mark the best reduced row of each group and base model in each column."""
    for name in names:
        groups: dict[tuple[str, str], list[Line]] = {}
        for line in lines:
            entry = line.entries.get(name)
            if entry and entry.ours and not entry.ours.text and not line.row.base and not line.row.overhead:
                groups.setdefault((line.group, _model(line)), []).append(line)
        low = name in (*MODELLED, SHARE, EXECUTED)
        for members in groups.values():
            values = [round(line.entries[name].ours.mean, 6) for line in members]  # type: ignore[union-attr]
            for line, value in zip(members, values, strict=True):
                if len(values) > 1 and value == (min(values) if low else max(values)):
                    line.entries[name] = replace(line.entries[name], best=True)
    return lines
