"""The runs of a table: which rows on which benchmarks, and the overrides that make each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from winnow.harness.config.preset import PaperRow, Preset, Words
from winnow.reducers.core.errors import WinnowError


@dataclass(frozen=True)
class Part:
    """One run of a table: a row on one benchmark."""

    row: str
    task: str
    words: Words


def merge(words: Iterable[str]) -> Words:
    """Let later overrides of a key replace earlier ones; a group's choice comes before its settings."""
    last = {word.partition("=")[0]: word for word in words}
    return tuple(sorted(last.values(), key=lambda word: "." in word.partition("=")[0]))


def overrides(preset: Preset, row: PaperRow, smoke: bool = False, extra: Sequence[str] = ()) -> Words:
    """The overrides that make a row, without its task."""
    own = [*preset.set, *row.set]
    if smoke:
        own = [word for word in own if not word.startswith(("model=", "model.", "tasks."))]
        own += [*preset.smoke, *row.smoke]
    if any(word.startswith("tasks=") for word in extra):
        own = [word for word in own if not word.startswith("tasks.")]
    return merge([*own, *extra])


def choice(target: str) -> str:
    """The task choice of a column's target ``choice:metric``."""
    return target.partition(":")[0]


def parts(
    preset: Preset, columns: Mapping[str, Sequence[str]], only: Sequence[str], smoke: bool, extra: Words
) -> Iterator[Part]:
    """Expand a table, or a part of it, to runs.

    Parameters
    ----------
    preset : Preset
    columns : dict
        Row -> its columns that are benchmarks.
    only : sequence of str
        Rows and tasks to choose; empty: all.
    smoke : bool
    extra : tuple of str
        Overrides that go on top.

    Raises
    ------
    WinnowError
        If `only` names neither a row nor a task, or what cannot be run.
    """
    tasks = list(dict.fromkeys(map(choice, preset.tasks.values())))
    keys = [row.key for row in preset.rows]
    for name in only:
        if name not in keys and name not in tasks:
            raise WinnowError(
                f"only={name} is no part of {preset.name}: choose rows {', '.join(keys)} or tasks {', '.join(tasks)}"
            )
    chosen, wanted = [n for n in only if n in keys], [n for n in only if n in tasks]
    for row in preset.rows:
        if chosen and row.key not in chosen:
            continue
        if not row.set:
            if row.key in chosen:
                raise WinnowError(f"only={row.key} cannot be run: {row.published}")
            continue
        for task in dict.fromkeys(choice(preset.tasks[column]) for column in columns[row.key]):
            if not wanted or task in wanted:
                yield Part(row.key, task, merge([f"tasks={task}", *overrides(preset, row, smoke, extra)]))
