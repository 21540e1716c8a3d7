"""What there is to know of each method without running it: the registry behind ``winnow methods`` and the pages."""

from __future__ import annotations

import ast
import inspect
from contextlib import suppress
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from winnow import configs
from winnow.harness.config.choices import listed, options
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError, WinnowError, choose
from winnow.reducers.core.probes import LookAhead, PageRank, PeakRows, Probe, Raters, Rows
from winnow.reducers.core.registry import METHODS, find
from winnow.reducers.core.site import Kind
from winnow.reducers.core.tower import ClsLogits, ClsRow, ColumnMean, Headless, JoinedHeads, Tower, TowerProbe

DEPTH = 32
TOWERS = [Tower(24, 23, 24, 24, cls=True), Tower(26, 26, 27, 27, cls=False)]
ATTENTION = (Rows, PeakRows, Raters, PageRank, LookAhead, ClsLogits, JoinedHeads, ClsRow, ColumnMean, Headless)
"""Statistics that the released codes read off attention matrices, which fused kernels do not give."""


UNKNOWN = "not looked up"
"""What stands for the licence of released code whose source file does not tell it."""


def methods() -> dict[str, Reducer]:
    """Every method of Winnow's own that works without further arguments, by its name, with its defaults."""
    targets = {name: listed("reducer", name).get("_target_") for name in sorted(METHODS) if name in options("reducer")}
    return {name: find(target)() for name, target in targets.items() if target}


def sites(reducer: Reducer) -> list[str]:
    """Kinds of places where a method acts, on towers with and without a CLS token."""
    kinds = {site.kind for tower in TOWERS for site in reducer.sites(DEPTH, tower)}
    return [kind for kind in get_args(Kind) if kind in kinds]


def probes(reducer: Reducer) -> list[Probe | TowerProbe]:
    """The statistics that a method asks the engine for."""
    asked: list[Probe | TowerProbe] = [probe for probe, _ in reducer.probes(DEPTH)]
    asked += [probe for tower in TOWERS for probe in _read(reducer, tower)]
    return list(dict.fromkeys(asked))


def _read(reducer: Reducer, tower: Tower) -> list[TowerProbe]:
    """What a method reads of a vision tower, if it can read such a one."""
    with suppress(UnsupportedError):
        return [probe for probe, _ in reducer.tower_probes(tower)]
    return []


def choices(reducer: Reducer) -> dict[str, tuple[str, ...]]:
    """Options with a fixed set of values: most of them are places where paper and code part."""
    hints = get_type_hints(type(reducer))
    found = {field.name: _choices(hints[field.name]) for field in fields(reducer)}
    return {name: values for name, values in found.items() if values}


def _choices(hint: Any) -> tuple[str, ...]:
    """The values of a Literal, or of one that may be None."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return next((get_args(part) for part in get_args(hint) if get_origin(part) is Literal), ())


def described(name: str, reducer: Reducer) -> dict[str, Any]:
    """One method of the registry, in types that JSON knows.

    Parameters
    ----------
    name : str
        Its name.
    reducer : Reducer
        The method with its defaults.

    Returns
    -------
    dict
        ``name, class, does, paper, venue, code, licence, sites, probes, adaptive, by_frame, seeded, attention_free,
        native, knobs``. ``licence``: of the released code; ``none`` where it has none, ``not looked up`` where nobody
        has looked. ``attention_free``: the method needs no attention weights, so that its released code, too, can
        run on fused kernels (Winnow computes what it needs beside any kernel). ``knobs``: of each field ``default``,
        ``choices`` (empty: any value) and ``says``, what its YAML says of it.
    """
    source = listed("reducer", name).get("_source_", {})
    return {
        "name": name,
        "class": type(reducer).__qualname__,
        "does": summary(reducer),
        **{key: source.get(key) for key in ("paper", "venue", "code")},
        "licence": source.get("licence", UNKNOWN if "code" in source else None),
        "sites": sites(reducer),
        "probes": [repr(probe) for probe in probes(reducer)],
        "adaptive": reducer.adaptive,
        "by_frame": reducer.by_frame,
        "seeded": reducer.seeded,
        "attention_free": not any(isinstance(probe, ATTENTION) for probe in probes(reducer)),
        "native": list(reducer.native),
        "knobs": _knobs(name, reducer),
    }


def summary(reducer: Reducer) -> str:
    """The first line of the method's file."""
    module = inspect.getmodule(type(reducer))
    doc = ast.get_docstring(ast.parse(inspect.getsource(module))) if module else None
    return (doc or "").partition("\n")[0]


def _knobs(name: str, reducer: Reducer) -> dict[str, dict[str, Any]]:
    said, offered = _comments(name), choices(reducer)
    return {
        field.name: {
            "default": _plain(getattr(reducer, field.name)),
            "choices": list(offered.get(field.name, ())),
            "says": said.get(field.name, ""),
        }
        for field in fields(reducer)
    }


def _plain(value: Any) -> Any:
    """In a type that JSON knows; a schedule as its numbers."""
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def _comments(name: str) -> dict[str, str]:
    """What the YAML says behind each key, and of the ratio on its first line."""
    text = (configs.FOLDER / "reducer" / f"{name}.yaml").read_text(encoding="utf-8")
    lines = (line.partition(":") for line in text.splitlines() if line[:1].isalpha() and " # " in line)
    found = {key: rest.partition(" # ")[2] for key, _, rest in lines}
    first = text.partition("\n")[0]
    return found | ({"ratio": first.partition(": ")[2]} if first.startswith("# ratio: ") else {})


def registry(names: list[str]) -> list[dict[str, Any]]:
    """The methods of these names, or all.

    Raises
    ------
    WinnowError
        For a name that is none.
    """
    known = methods()
    for name in names:
        if name not in known:
            raise WinnowError(f"unknown method '{name}': {choose(name, known)}")
    return [described(name, known[name]) for name in names or known]
