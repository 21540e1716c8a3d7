"""What a paper's table lacks, and the commands that fill it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from winnow.harness.config.preset import Preset
from winnow.harness.config.preset_cells import UNCONTROLLED, Planned
from winnow.harness.results.paper.values import scored
from winnow.harness.run.result import Result

FOLDER = Path("results/runs")
"""Where runs go if nothing else is said."""
Runs = Mapping[str, Mapping[str, Result]]


def commands(
    preset: Preset,
    found: Sequence[Planned],
    runs: Runs,
    random: Mapping[str, Result],
    words: Sequence[str],
    folder: Path,
) -> dict[str, str]:
    """Name what is missing: the whole, rows, single benchmarks, random controls, a judge's scores.

    Parameters
    ----------
    preset : Preset
    found : sequence of Planned
        The runs of the table.
    runs : mapping
        Row -> task -> result, of those that are there.
    random : mapping
        Run -> its replay at random.
    words : sequence of str
        Overrides that the runs of the table were made with.
    folder : Path
        Where they lie.

    Returns
    -------
    dict
        What is missing -> the command.
    """
    elsewhere = folder != FOLDER and not any(word.startswith("results=") for word in words)
    command = f"python run.py experiment={preset.name}"
    tail = "".join(f" {word}" for word in [*words, *([f"results={folder}"] if elsewhere else [])])
    missing = sorted({(each.part.row, each.part.task) for each in found if each.part.task not in runs[each.part.row]})
    if missing and len(missing) == len({(each.part.row, each.part.task) for each in found}):
        return {"the whole table": command + tail}
    wanted = {}
    for row in dict.fromkeys(key for key, _ in missing):
        tasks = [task for key, task in missing if key == row]
        part = row if not runs[row] else f"[{','.join([row, *tasks])}]"
        wanted[f"{row}: {', '.join(tasks)}"] = f"{command} only={part}{tail}"
    lacking = _uncontrolled(preset, runs, random)
    if lacking:
        all_of_them = lacking == [row.key for row in preset.rows if runs[row.key] and not row.base]
        only = "" if all_of_them else f" only=[{','.join(lacking)}]"
        wanted[f"random at equal budget ({', '.join(lacking)})"] = f"{command}{only} controls=true{tail}"
    unjudged = dict.fromkeys(_unjudged(preset, runs))
    if unjudged:
        place = f" --results {folder}" if folder != FOLDER else ""
        wanted["scores by a language model"] = " && ".join(f"winnow judge {run}{place}" for run in unjudged)
    return wanted


def _uncontrolled(preset: Preset, runs: Runs, random: Mapping[str, Result]) -> list[str]:
    return [
        row.key
        for row in preset.rows
        if any(r["reducer"] not in UNCONTROLLED and r["id"] not in random for r in runs[row.key].values())
    ]


def _unjudged(preset: Preset, runs: Runs) -> Iterator[str]:
    judged = {target.removesuffix(":score") for target in preset.tasks.values() if target.endswith(":score")}
    for row in preset.rows:
        for task, result in runs[row.key].items():
            if task in judged and scored(result, f"{task}:score") is None:
                yield result["id"]
