"""What a class declares, read from its source: importing it would load torch or transformers, which takes seconds."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from winnow.harness.common.sources import module_file, parse_file
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.schedule import SCHEDULES

NONE = "none"
REDUCTION, POSITIONS = "winnow.reducers.core.reduction", "Positions"
"""Where the ways to number what is left are listed, for methods that take all of them."""
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
    checkpoints : tuple of str
        See `Reducer.checkpoints`.
    positions : tuple of str
        The ways to number what is left that its field `positions` takes; empty: it has none.
    """

    schedules: tuple[str, ...] = ()
    takes_ratio: bool = False
    ratio: float | None = None
    native: tuple[str, ...] = ()
    seeded: bool = False
    needs_relevance: bool = False
    checkpoints: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()


@cache
def declared(target: str) -> Declared:
    """Read a class of Winnow's own, or of a package that offers methods.

    Parameters
    ----------
    target : str
        As ``module:Class``. Its bases are followed as far as their source can be found.

    Raises
    ------
    WinnowError
        If one of the attributes in question is not a literal, or has no value; or if its file is no Python.
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
        schedules=_kinds(schedule.annotation) if isinstance(schedule, ast.AnnAssign) else (),
        takes_ratio=takes_ratio,
        ratio=literal("ratio") if takes_ratio else None,
        native=literal("native"),
        seeded=literal("seeded"),
        needs_relevance=literal("needs_relevance"),
        checkpoints=literal("checkpoints"),
        positions=_texts(body["positions"]) if "positions" in body else (),
    )


def literals(target: str, names: Sequence[str]) -> dict[str, Any]:
    """Read attributes of a class, ``module:Class``, whose values are literals."""
    body = _body(*target.split(":"))
    return {name: ast.literal_eval(body[name].value) for name in names}  # type: ignore[arg-type]


def _body(module: str, name: str) -> dict[str, ast.Assign | ast.AnnAssign]:
    """The names that a class and its bases give values or annotations; the class itself wins."""
    tree = _tree(module)
    if tree is None:
        return {}
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    imported = {
        alias.asname or alias.name: (_absolute(node, module), alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    if name not in classes:
        return _body(*imported[name]) if name in imported else {}
    found: dict[str, ast.Assign | ast.AnnAssign] = {}
    for base in map(ast.unparse, reversed(classes[name].bases)):
        found |= _body(*imported.get(base, (module, base)))
    return found | dict(_assigned(classes[name]))


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, ast.Assign | ast.AnnAssign]]:
    for each in node.body:
        if isinstance(each, ast.Assign | ast.AnnAssign):
            target = each.target if isinstance(each, ast.AnnAssign) else each.targets[0]
            if isinstance(target, ast.Name):
                yield target.id, each


def _absolute(node: ast.ImportFrom, module: str) -> str:
    """The module that an import names; dots in front count from the importing one."""
    parents = module.split(".")[: -node.level] if node.level else []
    return ".".join([*parents, *([node.module] if node.module else [])])


@cache
def _tree(module: str) -> ast.Module | None:
    path = module_file(module)
    return None if path is None else parse_file(path)


def _texts(node: ast.Assign | ast.AnnAssign) -> tuple[str, ...]:
    """The texts that a field's annotation names, itself or by the name of all positions."""
    annotation: ast.AST = node.annotation if isinstance(node, ast.AnnAssign) else node
    tree = _tree(REDUCTION)
    if any(isinstance(part, ast.Name) and part.id == POSITIONS for part in ast.walk(annotation)) and tree is not None:
        annotation = next(
            one.value for one in tree.body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == POSITIONS
        )
    found = (part.value for part in ast.walk(annotation) if isinstance(part, ast.Constant))
    return tuple(value for value in found if isinstance(value, str))


def _kinds(annotation: ast.expr) -> tuple[str, ...]:
    """The kinds of schedule that an annotation names, ``none`` first where None is allowed."""
    named = [node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)]
    optional = any(isinstance(node, ast.Constant) and node.value is None for node in ast.walk(annotation))
    return (*([NONE] if optional else []), *(_KINDS[name] for name in named))
