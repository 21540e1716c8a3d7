"""Notes which files Python code opens to read, so that whatever tasks read beside their rows is known by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

PASSING = {".pyc", ".lock", ".arrow", ".incomplete"}
"""Endings of files that libraries make of others."""

_noted: list[set[str]] = []


@contextmanager
def opened() -> Iterator[set[str]]:
    """Collect the paths of files that are opened to be read; not what C libraries open by themselves."""
    _listen()
    found: set[str] = set()
    _noted.append(found)
    try:
        yield found
    finally:
        _noted.remove(found)


@cache
def _listen() -> None:
    """A hook of the interpreter cannot be taken away again: this one does nothing while nobody collects."""
    sys.addaudithook(_hear)


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and _noted and isinstance(args[0], str) and set(args[1] or "r") <= set("rbtU"):
        for found in _noted:
            found.add(args[0])


def own_files(names: set[str], apart: tuple[Path, ...]) -> set[Path]:
    """Of opened files those that are somebody's data: no library's, no device, none below the folders `apart`."""
    places = (*apart, *map(Path, (sys.prefix, sys.base_prefix, "/proc", "/sys", "/dev", "/etc")))
    found = (Path(name).absolute() for name in names)
    own = (path for path in found if not any(path.is_relative_to(place) for place in places))
    return {path for path in own if path.suffix not in PASSING and not _code(path) and path.is_file()}


def _code(path: Path) -> bool:
    """Whether it is Winnow's own code, which fingerprints cover."""
    return path.suffix == ".py" and any(path.is_relative_to(place) for place in _places())


@cache
def _places() -> list[Path]:
    import winnow

    package = Path(winnow.__file__).parent
    return [package, *(link.resolve() for link in package.iterdir() if link.is_dir())]
