"""Puts off a heavy import until something of it is used, so that what needs no tensors starts at once."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """Stands for a module that is not imported yet, and passes everything on to it once it is."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def import_later(name: str) -> None:
    """Let ``import name`` cost nothing until an attribute of the module is read; no effect if it is imported already.

    `importlib.util.LazyLoader` does not serve here: up to Python 3.11 a second ``import`` statement loads its module.
    """
    sys.modules.setdefault(name, _Later(name))
