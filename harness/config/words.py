"""The words that ask for a cell: the command line of a run, made again from its settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.choices import listed, options
from winnow.harness.config.compose import CUSTOM, REPLAYS, Settings, cell_at
from winnow.harness.config.compose_parts import PARTS
from winnow.harness.config.expand import each
from winnow.harness.config.hydra_api import hydra
from winnow.reducers.core.errors import WinnowError

PLAIN = re.compile(r"[A-Za-z_./:@-][\w./:@-]*")
WORDS = {"null", "true", "false", "nan", "inf"}


def words_of(cells: Sequence[Cell]) -> list[list[str]]:
    """Give the overrides of `run.py` that make each cell.

    Parameters
    ----------
    cells : sequence of Cell

    Returns
    -------
    list of list of str
        In the same order; empty where no words of this version make the cell, as each list is composed and compared.
    """
    chosen = [_choices(cell) for cell in cells]
    first = {choice: cell for choice, cell in zip(chosen, cells, strict=True) if choice}
    bases = dict(zip(first, _composed([*first], [*first.values()]), strict=True))
    words = [
        [*choice, *_changes(base, cell)] if (base := bases.get(choice)) else []
        for choice, cell in zip(chosen, cells, strict=True)
    ]
    made = _composed(words, cells)
    return [said if _same(one, cell) else [] for said, one, cell in zip(words, made, cells, strict=True)]


def _same(one: Cell | None, cell: Cell) -> bool:
    """Whether two cells measure the same, wherever that is kept."""
    return one is not None and replace(one, results=cell.results, force=cell.force, tracker=cell.tracker) == cell


def _choices(cell: Cell) -> tuple[str, ...]:
    """The groups' options; nothing if there is none of such a name."""
    found = {
        "model": cell.model.name, "reducer": cell.method.name, "tasks": cell.tasks.name, "share": cell.share.name,
    }  # fmt: skip
    there = all(name in options(group) for group, name in found.items())
    words = [f"{group}={name}" for group, name in found.items() if name != "trunk"] if there else []
    if there and cell.method.name == CUSTOM:
        words.append(f"reducer.target={said(cell.method.target)}")
    if there and "like" in cell.method.args:
        words.append(f"reducer.like={said(cell.method.args['like'])}")
    return tuple(words)


def _composed(lists: Sequence[Sequence[str]], cells: Sequence[Cell]) -> list[Cell | None]:
    """Compose words, where the runs lie that they may name; None where they make no cell."""
    found: list[Cell | None] = []
    known: dict[tuple[int, tuple[str, ...]], Settings] = {}
    with hydra():
        for job in each(
            [[*words, f"results={said(str(one.results))}"] for words, one in zip(lists, cells, strict=True)]
        ):
            found.append(None)
            with suppress(WinnowError), hydra():  # which turns its own errors into ours
                found[-1] = cell_at(job, known)
    return found


def _changes(base: Cell, cell: Cell) -> Iterator[str]:
    """What has to be set beside the groups."""
    for name in ("model", "tasks", "downsample", "stress", "media", "share", "budget"):
        yield from _values(name, asdict(getattr(base, name)), asdict(getattr(cell, name)))
    yield from _method(base.method, cell.method)
    for name in ("seed", "batch_size", "limit"):
        yield from _values("", {name: getattr(base, name)}, {name: getattr(cell, name)})


def _method(base: Method, method: Method) -> Iterator[str]:
    if method.name == CUSTOM:
        yield from (f"+reducer.args.{name}={said(value)}" for name, value in method.args.items())
    elif method.target not in REPLAYS:
        yield from _values("reducer", base.args, method.args)
    for place, part in zip(PARTS, method.parts, strict=False):
        yield from (f"reducer.{place}.{word}" for word in _part(part))
    if method.target not in REPLAYS and not method.parts and method.schedule != base.schedule:
        yield from _schedule(method.schedule)
    if method.ratio is not None:
        yield f"ratio={said(method.ratio)}"


def _part(method: Method) -> Iterator[str]:
    """A part of a composed method, with every setting."""
    yield f"name={said(method.name)}"
    if method.ratio is not None:
        yield f"ratio={said(method.ratio)}"
    default = listed("reducer", method.name)
    yield from _values("", {key: default.get(key) for key in method.args}, method.args)
    yield from _values("schedule", {"kind": None, "of": None}, method.schedule or {})


def _schedule(schedule: Mapping[str, Any] | None) -> Iterator[str]:
    kind = "none" if schedule is None else schedule["kind"]
    yield f"schedule={kind}"
    yield from _values("schedule", listed("schedule", kind), schedule or {})


def _values(prefix: str, base: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """The leaves that are other ones; a list and a mapping that grew are set as a whole."""
    for key, value in wanted.items():
        path = f"{prefix}.{key}" if prefix else key
        had = base.get(key)
        if isinstance(value, dict) and isinstance(had, dict) and set(value) == set(had):
            yield from _values(path, had, value)
        elif had != value:
            yield f"{path}={said(value)}"


def said(value: Any) -> str:
    """A value as Hydra's grammar reads it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(map(said, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{said(str(key))}:{said(item)}' for key, item in value.items())}}}"
    text = str(value)
    if not isinstance(value, str) or (PLAIN.fullmatch(text) and text.lower() not in WORDS):
        return text
    escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), text)
    return f"'{escaped}'"
