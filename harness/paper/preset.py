"""A published table as a preset: `configs/experiment/<name>.yaml`, with the overrides that each row stands for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

import configs
from reducers.errors import WinnowError

Words = tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes
    ----------
    key : str
        What ``only=`` calls it.
    row : int or None
        Its number in the published file; None for a row that the paper does not print.
    at : dict
        Further columns of the published file that pick its cells, where one printed row holds several settings.
    set : tuple of str
        The overrides that make it; empty where it cannot be run.
    label : str
        What it is called where the paper's own words do not tell.
    published : str
        Why it cannot be run; its printed numbers are all that there is.
    scheduled : tuple of str or int
        What the paper's FLOPs assume instead: overrides, or a number of visual tokens in every layer.
    smoke : tuple of str
        Overrides for ``smoke=true`` alone.
    tasks : tuple of str
        The columns that are run; empty: all that the paper prints in this row.
    overhead : tuple of str
        Operators of the method itself whose FLOPs the row counts, instead of the LLM's.
    """

    key: str
    row: int | None = None
    at: Mapping[str, str] = field(default_factory=dict)
    set: Words = ()
    label: str = ""
    published: str = ""
    scheduled: Words | int = ()
    smoke: Words = ()
    tasks: Words = ()
    overhead: Words = ()

    @property
    def base(self) -> bool:
        """Whether nothing is reduced."""
        return "reducer=none" in self.set

    @property
    def fused(self) -> bool:
        """Whether attention is one operator; elsewhere the papers count it as three."""
        return "model.attn=flash_attention_2" in self.set


@dataclass(frozen=True)
class Preset:
    """A table.

    Attributes
    ----------
    name, title : str
    published : str or None
        Name of the file with the printed numbers; None for a finding that the paper gives no numbers of.
    tasks : dict
        Printed column -> task choice, or ``choice:metric`` for one of its other metrics.
    set, smoke : tuple of str
        Overrides of every row; those of ``smoke=true`` replace the model.
    rows : tuple of Row
    notes : tuple of str
        What a reader must know.
    pivot : str or None
        Column of the published file whose values stand side by side.
    machine : str
        The card that prefill times are modelled on.
    """

    name: str
    title: str
    published: str | None
    tasks: Mapping[str, str]
    set: Words
    smoke: Words
    rows: tuple[Row, ...]
    notes: Words
    pivot: str | None = None
    machine: str = "a100_40g"

    def find(self, key: str) -> Row:
        """The row of a key."""
        return next(row for row in self.rows if row.key == key)


@dataclass(frozen=True)
class Part:
    """One run of a table: a row on one benchmark."""

    row: str
    task: str
    words: Words


def names() -> list[str]:
    """List the presets that are tables."""
    found = (path for path in (configs.FOLDER / "experiment").glob("*.yaml"))
    return sorted(path.stem for path in found if "\ntable:" in path.read_text(encoding="utf-8"))


def load(name: str) -> Preset:
    """Read a preset.

    Raises
    ------
    WinnowError
        If there is no such table; lists those that there are.
    """
    if name not in names():
        raise WinnowError(f"unknown table '{name}': choose {', '.join(names())}")
    text = (configs.FOLDER / "experiment" / f"{name}.yaml").read_text(encoding="utf-8")
    return parse(name, yaml.safe_load(text)["table"])


def parse(name: str, node: Mapping[str, Any]) -> Preset:
    """Make a preset of the key ``table`` of a configuration."""
    rows = tuple(Row(key, **{k: _frozen(v) for k, v in value.items()}) for key, value in node["rows"].items())
    words = {key: _frozen(node.get(key, [])) for key in ("set", "smoke", "notes")}
    published = node.get("published", name)
    more = {key: node[key] for key in ("pivot", "machine") if key in node}
    return Preset(name, node["title"], published or None, node.get("tasks", {}), rows=rows, **words, **more)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def merge(words: Iterable[str]) -> Words:
    """Let later overrides of a key replace earlier ones; a group's choice comes before its settings."""
    last = {word.partition("=")[0]: word for word in words}
    return tuple(sorted(last.values(), key=lambda word: "." in word.partition("=")[0]))


def overrides(preset: Preset, row: Row, smoke: bool = False, extra: Sequence[str] = ()) -> Words:
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
