"""What a method's class declares, read from its source: importing it would load torch, which takes seconds."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from typing import Any

from winnow.harness.common.sources import module_file
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.schedule import SCHEDULES

NONE = "none"
_KINDS = {cls.__name__: kind for kind, cls in SCHEDULES.items()}


@dataclass(frozen=True)
class Declared:
    """What composing has to know of a class.

    Attributes
    ----------
    schedules : tuple of str
        The kinds that its field `schedule` takes; empty: it has none.
    takes_ratio : bool
        Whether it has a field `ratio`.
    ratio : float or None
        The default of that.
    native : tuple of str
        See `Reducer.native`.
    seeded, needs_relevance : bool
        See `Reducer`.
    """

    schedules: tuple[str, ...] = ()
    takes_ratio: bool = False
    ratio: float | None = None
    native: tuple[str, ...] = ()
    seeded: bool = False
    needs_relevance: bool = False


@cache
def declared(target: str) -> Declared:
    """Read a class of Winnow's own.

    Parameters
    ----------
    target : str
        As ``module:Class``. Its bases are followed as far as they lie in `winnow.reducers`.

    Raises
    ------
    WinnowError
        If one of the attributes in question is not a literal, or has no value.
    """
    body = _body(*target.split(":"))

    def literal(name: str) -> Any:
        try:
            return ast.literal_eval(body[name].value)  # type: ignore[arg-type]
        except (ValueError, TypeError) as error:
            raise WinnowError(f"{target} gives {name} no literal value, which composing has to read") from error

    schedule = body.get("schedule")
    takes_ratio = "ratio" in body
    return Declared(
        schedules=() if schedule is None else _kinds(schedule.annotation),
        takes_ratio=takes_ratio,
        ratio=literal("ratio") if takes_ratio else None,
        native=literal("native"),
        seeded=literal("seeded"),
        needs_relevance=literal("needs_relevance"),
    )


def _body(module: str, name: str) -> dict[str, ast.AnnAssign]:
    """The annotated names of a class and its bases; the class itself wins."""
    tree = _tree(module)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    imported = {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    found: dict[str, ast.AnnAssign] = {}
    for base in reversed(classes[name].bases):
        home, original = imported.get(ast.unparse(base), (module, ast.unparse(base)))
        if home.startswith("winnow.reducers"):
            found |= _body(home, original)
    own = (node for node in classes[name].body if isinstance(node, ast.AnnAssign))
    return found | {node.target.id: node for node in own if isinstance(node.target, ast.Name)}


@cache
def _tree(module: str) -> ast.Module:
    path = module_file(module)
    assert path is not None
    return ast.parse(path.read_text())


def _kinds(annotation: ast.expr) -> tuple[str, ...]:
    """The kinds of schedule that an annotation names, ``none`` first where None is allowed."""
    named = [node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)]
    optional = any(isinstance(node, ast.Constant) and node.value is None for node in ast.walk(annotation))
    return (*([NONE] if optional else []), *(_KINDS[name] for name in named))
