"""What is for type checkers alone: no fault in it changes anything that runs."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

Place = tuple[int, int]
"""A line, from 1, and a column, from 0."""


@cache
def unrun(path: Path) -> list[tuple[Place, Place]]:
    """Where a module holds annotations, and `if TYPE_CHECKING:` with its condition.

    Returns
    -------
    list of pair of Place
        The first place of each, and the one behind its last.
    """
    found: list[tuple[ast.AST, ast.AST]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.returns:
            found.append((node.returns, node.returns))
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            found.append((node.annotation, node.annotation))
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            found.append((node.test, node.body[-1]))
    return [(_start(first), _end(last)) for first, last in found]


def _start(node: Any) -> Place:
    return node.lineno, node.col_offset


def _end(node: Any) -> Place:
    return node.end_lineno, node.end_col_offset
