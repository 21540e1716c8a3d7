"""Puts off a heavy import until something of it is used, so that what needs no tensors starts at once."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """Stands for a module that is not imported yet; once it is, the true one stands wherever this one stood."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_imported(self), name)


class _Below(MetaPathFinder):
    """Imports the whole before a module below it, which the whole may have imported by then itself."""

    def __init__(self, later: _Later) -> None:
        self.later = later

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{self.later.__name__}.") or sys.modules.get(self.later.__name__) is not self.later:
            return None
        _imported(self.later)
        found = sys.modules.get(fullname)
        if found is None:
            return None
        found.__spec__ = ModuleSpec(fullname, _There(found))  # Python asks the module for it, since it is there by now
        return found.__spec__


class _There(Loader):
    """Does not load again what is loaded, and leaves it as it was."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


def _imported(later: _Later) -> ModuleType:
    name = later.__name__
    if sys.modules.get(name) is later:
        del sys.modules[name]
    found = importlib.import_module(name)
    for module in [*sys.modules.values()]:
        names = getattr(module, "__dict__", {})
        if names.get(name) is later:
            names[name] = found
    return found


def import_later(name: str) -> None:
    """Let ``import name`` cost nothing until an attribute of the module is read; no effect if it is imported already.

    `importlib.util.LazyLoader` does not serve here: up to Python 3.11 a second ``import`` statement loads its module.
    """
    if name not in sys.modules and (spec := find_spec(name)) is not None:
        later = _Later(name)
        later.__spec__, later.__path__ = spec, spec.submodule_search_locations or []  # for those who only ask for them
        sys.modules[name] = later
        sys.meta_path.insert(0, _Below(later))
