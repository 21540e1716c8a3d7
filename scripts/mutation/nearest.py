"""The tests that a fault is tried with: those that run its lines, the nearest first."""

from __future__ import annotations

import ast
from functools import cache, partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.mutation.covering import Covering, Ran

if TYPE_CHECKING:
    from cosmic_ray.work_item import MutationSpec

MOST = 20.0
"""Seconds of tests for a fault, as they were measured; a line of the engine is run by thousands."""


def tests_of(fault: MutationSpec, tree: Path, covering: Covering) -> list[str]:
    """Choose tests for a fault.

    What a fixture computed is asserted by the tests that use it, and what a cache holds was computed in the test that
    asked first: all tests of a file count whose fixtures run the lines, and all of the mirrored file if any does. Code
    that runs in processes of its own alone is seen by nobody: there the files named after it, or its folder, count.
    """
    module = fault.module_path
    ran = _ran(fault, tree, covering)
    exact = {one.test for one in ran}
    whole = {_file(one.test) for one in ran if one.setup or Path(_file(one.test)).name == f"test_{module.name}"}
    if not ran:
        mirrors = {f"test_{module.name}", f"test_{module.parent.name}.py"}
        whole = {_file(test) for test in covering.seconds if Path(_file(test)).name in mirrors}
    names = exact | {test for test in covering.seconds if _file(test) in whole}
    return _within(sorted(names, key=partial(_order, module=module, exact=exact, covering=covering)), covering)


def _ran(fault: MutationSpec, tree: Path, covering: Covering) -> set[Ran]:
    """Who runs a line of the fault; any line of its module, for what runs on import, and what nobody is seen to run.

    Of a kernel the source is compiled, and its own lines are never run.
    """
    lines = covering.lines[str(fault.module_path)]
    own, whole = range(fault.start_pos[0], fault.end_pos[0] + 1), set().union(*lines.values())
    if any(line in inside for line in own for inside in _functions(tree / fault.module_path)):
        return set().union(*(lines.get(line, set()) for line in own)) or whole
    return whole


@cache
def _functions(path: Path) -> list[range]:
    """The lines of each function's body."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.Lambda)]
    bodies = [node.body if isinstance(node.body, list) else [node.body] for node in functions]
    return [range(body[0].lineno, (body[-1].end_lineno or 0) + 1) for body in bodies]


def _order(test: str, module: Path, exact: set[str], covering: Covering) -> tuple[bool, int, bool, float, str]:
    """Nearness of a test: its file mirrors the module, its folders do, it runs the lines, it is quick."""
    path = Path(_file(test)).relative_to("tests")
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(path.parts[:-1], module.parts[:-1], strict=False))
    return path.name != f"test_{module.name}", -len([*shared]), test not in exact, covering.seconds[test], test


def _within(tests: list[str], covering: Covering) -> list[str]:
    """Take tests as long as there is time; always the first."""
    taken: list[str] = []
    spent = 0.0
    for test in tests:
        spent += covering.seconds[test]
        if taken and spent > MOST:
            break
        taken.append(test)
    return taken


def _file(test: str) -> str:
    return test.partition("::")[0]
